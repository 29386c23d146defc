"""Studies without data: the plan is real, the data are only named, and a scripted runner replaces the trainer."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.options import RunOptions
from agrm_study.execution.run import run_study
from agrm_study.execution.summary import RunSummary
from agrm_study.study.load import load_study
from agrm_study.study.study import Study

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

from named_data import RUNNER, NamedData  # noqa: E402


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """Loads a study with these arms (name → τ, or other settings) and seeds."""

    def make(arms: dict[str, Any] | None = None, seeds: int = 2, **extra: Any) -> Study:
        arms = arms or {"A": 0.5, "B": 0.6}
        content = {
            "name": "study",
            "tasks": ["three_class"],
            "seeds": seeds,
            "data": {"synthetic": {"subjects": 6}},
            "arms": [
                {"name": name, "set": tau if isinstance(tau, dict) else {"ssl.threshold.tau": tau}}
                for name, tau in arms.items()
            ],
            "reference": next(iter(arms)),
            "sharing": False,
        } | extra
        file = tmp_path / "study.yaml"
        file.write_text(json.dumps(content))
        return load_study(file)

    return make


@pytest.fixture
def search_of(tmp_path: Path) -> Callable[..., Study]:
    """Loads a study that searches for τ, over keys of its `search`; `also` are other keys of the study."""

    def make(
        reference: str | None = "base",
        seeds: int = 2,
        also: dict[str, Any] | None = None,
        point_seeds: int = 1,
        **search: Any,
    ) -> Study:
        content = {
            "name": "hunt",
            "tasks": ["three_class"],
            "seeds": seeds,
            "data": {"synthetic": {"subjects": 6}},
            "search": {
                "trials": 5,
                "promote": 2,
                "sampler": "random",
                "space": {"ssl.threshold.tau": {"float": [0.5, 0.99]}},
                "seeds": point_seeds,
            }
            | search,
            "reference": reference,
            "sharing": False,
        } | (also or {})
        file = tmp_path / "hunt.yaml"
        file.write_text(json.dumps(content))
        return load_study(file)

    return make


@pytest.fixture
def tuned_of(tmp_path: Path) -> Callable[..., Study]:
    """Loads a study that tunes τ of two arms, over keys of its `tune`; `also` are other keys of the study."""

    def make(also: dict[str, Any] | None = None, **tune: Any) -> Study:
        content = {
            "name": "alike",
            "tasks": ["three_class"],
            "seeds": 2,
            "data": {"synthetic": {"subjects": 6}},
            "arms": [{"name": "A"}, {"name": "B", "set": {"model.pooling.name": "average"}}],
            "tune": {
                "trials": 4,
                "sampler": "random",
                "space": {"ssl.threshold.tau": {"float": [0.5, 0.99]}},
            }
            | tune,
            "reference": "A",
            "sharing": False,
        } | (also or {})
        file = tmp_path / "alike.yaml"
        file.write_text(json.dumps(content))
        return load_study(file)

    return make


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """An empty results folder with an empty script."""
    return _with_script(tmp_path / "results")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A second one, for a run without interruption."""
    return _with_script(tmp_path / "whole")


def _with_script(folder: Path) -> Path:
    folder.mkdir()
    (folder / "script.json").write_text("{}")
    return folder


@pytest.fixture
def script(results: Path) -> Callable[..., None]:
    """Writes the script."""
    return lambda **arms: (results / "script.json").write_text(json.dumps(arms))  # type: ignore[return-value]


@pytest.fixture
def run(results: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunSummary]:
    """Runs a study inline with the scripted runner, with the signal handlers of the command or without."""
    monkeypatch.setattr("agrm_study.execution.run.prepare", lambda *a, **k: NamedData())
    monkeypatch.setenv("PYTHONPATH", HERE, prepend=os.pathsep)  # Ray's workers import the scripted runner

    def run(study: Study, *, view: Any = None, as_command: bool = True, **options: Any) -> RunSummary:
        values = {"results": results, "executor": "inline", "runner": RUNNER, "checkpoint_every_s": 0.0} | options
        with Interrupt() if as_command else contextlib.nullcontext() as interrupt:
            return run_study(study, RunOptions(**values), view=view, interrupt=interrupt)

    return run


@pytest.fixture
def hunt(run: Callable[..., RunSummary]) -> Callable[..., RunSummary]:
    """Runs a study with the runner whose score is a function of τ."""
    return lambda study, **options: run(study, runner="search_runner:SearchRunner", **options)
