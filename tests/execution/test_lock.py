"""Does looking at a results folder get in the way of a run?"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from agrm_study.execution.lock import FOLDER, LOCK, results_lock, running_owner
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError


def test_a_run_starts_though_somebody_looks_at_the_folder_in_that_moment(tmp_path: Path) -> None:
    results = Location.of(tmp_path)
    with results_lock(results, "study"):
        pass
    descriptor = os.open(tmp_path / FOLDER / LOCK, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    looked = threading.Timer(0.2, os.close, [descriptor])
    looked.start()
    with results_lock(results, "study"):
        owner = running_owner(results)
    looked.join()
    assert owner is not None
    assert (owner["study"], owner["pid"]) == ("study", os.getpid())
    assert running_owner(results) is None


def test_a_run_that_is_under_way_is_not_waited_for(tmp_path: Path) -> None:
    results = Location.of(tmp_path)
    with (
        results_lock(results, "first"),
        pytest.raises(InputError, match="study first"),
        results_lock(results, "second"),
    ):
        pass
