"""`init` writes a study file that loads, for every kind of data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agrm_study.api.names import read_study
from agrm_study.cli.app import app
from agrm_study.cli.first_study import facts_of, first_study
from agrm_study.execution.data.prepare import prepare
from agrm_study.study.errors import InputError
from agrm_study.study.tasks import BUILT_IN
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.manifest import write_manifest


def init(*words: object) -> Result:
    return CliRunner().invoke(app, ["init", *map(str, words)])


def make_manifest(folder: Path, labels: Sequence[str | None], *, view: int | None = None, frames: int = 50) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for number, label in enumerate(labels):
        video = folder / f"{number}.mp4"
        video.write_bytes(b"video")
        clips.append(
            ClipRecord(
                subject_id=f"s{number}",
                clip_id=f"c{number}",
                path=video,
                label=label,
                view=view if label is None else None,
                frames=frames,
                fps=25.0,
                width=64,
                height=64,
                checksum=f"{number:064x}",
                source="folder",
            )
        )
    return write_manifest(clips, folder)


THREE = ["normal"] * 12 + ["genu_varum"] * 12 + ["genu_valgum"] * 12


def test_a_study_on_synthetic_figures_loads_and_names_its_results_folder(tmp_path: Path) -> None:
    file = tmp_path / "my first study.yaml"
    done = init(file, "--synthetic")
    assert (done.exit_code, done.stdout.strip()) == (0, str(file))
    study = read_study(file, (), None)
    assert study.name == "my-first-study"
    assert study.base.data.synthetic is not None


def test_labels_of_three_classes_allow_both_tasks_and_unlabelled_clips_are_shared_out(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "data", [*THREE, *[None] * 20])
    assert init(tmp_path / "s.yaml", "--data", manifest).exit_code == 0
    study = read_study(tmp_path / "s.yaml", (), None)
    assert tuple(study.tasks) == ("two_class", "three_class")
    assert (study.base.data.unlabelled_train, study.base.data.unlabelled_val) == (16, 4)
    assert study.base.data.manifest is not None
    assert study.base.data.manifest.resolve() == manifest.resolve()
    assert [arm.recipe.ssl.method for arm in study.arms] == ["agrm", "supervised", "fixmatch"]


def test_a_missing_class_leaves_the_two_class_task(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "data", ["normal"] * 5 + ["genu_varum"] * 5 + ["genu_valgum"])
    assert init(tmp_path / "s.yaml", "--data", manifest).exit_code == 0
    assert read_study(tmp_path / "s.yaml", (), None).tasks == {"two_class": BUILT_IN["two_class"]}
    assert "No three-class task" in (tmp_path / "s.yaml").read_text()


def test_without_unlabelled_clips_every_arm_is_supervised(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "data", THREE)
    init(tmp_path / "s.yaml", "--data", manifest)
    study = read_study(tmp_path / "s.yaml", (), None)
    assert {arm.recipe.ssl.method for arm in study.arms} == {"supervised"}


def test_views_other_than_the_papers_are_kept(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "data", [*THREE, *[None] * 10], view=90)
    init(tmp_path / "s.yaml", "--data", manifest)
    data = read_study(tmp_path / "s.yaml", (), None).base.data
    assert (data.views, data.unlabelled_train, data.unlabelled_val) == ((90,), 8, 2)


@pytest.mark.parametrize(("gpus", "frames"), [(0, 50), (2, 50), (2, 10)])
def test_what_is_commented_out_loads_too_when_its_marks_are_taken_away(tmp_path: Path, gpus: int, frames: int) -> None:
    manifest = make_manifest(tmp_path / "data", [*THREE, None], frames=frames)
    text = first_study("s", facts_of(manifest, tmp_path / "s.yaml"), cpus=8, gpus=gpus)
    head, _, rest = text.partition("# set:\n")
    block, _, tail = rest.partition("\n\n")
    file = tmp_path / "s.yaml"
    file.write_text(head + "set:\n" + "".join(f"{line[2:]}\n" for line in block.splitlines()) + "\n" + tail)
    study = read_study(file, (), None)
    assert study.base.epochs == (60 if gpus else 40)
    assert study.resources.gpu == (1 if gpus else 0)
    assert study.base.clip.frames == (5 if frames == 10 else 16 if gpus else 4)


@pytest.mark.parametrize("name", ["7.yaml", "true.yaml", "1e3.yaml", "ünï.yaml"])
def test_a_file_name_that_is_no_study_name_still_gives_one(tmp_path: Path, name: str) -> None:
    assert init(tmp_path / name, "--synthetic").exit_code == 0
    assert read_study(tmp_path / name, (), None).name


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("mine")
    done = init(file, "--synthetic")
    assert isinstance(done.exception, InputError)
    assert "not overwritten" in str(done.exception)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("words", [(), ("--synthetic", "--data", "m.parquet")])
def test_data_and_synthetic_are_one_choice(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = init(tmp_path / "s.yaml", *words)
    assert "either --data MANIFEST or --synthetic" in str(done.exception)
    assert not (tmp_path / "s.yaml").exists()


def test_labels_of_one_class_are_refused_with_their_counts(tmp_path: Path) -> None:
    done = init(tmp_path / "s.yaml", "--data", make_manifest(tmp_path / "data", ["normal"] * 9))
    assert isinstance(done.exception, InputError)
    assert "9 normal, 0 genu_varum, 0 genu_valgum" in str(done.exception)


def test_labels_of_ones_own_become_a_task_of_ones_own_that_plans(tmp_path: Path) -> None:
    labels = ["healthy"] * 10 + ["2"] * 8 + ["yes: no"] * 9 + ["rare"] * 1
    manifest = make_manifest(tmp_path / "data", labels)
    done = init(tmp_path / "s.yaml", "--data", manifest)
    assert done.exit_code == 0
    study = read_study(tmp_path / "s.yaml", (), None)
    (task,) = study.tasks.values()
    assert task.classes == ("2", "healthy", "yes: no")
    assert task.labels == (("2",), ("healthy",), ("yes: no",))
    assert (
        "Left out: the label rare, too few for every part of the split (1 subject)."
        in (tmp_path / "s.yaml").read_text()
    )
    prepared = prepare(study, tmp_path / "results", build=False)
    assert prepared.notes == ("The task groups ignores 1 subject with other labels: rare (1).",)


def test_two_labels_of_ones_own_name_the_positive_class_in_a_comment(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "data", ["ill"] * 10 + ["well"] * 10)
    assert init(tmp_path / "s.yaml", "--data", manifest).exit_code == 0
    text = (tmp_path / "s.yaml").read_text()
    assert "# positive: well" in text
    (tmp_path / "s.yaml").write_text(text.replace("# positive: well", "positive: well"))
    assert read_study(tmp_path / "s.yaml", (), None).tasks["groups"].positive == "well"


def test_normal_and_abnormal_are_the_papers_two_classes(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "data", ["normal"] * 10 + ["abnormal"] * 10)
    assert init(tmp_path / "s.yaml", "--data", manifest).exit_code == 0
    assert list(read_study(tmp_path / "s.yaml", (), None).tasks) == ["two_class"]


def test_one_usable_label_is_refused_with_the_numbers(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "data", ["healthy"] * 10 + ["other"])
    done = init(tmp_path / "s.yaml", "--data", manifest)
    assert isinstance(done.exception, InputError)
    assert "1 such labels of 2" in str(done.exception)
