"""Trials that finish within a limit, against values computed by hand."""

import pytest

from agrm_study.plan.budget import bought

HOUR = 3600.0


def test_each_slot_takes_the_next_trial_that_still_ends_in_time():
    seconds = [4 * HOUR, 4 * HOUR, 3 * HOUR, None, 5 * HOUR, HOUR, HOUR]
    found = bought(seconds, slots=2, gpu=0.0, time_s=7.5 * HOUR)
    # two of four hours, then three hours, then one in the other slot and another one
    assert (found.trials, found.missing, found.unknown) == (5, 6, 1)
    # without a limit: 4 + 3 and 4 + 5, then one more hour in each slot that is free first
    assert found.all_s == 9 * HOUR


def test_gpu_hours_are_what_is_left_of_the_folder_by_share():
    found = bought([HOUR] * 10, slots=4, gpu=0.5, used_gpu_hours=1.5, gpu_hours=3.2)
    assert found.trials == 3
    assert found.all_gpu_hours == pytest.approx(5.0)
    assert bought([HOUR], slots=1, gpu=1.0, used_gpu_hours=4.0, gpu_hours=3.0).trials == 0
