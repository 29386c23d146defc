"""A hanging worker is distinguished from a slow one."""

from __future__ import annotations

from agrm_study.execution.driver.stall_detector import EPOCH_S, FACTOR, FIRST_EPOCH_S, StallDetector


def look(silence: StallDetector, begin: float, end: float) -> float | None:
    """Looks each second; the first time at which a trial has been silent for too long."""
    now = begin
    while now <= end:
        if silence.too_long(now):
            return now
        now += 1.0
    return None


def test_a_worker_that_hangs_before_its_first_epoch_is_found() -> None:
    silence = StallDetector()
    silence.began("a", 0.0)
    assert look(silence, 0.0, 2 * FIRST_EPOCH_S) == FIRST_EPOCH_S + 1


def test_a_worker_that_hangs_later_is_found_sooner_and_each_epoch_begins_the_count_anew() -> None:
    silence = StallDetector()
    silence.began("a", 0.0)
    silence.heard("a", 100.0, 5.0)
    silence.heard("a", 600.0, 5.0)
    assert look(silence, 600.0, 600.0 + 2 * EPOCH_S) == 600.0 + EPOCH_S + 1


def test_a_copy_that_gets_on_is_waited_for_and_one_that_says_the_same_again_is_not() -> None:
    silence = StallDetector()
    silence.began("a", 0.0)
    for done in range(10):
        silence.prepares("a", done * 1000.0, f"{done} of 10 GB")
        assert look(silence, done * 1000.0, done * 1000.0 + 999) is None
    for again in range(100):
        silence.prepares("a", 9000.0 + again * 60.0, "9 of 10 GB")
    assert look(silence, 9000.0, 9000.0 + 2 * FIRST_EPOCH_S) == 9000.0 + FIRST_EPOCH_S + 1


def test_long_epochs_lengthen_the_limit_of_their_own_trial_and_that_of_a_trial_before_its_first() -> None:
    longest = 2 * FIRST_EPOCH_S / FACTOR
    silence = StallDetector()
    silence.began("slow", 0.0)
    silence.heard("slow", 0.0, longest)
    assert look(silence, 0.0, 3 * FIRST_EPOCH_S) == FACTOR * longest + 1
    silence.ended("slow")
    silence.began("next", 0.0)
    assert look(StallDetector(), 0.0, 10.0) is None
    assert look(silence, 3 * FIRST_EPOCH_S, 3 * FIRST_EPOCH_S) == 3 * FIRST_EPOCH_S


def test_a_trial_that_ended_is_not_waited_for() -> None:
    silence = StallDetector()
    silence.began("a", 0.0)
    silence.ended("a")
    assert look(silence, 0.0, 2 * FIRST_EPOCH_S) is None


def test_a_driver_that_slept_does_not_blame_the_workers() -> None:
    silence = StallDetector()
    silence.began("a", 0.0)
    assert silence.too_long(1.0) == []
    assert silence.too_long(100_000.0) == []
    assert look(silence, 100_001.0, 100_001.0 + 2 * FIRST_EPOCH_S) == 100_000.0 + FIRST_EPOCH_S


def test_how_long_it_was_silent_is_told() -> None:
    silence = StallDetector()
    silence.began("a", 0.0)
    silence.began("b", FIRST_EPOCH_S)
    looked = [silence.too_long(float(now)) for now in range(int(FIRST_EPOCH_S) + 6)]
    assert looked[-1] == [("a", FIRST_EPOCH_S + 5)]
