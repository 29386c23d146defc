"""A trial survives storage that is unavailable for a while."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from test_run_inline import outcome, same

from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.heartbeat import FOLDER
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.study.study import Study

GONE_S = 20.0


class Outage:
    """From the first call that matches on, storage refuses until time has passed; only waiting makes it pass."""

    def __init__(self, matches: Callable[[str], bool]) -> None:
        self._matches = matches
        self.left_s = GONE_S
        self.begun = False

    def sleep(self, seconds: float) -> None:
        self.left_s -= seconds

    def meet(self, path: str) -> None:
        self.begun = self.begun or self._matches(path)
        if self.begun and self.left_s > 0:
            raise OSError(errno.EIO, "Input/output error", path)


@pytest.fixture
def outage_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Outage]:
    """Storage is gone from the first write of a path on that contains some text."""

    def begin(text: str) -> Outage:
        outage = Outage(lambda path: text in path)
        write, delete = Location.write_atomic, Location.delete

        def write_if(self: Location, data: bytes, *, durable: bool = True) -> None:
            outage.meet(self.path)
            write(self, data, durable=durable)

        def delete_if(self: Location) -> None:
            outage.meet(self.path)
            delete(self)

        monkeypatch.setattr(Location, "write_atomic", write_if)
        monkeypatch.setattr(Location, "delete", delete_if)
        monkeypatch.setattr("agrm_study.records.patience.time.sleep", outage.sleep)
        return outage

    return begin


@pytest.mark.parametrize("text", [FOLDER, "records/epochs", "records/predictions", "records/trials"])
def test_storage_that_is_gone_for_twenty_seconds_costs_no_trial(
    make_study: Callable[..., Study],
    run: Callable[..., RunSummary],
    results: Path,
    tmp_path: Path,
    outage_at: Callable[[str], Outage],
    text: str,
) -> None:
    other = tmp_path / "quiet"
    other.mkdir()
    (other / "script.json").write_text("{}")
    run(make_study(), results=other)
    outage = outage_at(text)
    summary = run(make_study())
    assert outage.begun
    assert (summary.exit_code, summary.finished) == (0, 4)
    assert set(Ledger(results).trials()["attempt"]) == {1}
    assert same(outcome(results), outcome(other))


def test_a_heartbeat_that_cannot_be_removed_does_not_undo_a_finished_trial(
    make_study: Callable[..., Study],
    run: Callable[..., RunSummary],
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delete = Location.delete

    def refuse(self: Location) -> None:
        if FOLDER in self.path:
            raise OSError(errno.EIO, "Input/output error", self.path)
        delete(self)

    monkeypatch.setattr("agrm_study.records.patience.time.sleep", lambda seconds: None)
    monkeypatch.setattr(Location, "delete", refuse)
    summary = run(make_study(seeds=1))
    assert (summary.exit_code, summary.finished) == (0, 2)
    assert len(Ledger(results).finished_ids()) == 2
