"""Permanent storage errors end a run; with exit code 2 (nothing was run) only before the first trial."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.progress.view import View
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError
from agrm_study.study.study import Study


class AtFirstFinish(View):
    """Does something when the first trial has finished."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action: Callable[[], object] | None = action

    def event(self, event: TrialEvent, trial: TrialProgress) -> None:
        if event.kind == "finished" and self._action is not None:
            action, self._action = self._action, None
            action()


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on storage refuses to write what has some text in its path."""
    monkeypatch.setattr("agrm_study.records.patience.time.sleep", lambda seconds: None)

    def begin(text: str = "", number: int = errno.EROFS) -> None:
        write = Location.write_atomic

        def write_unless(self: Location, data: bytes, *, durable: bool = True) -> None:
            if text in self.path:
                raise OSError(number, "refused", self.path)
            write(self, data, durable=durable)

        monkeypatch.setattr(Location, "write_atomic", write_unless)

    return begin


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOENT, errno.ENOTDIR])
def test_a_study_whose_storage_becomes_read_only_is_incomplete_and_keeps_what_had_finished(
    make_study: Callable[..., Study],
    run: Callable[..., RunSummary],
    refuse: Callable[..., None],
    number: int,
) -> None:
    summary = run(make_study(), view=AtFirstFinish(lambda: refuse(number=number)))
    assert (summary.exit_code, summary.finished, summary.total) == (1, 1, 4)


@pytest.mark.parametrize("what", ["search.json", "plan.json"])
def test_a_search_that_cannot_write_its_log_or_its_plan_ends_as_incomplete_with_the_reason(
    search_of: Callable[..., Study], run: Callable[..., RunSummary], refuse: Callable[..., None], what: str
) -> None:
    summary = run(search_of(), view=AtFirstFinish(lambda: refuse(what)))
    assert summary.exit_code == 1
    assert what in summary.error
    assert 1 <= summary.finished < summary.total
    again = summary.to_dict()
    assert (again["exit_code"], again["error"]) == (1, summary.error)


def test_results_that_are_deleted_while_trials_run_leave_the_study_incomplete(
    make_study: Callable[..., Study],
    run: Callable[..., RunSummary],
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agrm_study.records.patience.time.sleep", lambda seconds: None)
    summary = run(make_study(), view=AtFirstFinish(lambda: shutil.rmtree(results)))
    assert summary.exit_code == 1
    assert summary.finished == 1
    assert not results.exists(), "nothing is written where nobody would look for it"


def test_storage_that_refuses_before_the_first_trial_is_wrong_input(
    make_study: Callable[..., Study], run: Callable[..., RunSummary], refuse: Callable[..., None]
) -> None:
    refuse("study.yaml")
    with pytest.raises(InputError, match="the storage must accept the files that a study writes"):
        run(make_study())
