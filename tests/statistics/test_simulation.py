"""The headline interval and the dagger, judged by simulated studies; docs/statistics.md shows the long run."""

import importlib.util
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_headline_interval_covers_and_the_dagger_rarely_stands_where_nothing_differs():
    file = Path(__file__).parents[2] / "benchmarks" / "intervals.py"
    spec = importlib.util.spec_from_file_location("intervals", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["intervals"] = module
    spec.loader.exec_module(module)
    found = module.simulate(studies=300)
    for name, h in found.items():
        # 300 studies: standard error of a rate of 5 % is 1.3 points.
        assert h["coverage"] > 0.88, name
        assert h["coverage"] > h["coverage_seeds"], name
        assert h["dagger"] < 0.05 + 2.6 * 0.013, name
