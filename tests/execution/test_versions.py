"""A worker with different package versions refuses to train, without harm to the study."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from scripted_runner import journal
from test_run_inline import Watcher, outcome, same

from agrm_study.execution import provenance
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.versions import (
    CODE,
    DifferentVersionsError,
    difference,
    own_versions,
    refuse_others,
    versions_of_trial,
)
from agrm_study.records.reader import Ledger
from agrm_study.report.tables.environment import mixed_versions
from agrm_study.study.study import Study


@pytest.mark.parametrize(
    ("given", "allowed", "words"),
    [
        ({"torch": "2.9.0"}, {"torch": "2.9.0"}, ("", "")),
        ({"torch": "2.9.0+cpu"}, {"torch": "2.9.0+cu130"}, ("", "")),
        ({"torch": "2.9.0"}, {"torch": "2.9.1"}, ("torch 2.9.0", "torch 2.9.1")),
        ({"decord": "0.6.0"}, {"torch": "2.9.0"}, ("", "")),
        ({CODE: "1.0+aaa"}, {CODE: "1.0+bbb"}, (f"{CODE} 1.0+aaa", f"{CODE} 1.0+bbb")),
        (
            {"python": "3.11.1", "ray": "2.60.0"},
            {"python": "3.12.1", "ray": "2.61.0"},
            ("python 3.11.1, ray 2.60.0", "python 3.12.1, ray 2.61.0"),
        ),
    ],
)
def test_differences_are_named_and_builds_are_none(
    given: dict[str, str], allowed: dict[str, str], words: tuple[str, str]
) -> None:
    assert difference(given, allowed) == words


def test_a_process_agrees_with_itself_and_with_whoever_asks_for_nothing() -> None:
    refuse_others(own_versions())
    refuse_others({})
    with pytest.raises(DifferentVersionsError, match=r"numpy \S+ on .*, but the study was started with numpy 0\.1"):
        refuse_others(own_versions() | {"numpy": "0.1"})


def test_a_worker_with_other_versions_ends_the_run_early_and_the_next_one_heals_it(
    make_study: Callable[..., Study],
    run: Callable[..., RunSummary],
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agrm_study.execution.phases.own_versions", lambda: {"torch": "1.0"})
    watcher = Watcher()
    summary = run(make_study(), view=watcher)
    assert (summary.exit_code, summary.finished, summary.unfinished) == (1, 0, 3)
    (failed,) = summary.failed
    assert failed.failure == "versions"
    (message,) = [text for text in watcher.messages if "No further trials are started" in text]
    assert "but the study was started with torch 1.0" in message
    assert journal(results) == [], "nothing was trained"
    monkeypatch.setattr("agrm_study.execution.phases.own_versions", own_versions)
    assert run(make_study()).exit_code == 0
    other = tmp_path / "undisturbed"
    other.mkdir()
    (other / "script.json").write_text("{}")
    run(make_study(), results=other)
    assert same(outcome(results), outcome(other))


def test_each_trial_records_its_versions_and_those_of_the_attempt_that_it_was_resumed_from(
    make_study: Callable[..., Study], run: Callable[..., RunSummary], results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Watcher(lambda event: os.kill(os.getpid(), signal.SIGINT) if event.kind == "epoch" else None)

    def installed(numpy: str) -> None:
        for module in ("phases", "trial.versions"):
            monkeypatch.setattr(f"agrm_study.execution.{module}.own_versions", lambda: {"numpy": numpy, CODE: "x"})

    installed("2.4.0")
    assert run(make_study({"A": 0.5}), view=stop).exit_code == 130
    installed("2.0.2")
    assert run(make_study({"A": 0.5})).exit_code == 0
    trials = Ledger(results).trials().set_index("seed")["versions"].map(json.loads)
    assert trials.to_dict() == {
        0: {"numpy": ["2.4.0", "2.0.2"], "threads": ["1"]},
        1: {"numpy": ["2.0.2"], "threads": ["1"]},
    }


def test_the_threads_of_all_attempts_are_recorded_and_no_node_is_refused_for_them() -> None:
    assert versions_of_trial({"threads": ["1"]}, 2)["threads"] == ["1", "2"]
    assert "threads" not in own_versions()


def test_resuming_on_another_number_of_threads_is_noted_as_inexact() -> None:
    threads = (["1"], ["1"], ["1", "2"])
    rows = [{"arm": "A", "task": "t", "seed": s, "versions": json.dumps({"threads": threads[s]})} for s in range(3)]
    [note] = mixed_versions(pd.DataFrame(rows))
    assert note.startswith("Trials ran with different numbers of threads: 1, but 1 then 2 in 1 (A, t, seed 2).")
    assert "not bit-identical" in note


WORDS_AND_FILES = {"errors", "counted", "frozen_layers", "object_store", "temporary"}
"""Modules that training imports from `study` for messages and files."""


def test_the_version_of_the_code_covers_every_module_of_the_study_layer_that_training_reads() -> None:
    package = Path(provenance.__file__).parents[1]
    read = {
        name
        for file in (package / "training").rglob("*.py")
        if file.name not in provenance.AFTER_TRAINING
        for name in re.findall(r"from agrm_study\.study\.(\w+) import", file.read_text(encoding="utf-8"))
    }
    files = {f"{name}.py" for name in read - WORDS_AND_FILES}
    counted = {file.name for pattern in provenance.STUDY_MODULES for file in (package / "study").glob(pattern)}
    assert files <= counted
