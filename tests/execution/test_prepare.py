"""The data of a study are created, checked and fingerprinted before its first trial, and a real trial runs on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agrm_study.execution.data.prepare import Step, prepare
from agrm_study.execution.data.prepared import UNWRITTEN, Prepared
from agrm_study.execution.options import RunOptions
from agrm_study.execution.resources.folders import cache_folder
from agrm_study.execution.run import run_study
from agrm_study.plan.expand import expand
from agrm_study.records.reader import Ledger
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.study import Study
from agrm_study.training.data.manifest import read_manifest

TINY = {
    "epochs": 2,
    "clip": {"frames": 4, "fps": 6.25, "crop": "person_box", "resize": 24, "size": 24},
    "model": {"width": 4, "depth": 10},
    "ssl.pretrain_epochs": 1,
    "ssl.ramp.epochs": 1,
    "batch": {"labelled": 4, "unlabelled": 4},
    "evaluate.clips": 1,
}
DATA = {
    "synthetic": {"subjects": 18, "unlabelled": 4, "difficulty": "easy"},
    "unlabelled_train": 3,
    "unlabelled_val": 1,
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic data and stores, made once for all tests here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _shared_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGRM_STUDY_CACHE", str(cache))


@pytest.fixture
def real_study(tmp_path: Path) -> Callable[..., Study]:
    """A study that really trains, in a second or two a trial."""

    def make(**extra: Any) -> Study:
        content = {
            "name": "real",
            "tasks": ["three_class"],
            "seeds": 1,
            "data": DATA,
            "set": TINY,
            "arms": [{"name": "AGRM"}, {"name": "w/o MTM", "set": {"ssl.method": "supervised"}}],
            "reference": "AGRM",
        } | extra
        file = tmp_path / "real.yaml"
        file.write_text(json.dumps(content))
        return load_study(file)

    return make


def prepared(study: Study, results: Path, **options: Any) -> tuple[Prepared, list[Step]]:
    steps: list[Step] = []
    return prepare(study, results, on_step=steps.append, **{"build": True, "workers": 1} | options), steps


def test_data_are_drawn_and_decoded_once_and_told_in_stages(real_study: Callable[..., Study], tmp_path: Path) -> None:
    study = real_study()
    data, steps = prepared(study, tmp_path / "results")
    recipe = study.trial_recipe(study.arms[0], "three_class", 0)
    assert Path(data.manifest_path(recipe)).is_file()
    assert Path(data.store_path(recipe)).is_dir()
    titles = list(dict.fromkeys(step.title for step in steps))
    assert titles[-1] == "Decoding videos"
    assert steps[-1].done == steps[-1].total > 0
    again, _ = prepared(study, tmp_path / "other")
    assert again.fingerprints(recipe) == data.fingerprints(recipe)
    assert again.store_path(recipe) == data.store_path(recipe)


def test_one_store_serves_arms_that_differ_in_what_the_network_sees(
    real_study: Callable[..., Study], tmp_path: Path
) -> None:
    arms = [{"name": "A"}, {"name": "B", "set": {"clip.size": 20}}, {"name": "C", "set": {"clip.resize": 28}}]
    study = real_study(arms=arms, reference="A")
    data, _ = prepared(study, tmp_path / "results")
    a, b, c = (data.store_path(study.trial_recipe(arm, "three_class", 0)) for arm in study.arms)
    assert a == b
    assert a != c


def test_the_same_data_have_the_same_fingerprints_wherever_they_lie(
    real_study: Callable[..., Study], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = real_study()
    data, _ = prepared(study, tmp_path / "results")
    recipe = study.trial_recipe(study.arms[0], "three_class", 0)
    shutil.copytree(cache, tmp_path / "elsewhere")
    monkeypatch.setenv("AGRM_STUDY_CACHE", str(tmp_path / "elsewhere"))
    other, _ = prepared(study, tmp_path / "results")
    assert other.manifest_path(recipe) != data.manifest_path(recipe)
    assert other.fingerprints(recipe) == data.fingerprints(recipe)


def test_a_plan_of_data_that_are_not_there_yet_writes_nothing(
    real_study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGRM_STUDY_CACHE", str(tmp_path / "empty"))
    study = real_study()
    data, _ = prepared(study, tmp_path / "results", build=False)
    assert len(expand(study, data.fingerprints).trials) == 2
    assert all(name.startswith(UNWRITTEN) for name in data.fingerprints(study.arms[0].recipe))
    assert not (tmp_path / "empty").exists()


def store_bytes(data: Prepared, *, built: bool = False) -> int:
    """Bytes of the clip stores still to be built or, with `built`, of the existing clip stores."""
    return sum(store.bytes for store in data.store_sizes if store.built == built)


def test_the_size_of_a_store_is_known_before_its_videos_are_drawn(
    real_study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, _ = prepared(real_study(), tmp_path / "results")
    (store,) = built.stores.values()
    assert store_bytes(built) == 0
    assert store_bytes(built, built=True) == (store / "frames.u8").stat().st_size
    monkeypatch.setenv("AGRM_STUDY_CACHE", str(tmp_path / "empty"))
    planned, _ = prepared(real_study(), tmp_path / "results", build=False)
    (size,) = planned.store_sizes
    assert (size.path, size.built, size.clips) == (None, False, 18 + 3 + 1)
    assert store_bytes(planned) == store_bytes(built, built=True)


def test_nodes_that_share_no_disk_read_a_copy_from_object_storage(
    real_study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGRM_STUDY_SHARED_STORE", (tmp_path / "bucket").as_uri())
    monkeypatch.setenv("AGRM_STUDY_LOCAL_STORE", str(tmp_path / "node"))
    study = real_study(arms=[{"name": "w/o MTM", "set": {"ssl.method": "supervised"}}], reference="w/o MTM")
    data, _ = prepared(study, tmp_path / "results")
    (store,) = data.stores.values()
    recipe = study.trial_recipe(study.arms[0], "three_class", 0)
    assert data.store_path(recipe) == f"{(tmp_path / 'bucket').as_uri()}/{store.name}"
    summary = run_study(study, RunOptions(results=tmp_path / "results", executor="inline", workers=1))
    assert summary.exit_code == 0
    (copy,) = (tmp_path / "node").glob("[!.]*")
    assert {file.name: file.read_bytes() for file in copy.iterdir()} == {
        file.name: file.read_bytes() for file in store.iterdir()
    }


def test_subjects_are_listed_with_their_part_and_label(real_study: Callable[..., Study], tmp_path: Path) -> None:
    study = real_study()
    data, _ = prepared(study, tmp_path / "results")
    (rows,) = data.subjects().values()
    labelled = [row for row in rows if not row["split"].startswith("unlabelled")]
    assert len(labelled) == 18
    assert {row["label"] for row in labelled} == {"normal", "genu_varum", "genu_valgum"}
    assert all(row["label"] is None for row in rows if row["split"].startswith("unlabelled"))
    assert len({row["subject_id"] for row in labelled}) == 18


def test_every_bad_video_is_named_before_any_trial_starts(
    real_study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = prepared(real_study(), tmp_path / "results")
    manifest = next(iter(source.manifests.values()))
    broken = tmp_path / "broken"
    shutil.copytree(manifest.path.parent, broken)
    victims = read_manifest(broken / "manifest.parquet").labelled[:2]
    for clip in victims:
        clip.path.write_bytes(clip.path.read_bytes()[: clip.path.stat().st_size // 3])
    monkeypatch.setenv("AGRM_STUDY_CACHE", str(tmp_path / "cache"))  # where nobody has decoded them before
    data = {key: value for key, value in DATA.items() if key != "synthetic"}
    study = real_study(data=data | {"manifest": str(broken / "manifest.parquet")})
    with pytest.raises(InputError) as refused:
        run_study(study, RunOptions(results=tmp_path / "results", executor="inline", workers=1))
    assert all(clip.clip_id in str(refused.value) for clip in victims)
    assert Ledger(tmp_path / "results").trials().empty


def test_the_cache_stands_beside_the_results_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AGRM_STUDY_CACHE")
    assert cache_folder(tmp_path / "results" / "demo") == tmp_path / "results" / ".data"
    monkeypatch.setenv("AGRM_STUDY_CACHE", str(tmp_path / "named"))
    assert cache_folder(tmp_path / "results" / "demo") == tmp_path / "named"


def test_real_trials_run_twice_from_nothing_give_the_same_records(
    real_study: Callable[..., Study], tmp_path: Path
) -> None:
    study = real_study()
    found = []
    for name in ("first", "second"):
        summary = run_study(study, RunOptions(results=tmp_path / name, executor="inline", workers=1))
        assert (summary.exit_code, summary.failed) == (0, ())
        ledger = Ledger(tmp_path / name)
        trials = ledger.trials().drop(columns=["wall_s", "clips_per_s", "started_at", "host", "row_digest"])
        found.append(
            [frame.astype(str) for frame in (trials, ledger.epochs(), ledger.predictions(), ledger.subjects())]
        )
        folders = list((tmp_path / name / "checkpoints").iterdir())
        assert {file.name for folder in folders for file in folder.iterdir()} == {"best.safetensors"}
    assert all(left.equals(right) for left, right in zip(*found, strict=True))
    ledger = Ledger(tmp_path / "first")
    assert set(ledger.predictions()["split"]) == {"train", "val", "test"}
    assert ledger.epochs()["macro_f1"].notna().all()
