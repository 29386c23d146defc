"""The docstring examples of the public names produce the output that they show."""

from __future__ import annotations

import doctest
import inspect

import pytest

import agrm_study as ags

NAMES = [
    name for name in ags.__all__ if inspect.getdoc(getattr(ags, name)) and ">>>" in (getattr(ags, name).__doc__ or "")
]


def test_the_functions_that_a_user_calls_have_examples() -> None:
    assert {"load_study", "run", "open_results", "Results", "ResultTable"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_hold(name: str, ablation: str) -> None:
    given = {"ags": ags, "results": ags.open_results(ablation)}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    for example in doctest.DocTestFinder(recurse=False).find(getattr(ags, name), name, globs=given):
        runner.run(example)
    assert runner.summarize(verbose=False).failed == 0
