"""Storage operations are retried during an outage, for a bounded time."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from small_records import trial_row

from agrm_study.records.location import Location
from agrm_study.records.patience import PAUSES_S, retry_storage
from agrm_study.records.reader import Ledger
from agrm_study.records.writer import write_trial


class Clock:
    """Time passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("agrm_study.records.patience.time.sleep", clock.sleep)
    monkeypatch.setattr("agrm_study.records.patience.time.monotonic", lambda: clock.now)
    return clock


def refusing(clock: Clock, until_s: float, number: int) -> Callable[[], str]:
    def action() -> str:
        if clock.now < until_s:
            raise OSError(number, "refused")
        return "done"

    return action


@pytest.mark.parametrize("gone_s", [0.0, 0.05, 1.0, 20.0, 30.0])
def test_storage_that_comes_back_within_half_a_minute_is_waited_for(clock: Clock, gone_s: float) -> None:
    assert retry_storage(refusing(clock, gone_s, errno.EIO)) == "done"
    assert clock.now >= gone_s


def test_storage_that_stays_away_is_refused_with_its_own_words(clock: Clock) -> None:
    with pytest.raises(OSError, match="refused"):
        retry_storage(refusing(clock, 1e9, errno.ESTALE))
    assert clock.now == sum(PAUSES_S) < 60


def test_a_server_that_is_silent_is_asked_twice_and_not_for_a_quarter_of_an_hour(clock: Clock) -> None:
    asked = list[float]()

    def silent() -> None:
        asked.append(clock.now)
        clock.now += 120.0  # the time after which Arrow gives up a connection to Google that carries nothing
        raise OSError("google::cloud::Status(DEADLINE_EXCEEDED: …)")

    with pytest.raises(OSError, match="DEADLINE"):
        retry_storage(silent)
    assert len(asked) == 2
    assert clock.now < 250


def test_a_full_disk_is_given_up_within_seconds(clock: Clock) -> None:
    with pytest.raises(OSError, match="refused"):
        retry_storage(refusing(clock, 1e9, errno.ENOSPC))
    assert 0 < clock.now < 5


def test_without_pauses_it_is_tried_once(clock: Clock) -> None:
    with pytest.raises(OSError, match="refused"):
        retry_storage(refusing(clock, 1e9, errno.EIO), ())
    assert clock.now == 0


def test_another_error_is_not_waited_for(clock: Clock) -> None:
    with pytest.raises(ValueError, match="bad"):
        retry_storage(lambda: (_ for _ in ()).throw(ValueError("bad")))
    assert clock.now == 0


def test_a_record_is_written_though_storage_is_gone_for_twenty_seconds(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Location.write_atomic

    def refuse(self: Location, data: bytes, *, durable: bool = True) -> None:
        if clock.now < 20.0:
            raise OSError("When writing: AWS Error NETWORK_CONNECTION during PutObject operation")
        write(self, data, durable=durable)

    monkeypatch.setattr(Location, "write_atomic", refuse)
    write_trial(tmp_path, trial_row("a" * 16))
    assert Ledger(tmp_path).finished_ids() == {"a" * 16}
