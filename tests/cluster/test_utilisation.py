"""Correctness of the measurement of busy slots; no test depends on the measured values."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "utilisation.py"


@pytest.fixture(scope="module")
def utilisation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("utilisation", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["utilisation"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_share_of_busy_slots_is_right_for_trials_whose_times_are_known(utilisation: ModuleType) -> None:
    spans = [(0.0, 4.0), (0.0, 1.0), (2.0, 3.0), (3.0, 5.0)]  # two slots; the second idles from 1 to 2
    found = utilisation.figures(spans, 2)
    assert found["busy"] == pytest.approx(5 / 6)
    assert found["busy_to_the_end"] == pytest.approx(8 / 10)
    assert found["whole_s"] == 5.0


@pytest.mark.cluster
def test_uneven_trials_all_run_on_three_nodes(utilisation: ModuleType, tmp_path: Path) -> None:
    found = utilisation.measure(3, 1, 9, 0.2, tmp_path / "results")
    assert found["trials"] == 9
    assert 0 < found["busy"] <= 1
    assert found["whole_s"] >= 0.2 * 36 / 3  # no schedule is shorter
