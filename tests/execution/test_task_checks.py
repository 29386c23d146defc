"""Consistency of a study's tasks and the labels of its data, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from agrm_study.cli.app import app
from agrm_study.execution.data.prepare import prepare
from agrm_study.execution.data.prepared import Prepared
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.training.data.classes import subjects_by_class
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.manifest import read_manifest, write_manifest

HEAD = "name: own\nseeds: [0]\ndata: {manifest: data/manifest.parquet}\nset: {ssl.method: supervised}\n"
ARMS = "arms: [{name: A}]\n"
SEVERITY = "tasks:\n  severity:\n    classes:\n      healthy: [normal]\n      mild: [m1, m2]\n      severe: [s]\n"


def manifest_of(folder: Path, counts: Mapping[str, int]) -> None:
    clips = []
    for label, count in counts.items():
        for number in range(count):
            name = f"{label}{number}"
            clips.append(
                ClipRecord(
                    subject_id=name, clip_id=name, path=folder / f"{name}.mp4", label=label, frames=50, fps=25.0,
                    width=320, height=320, checksum=f"{len(clips):064x}", source="folder",
                )
            )  # fmt: skip
    for clip in clips:
        clip.path.parent.mkdir(parents=True, exist_ok=True)
        clip.path.write_bytes(b"video")
    write_manifest(clips, folder)


def prepared(folder: Path, counts: Mapping[str, int], tasks: str = SEVERITY) -> Prepared:
    manifest_of(folder / "data", counts)
    (folder / "study.yaml").write_text(HEAD + tasks + ARMS, encoding="utf-8")
    return prepare(load_study(folder / "study.yaml"), folder / "results", build=False)


def lacking_severe(folder: Path) -> None:
    """A study whose split file puts no severe subject into validation."""
    parts = {"normal": "train train val test", "m1": "train val test", "m2": "train test", "s": "train train test"}
    manifest_of(folder / "data", {label: len(named.split()) for label, named in parts.items()})
    rows = [f"{label}{i},{part}" for label, named in parts.items() for i, part in enumerate(named.split())]
    (folder / "split.csv").write_text("\n".join(["subject_id,split", *rows]), encoding="utf-8")
    head = HEAD.replace("parquet}", "parquet, split_file: split.csv}")
    (folder / "study.yaml").write_text(head + SEVERITY + ARMS, encoding="utf-8")


COUNTS = "Subjects by class (training / validation / test): healthy 2 / 1 / 1, mild 2 / 1 / 2, severe 2 / 0 / 1"


def test_a_class_without_a_subject_in_a_part_is_told_with_the_counts(tmp_path: Path) -> None:
    lacking_severe(tmp_path)
    with pytest.raises(InputError) as caught:
        prepare(load_study(tmp_path / "study.yaml"), tmp_path / "results", build=False)
    told = str(caught.value)
    assert "study.yaml:6: `tasks.severity`" in told
    assert "every part requires a subject of each class of the task severity; " in told
    assert "missing in the validation part: severe" in told
    assert COUNTS in told
    assert "merge classes (`tasks`)" in told


def test_every_part_has_every_class_of_a_larger_set(tmp_path: Path) -> None:
    data = prepared(tmp_path, {"normal": 20, "m1": 10, "m2": 10, "s": 10})
    assert data.notes == ()


def test_a_label_that_the_manifest_lacks_is_told_with_its_line_and_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        prepared(tmp_path, {"normal": 20, "m1": 10, "m_2": 10, "s": 10})
    told = str(caught.value)
    assert "study.yaml:9: `tasks.severity.classes.mild`" in told
    assert "the label m2 is not in the manifest manifest.parquet" in told
    assert "allowed: m1, m_2, normal, s" in told
    assert "Did you mean `m" in told


def test_all_wrong_labels_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 problems(.|\n)*label m1 is not(.|\n)*label s is not"):
        prepared(tmp_path, {"normal": 20, "m2": 10})


def test_subjects_that_a_task_ignores_are_counted_in_a_note(tmp_path: Path) -> None:
    data = prepared(tmp_path, {"normal": 20, "m1": 10, "m2": 10, "s": 10, "other": 3, "genu_varus": 1})
    assert data.notes == ("The task severity ignores 4 subjects with other labels: genu_varus (1), other (3).",)


def test_tasks_share_the_split_that_is_stratified_by_label(tmp_path: Path) -> None:
    counts = {"normal": 20, "m1": 10, "m2": 10, "s": 10}
    (one,) = prepared(tmp_path, counts).splits.values()
    both = "tasks:\n  binary: {classes: {well: [normal, m1], ill: [s]}}\n  severity: {classes: {a: [m1], b: [m2]}}\n"
    (other,) = prepared(tmp_path, counts, both).splits.values()
    assert one.fingerprint == other.fingerprint
    study = load_study(tmp_path / "study.yaml")
    found = subjects_by_class(other, read_manifest(tmp_path / "data"), study.tasks["binary"])
    assert [sum(row) for row in zip(*found.values(), strict=True)] == [30, 10]  # the ten of m2 are ignored


def test_the_papers_tasks_on_other_labels_name_the_labels_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`tasks\.three_class`(.|\n)*labels of the manifest: m1, normal"):
        prepared(tmp_path, {"normal": 20, "m1": 20}, "tasks: [three_class]\n")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_plan_and_run_refuse_it(tmp_path: Path, command: str) -> None:
    lacking_severe(tmp_path)
    done = CliRunner().invoke(app, [command, str(tmp_path / "study.yaml"), "--results", str(tmp_path / "r")])
    assert isinstance(done.exception, InputError)
    assert COUNTS in str(done.exception)


def test_plan_shows_the_note_on_ignored_subjects(tmp_path: Path) -> None:
    prepared(tmp_path, {"normal": 20, "m1": 10, "m2": 10, "s": 10, "other": 3})
    done = CliRunner().invoke(app, ["plan", str(tmp_path / "study.yaml"), "--results", str(tmp_path / "r")])
    assert done.exit_code == 0
    assert "The task severity ignores 3 subjects with other labels: other (3)." in " ".join(done.output.split())
