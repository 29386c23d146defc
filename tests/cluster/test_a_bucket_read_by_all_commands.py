"""All commands treat a study in a bucket, interrupted and resumed, like a study in a folder."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from object_stores import Bucket
from pyarrow import fs
from safetensors.numpy import load_file
from tiny_study import WITHOUT_SHPM, tiny_study

from agrm_study.cli.app import main
from agrm_study.execution.options import RunOptions
from agrm_study.execution.progress.snapshot import Snapshot, SnapshotReader
from agrm_study.execution.progress.view import View
from agrm_study.execution.run import run_study
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.study.load import load_study

EPOCHS = 4
TRIALS = 2


class Looking(View):
    """Looks at the bucket in the second epoch of the first trial, and stops the run there."""

    def __init__(self, results: str) -> None:
        self.reader, self.snapshots = SnapshotReader(results), list[Snapshot]()

    def event(self, event: TrialEvent, trial: object) -> None:
        if event.kind == "epoch" and event.epoch == 2 and not self.snapshots:
            self.snapshots.append(self.reader.read())
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos and clip stores that the tests share."""
    return tmp_path_factory.mktemp("cache")


def test_it_is_seen_as_it_runs_and_read_as_a_folder_is(
    bucket: Bucket, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGRM_STUDY_CACHE", str(cache))
    monkeypatch.setattr("agrm_study.execution.results_folder.object_store_lock.SETTLE_S", 0.1)
    monkeypatch.chdir(tmp_path)

    def said(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["agrm-study", *words])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    asked = tiny_study("tiny", {"AGRM": {}, "w/o SHPM": WITHOUT_SHPM}, epochs=EPOCHS, seeds=[0])
    (tmp_path / "study.yaml").write_text(json.dumps(asked))
    results = bucket.uri("studies/tiny")
    options = RunOptions(results=results, executor="inline", device="cpu", checkpoint_every_s=0.0, workers=1)
    view = Looking(results)
    assert run_study(load_study(Path("study.yaml")), options, view=view).interrupted
    [seen] = view.snapshots
    assert seen.owner is not None
    assert (seen.owner["pid"], seen.owner["study"]) == (os.getpid(), "tiny")
    assert [trial.epoch for trial in seen.unfinished] == [2]
    assert seen.progress is not None
    assert seen.progress.counts().running == 1
    code, _, err = said("watch", results, "--once")
    assert code == 1
    assert "not running; rerun the same `agrm-study run` to resume" in err
    assert run_study(load_study(Path("study.yaml")), options).exit_code == 0
    assert Ledger(Location.of(results)).trials()["attempt"].tolist().count(2) == 1
    (tmp_path / "other.yaml").write_text(json.dumps(asked | {"name": "other"}))
    beside = run_study(load_study(Path("other.yaml")), replace(options, results=bucket.uri("studies/other")))
    assert (beside.before, beside.finished) == (TRIALS, 0), "equal trials of a study beside it are taken over"

    code, out, _ = said("status", results, "--json")
    state: dict[str, Any] = json.loads(out)
    assert (code, state["finished"], state["total"], state["active"]) == (0, TRIALS, TRIALS, None)
    code, _, err = said("watch", results)
    assert code == 0
    assert f"{TRIALS} of {TRIALS} trials finished" in err

    here = Location.of(results)
    folder = tmp_path / "tiny"
    for file in here.filesystem.get_file_info(fs.FileSelector(here.path, recursive=True)):
        if file.type == fs.FileType.File:
            content = Location(here.filesystem, file.path).read()
            assert content is not None
            Location.of(folder / file.path.removeprefix(f"{here.path}/")).write_atomic(content)
    for verb, *words in (("report", "--figure", "forest"), ("compare", "--by", "model.pooling.name")):
        there = said(verb, results, *words)
        assert there[:2] == said(verb, str(folder), *words)[:2]
        assert "w/o SHPM" in there[1]
    page = (here / "report.html").read()
    assert page is not None
    assert page == (folder / "report.html").read_bytes()
    for name, source in (("there", results), ("local", str(folder))):
        assert said("export", source, "--out", name)[0] == 0
    weights = [load_file(f"{name}/model.safetensors") for name in ("there", "local")]
    assert weights[0].keys() == weights[1].keys()
    assert all((value == weights[1][key]).all() for key, value in weights[0].items())

    code, _, err = said("explain", results, "--arm", "AGRM")
    assert code == 2
    assert "must be on this machine" in err
    code, _, err = said("report", bucket.uri("studies/none"))
    assert code == 2
    assert f"{bucket.uri('studies/none')}: must be a results folder (it has no study.yaml)" in err
