"""A run executes exactly the missing trials, and survives their failures."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scripted_runner import journal

from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.progress.view import View
from agrm_study.execution.results_folder.lock import results_lock
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.whole import check_results
from agrm_study.study.errors import InputError
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]


class Watcher(View):
    """Collects events, and calls back at each."""

    def __init__(self, on_event: Callable[[TrialEvent], None] = lambda event: None) -> None:
        self.events: list[TrialEvent] = []
        self.messages: list[str] = []
        self._on_event = on_event

    def event(self, event: TrialEvent, trial: TrialProgress) -> None:
        self.events.append(event)
        self._on_event(event)

    def message(self, text: str) -> None:
        self.messages.append(text)


def outcome(results: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """All records without times, hosts and attempts."""
    ledger = Ledger(results)
    trials = ledger.trials().drop(columns=["wall_s", "started_at", "host", "attempt", "row_digest"])
    return trials.astype(str), ledger.epochs().astype(str), ledger.predictions().astype(str)


def same(left: tuple[pd.DataFrame, ...], right: tuple[pd.DataFrame, ...]) -> bool:
    return all(a.equals(b) for a, b in zip(left, right, strict=True))


def test_every_trial_is_recorded_and_a_second_run_runs_nothing(make_study: Make, run: Run, results: Path) -> None:
    summary = run(make_study())
    assert (summary.total, summary.finished, summary.exit_code) == (4, 4, 0)
    assert len(Ledger(results).finished_ids()) == 4
    assert len(Ledger(results).epochs()) == 4 * 3 * 2
    before = journal(results)
    again = run(make_study())
    assert (again.before, again.finished, again.exit_code) == (4, 0, 0)
    assert journal(results) == before


def test_a_new_arm_or_seed_runs_only_what_is_new(make_study: Make, run: Run, results: Path) -> None:
    run(make_study({"A": 0.5}))
    assert run(make_study({"A": 0.5, "B": 0.6})).finished == 2
    assert run(make_study({"A": 0.5, "B": 0.6}, seeds=3)).finished == 2
    assert len([line for line in journal(results) if line.startswith("start")]) == 6


def test_the_results_folder_says_what_was_asked_and_by_what_it_was_made(
    make_study: Make, run: Run, results: Path
) -> None:
    run(make_study())
    cells = json.loads((results / "plan.json").read_text())["cells"]
    assert {(c["arm"], c["seed"]) for c in cells} == {("A", 0), ("A", 1), ("B", 0), ("B", 1)}
    provenance = json.loads((results / "provenance.json").read_text())
    assert provenance["code_version"] == Ledger(results).trials()["code_version"].iloc[0]
    assert provenance["packages"]["numpy"]
    assert "tau: 0.6" in (results / "study.yaml").read_text()
    assert list(Ledger(results).subjects()["subject_id"]) == ["a"]


def test_a_failing_trial_is_recorded_with_its_reason_and_the_study_goes_on(
    make_study: Make, run: Run, results: Path, script: Script
) -> None:
    script(A={"fail": "bug", "at": 2, "seeds": [0]})
    watcher = Watcher()
    summary = run(make_study(), view=watcher)
    assert (summary.finished, summary.exit_code) == (3, 1)
    (failed,) = summary.failed
    assert (failed.arm, failed.seed, failed.failure, failed.heals) == ("A", 0, "bug", False)
    record = Ledger(results).failed().iloc[0]
    assert record["failure"] == "bug"
    assert "KeyError: 'no such layer'" in record["error"]
    assert "scripted_runner.py" in record["error"].splitlines()[1]
    assert "in _misbehave" in record["error"].splitlines()[1]
    assert "raise KeyError" in record["error"]
    assert len(Ledger(results).epochs(trial_ids=[failed.trial_id])) == 2  # the epoch before it failed
    assert not (results / "checkpoints" / failed.trial_id).exists()


@pytest.mark.parametrize(("fail", "failure"), [("bug", "bug"), ("nan", "nan_loss")])
def test_what_would_fail_again_is_run_again_only_when_asked(
    make_study: Make, run: Run, results: Path, script: Script, fail: str, failure: str
) -> None:
    script(A={"fail": fail, "times": 1, "seeds": [0]})
    assert run(make_study()).failed[0].failure == failure
    before = journal(results)
    again = run(make_study())
    assert journal(results) == before
    assert (again.exit_code, len(again.failed)) == (1, 1)
    assert any("--retry-failed" in message for message in again.messages)
    healed = run(make_study(), retry_failed=True)
    assert (healed.exit_code, healed.finished, healed.failed) == (0, 1, ())
    assert set(Ledger(results).trials()["attempt"]) == {1, 2}


@pytest.mark.parametrize(("fail", "failure"), [("oom", "oom_host"), ("disk", "storage")])
def test_what_may_have_been_bad_luck_heals_on_the_next_run_from_the_checkpoint(
    make_study: Make, run: Run, results: Path, script: Script, tmp_path: Path, fail: str, failure: str
) -> None:
    script(A={"fail": fail, "at": 3, "times": 1})
    first = run(make_study())
    assert {f.failure for f in first.failed} == {failure}
    watcher = Watcher()
    assert run(make_study(), view=watcher).exit_code == 0
    assert {event.resumed for event in watcher.events if event.kind == "finished"} == {2}


def test_a_trial_that_resumes_ends_as_if_it_had_never_stopped(
    make_study: Make, run: Run, results: Path, script: Script, tmp_path: Path
) -> None:
    script(A={"fail": "oom", "at": 3, "times": 1})
    run(make_study())
    run(make_study())
    other = tmp_path / "undisturbed"
    other.mkdir()
    (other / "script.json").write_text("{}")
    run(make_study(), results=other)
    assert same(outcome(results), outcome(other))


def test_an_interruption_saves_and_the_next_run_goes_on(
    make_study: Make, run: Run, results: Path, script: Script
) -> None:
    import os
    import signal

    script(A={"epochs": 5}, B={"epochs": 5})

    def interrupt(event: TrialEvent) -> None:
        if event.kind == "epoch" and event.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    watcher = Watcher(interrupt)
    # the signal arrives after epoch 2 was reported: epoch 3 still ends, and is saved
    summary = run(make_study(), view=watcher, checkpoint_every_s=1000.0)
    assert (summary.exit_code, summary.finished, summary.unfinished) == (130, 0, 4)
    assert watcher.events[-1].kind == "interrupted"
    assert watcher.events[-1].epoch == 3
    assert any("SIGINT" in message for message in watcher.messages)
    assert Ledger(results).trials().empty
    again = Watcher()
    assert run(make_study(), view=again).exit_code == 0
    assert again.events[-1].attempt == 1
    assert next(event.resumed for event in again.events if event.kind == "finished") == 3


def test_a_second_interruption_stops_at_once(make_study: Make, run: Run, results: Path, script: Script) -> None:
    import os
    import signal

    def interrupt(event: TrialEvent) -> None:
        if event.kind == "epoch":
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)

    summary = run(make_study(), view=Watcher(interrupt))
    assert summary.exit_code == 130
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_warning_signal_twice_is_still_one_warning(make_study: Make, run: Run, script: Script) -> None:
    import os
    import signal

    def interrupt(event: TrialEvent) -> None:
        if event.kind == "epoch" and event.epoch == 1:
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGUSR1)

    watcher = Watcher(interrupt)
    assert run(make_study(), view=watcher).exit_code == 130
    assert watcher.events[-1].kind == "interrupted"


def test_a_second_run_of_the_same_folder_is_refused_in_one_message(make_study: Make, run: Run, results: Path) -> None:
    with (
        results_lock(Location.of(results), "other"),
        pytest.raises(InputError, match=r"one run at a time.*process \d+"),
    ):
        run(make_study())
    assert run(make_study()).exit_code == 0


def test_an_arm_that_keeps_failing_in_the_same_way_is_held_back(
    make_study: Make, run: Run, results: Path, script: Script
) -> None:
    script(A={"fail": "bug"})
    summary = run(make_study(seeds=6))
    assert (len(summary.failed), summary.held, summary.finished) == (3, 3, 6)
    assert any("A: 3 trials failed in the same way" in message for message in summary.messages)
    assert summary.exit_code == 1


def test_each_trial_has_a_runner_of_its_own_that_is_closed_before_the_next(
    make_study: Make, run: Run, results: Path, script: Script
) -> None:
    script(B={"fail": "bug", "seeds": [0]})
    run(make_study())
    lines = journal(results)
    assert [line.split()[0] for line in lines] == ["start", "close"] * 4
    assert all(lines[i].split()[1:] == lines[i + 1].split()[1:] for i in range(0, 8, 2))


def test_finished_trials_leave_their_best_weights_and_nothing_else(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    for folder in (results / "checkpoints").iterdir():
        assert [file.name for file in folder.iterdir()] == ["best.safetensors"]


def test_weights_can_be_left_out(make_study: Make, run: Run, results: Path) -> None:
    run(make_study(keep_weights="none"))
    assert [f for f in results.rglob("*") if f.name in ("rolling.pt", "best.safetensors")] == []
    assert list((results / ".run" / "heartbeats").iterdir()) == []


def test_a_checkpoint_of_other_code_is_not_resumed(
    make_study: Make, run: Run, results: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(A={"fail": "oom", "at": 3, "times": 1})
    run(make_study())
    monkeypatch.setattr("agrm_study.execution.trial.records.code_version", lambda: "0+edited")
    watcher = Watcher()
    run(make_study(), view=watcher)
    assert [event.resumed for event in watcher.events if event.kind == "finished"] == [0, 0]


def test_a_record_that_cannot_be_written_leaves_the_trial_unfinished(
    make_study: Make, run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    for module in ("worker", "records"):
        monkeypatch.setattr(f"agrm_study.execution.trial.{module}.write_trial", refuse)
    summary = run(make_study({"A": 0.5}, seeds=1))
    assert summary.exit_code == 1
    assert "record could not be written" in summary.failed[0].error
    assert summary.failed[0].failure == "storage"
    monkeypatch.undo()


def test_a_damaged_record_counts_as_not_done_and_is_said(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    file = next((results / "records" / "trials").iterdir())
    file.write_bytes(b"PAR1 nonsense")
    again = run(make_study())
    assert (again.finished, again.exit_code) == (1, 0)
    assert any(file.name in message for message in again.messages)


def test_results_that_cannot_be_written_are_refused_before_anything_runs(
    make_study: Make, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="must be writable"):
        run(make_study(), results=file / "below")


def test_run_needs_no_main_thread(make_study: Make, run: Run) -> None:
    summaries: list[RunSummary] = []
    thread = threading.Thread(target=lambda: summaries.append(run(make_study())))
    thread.start()
    thread.join()
    assert summaries[0].exit_code == 0


@pytest.mark.parametrize("kind", ["predictions", "epochs", "trials"])
@pytest.mark.parametrize("damage", ["deleted", "truncated", "changed"])
def test_a_trial_that_is_not_whole_runs_again_and_the_others_do_not(
    make_study: Make, run: Run, results: Path, kind: str, damage: str
) -> None:
    run(make_study())
    before = outcome(results)
    path = sorted((results / "records" / kind).iterdir())[1]
    content = path.read_bytes()
    if damage == "deleted":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        table = pq.read_table(path)
        name = {"predictions": "epoch", "epochs": "epoch", "trials": "attempt"}[kind]
        place = table.schema.get_field_index(name)
        other = pa.array([value + 1 for value in table.column(place).to_pylist()], table.schema.types[place])
        pq.write_table(table.set_column(place, table.schema.field(place), other), path)
    starts = len([line for line in journal(results) if line.startswith("start")])
    summary = run(make_study())
    assert (summary.total, summary.before, summary.exit_code) == (4, 3, 0)
    assert len([line for line in journal(results) if line.startswith("start")]) == starts + 1
    assert same(outcome(results), before)
    assert check_results(results) == []
