"""Running from Python: return values, warnings and the notebook display."""

from __future__ import annotations

import sys
import types
from dataclasses import replace

import pytest
from tiny_study import tiny_study

import agrm_study as ags
from agrm_study.api import run as module
from agrm_study.api.notebook_view import NotebookView, in_notebook
from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.summary import FailedTrial, RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.plan.plan import Cell

SUMMARY = RunSummary(
    study="s",
    results="r",
    total=2,
    before=0,
    finished=1,
    failed=(),
    held=0,
    unfinished=0,
    interrupted=False,
    wall_s=1.0,
)
FAILED = FailedTrial(trial_id="t", arm="AGRM", task="two_class", seed=1, failure="bug", error="ValueError: no\nmore")


@pytest.fixture
def study() -> ags.Study:
    return ags.load_study(tiny_study("tiny", {"AGRM": {}}, epochs=5))


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch):
    def set_end(summary: RunSummary) -> None:
        monkeypatch.setattr(module, "run_study", lambda *args, **more: summary)
        monkeypatch.setattr(module, "report_on", lambda *args, **more: None)
        monkeypatch.setattr(module, "Results", lambda path, summary: summary)

    return set_end


def test_failed_trials_are_a_warning_that_names_them(study, ends) -> None:
    ends(replace(SUMMARY, failed=(FAILED,)))
    with pytest.warns(ags.RunWarning, match="AGRM, two_class, seed 1: bug: ValueError: no"):
        ags.run(study, "r", progress=False)


def test_an_interrupted_run_raises_a_keyboard_interrupt_after_the_report(study, ends) -> None:
    ends(replace(SUMMARY, interrupted=True))
    with pytest.raises(KeyboardInterrupt, match="1 of 2 trials finished"):
        ags.run(study, "r", progress=False)


def test_a_run_that_ends_early_raises_an_input_error(study, ends) -> None:
    ends(replace(SUMMARY, error="the disk is full"))
    with pytest.raises(ags.InputError, match="the disk is full"):
        ags.run(study, "r", progress=False)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a stand-in for a Jupyter kernel's display shows."""
    pages: list[str] = []
    handle = types.SimpleNamespace(update=pages.append)
    display = types.SimpleNamespace(HTML=str, display=lambda page, display_id: handle)
    fake = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=1), display=display)
    monkeypatch.setitem(sys.modules, "IPython", fake)
    return pages


def test_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace()))
    assert not in_notebook()


def test_a_notebook_shows_a_bar_with_counts_and_escapes_what_a_user_wrote(study, shown) -> None:
    assert in_notebook()
    cells = [Cell("A<b>", "three_class", seed, f"t{seed}") for seed in (0, 1)]
    progress = StudyProgress.of(study, cells, {})
    with NotebookView() as view:
        view.step(Step("Decoding videos", 3, 10))
        assert 'value="3" max="10"' in shown[-1]
        view.begin(progress)
        trial = progress.apply(TrialEvent(kind="finished", trial_id="t0", epoch=5, metric=0.75))
        view.event(TrialEvent(kind="finished", trial_id="t0", epoch=5, metric=0.75), trial)
        view.message("1 & 2")
    assert 'value="1" max="2"' in shown[-1]
    assert "1 of 2 trials finished" in shown[-1]
    assert "best macro_f1 0.750 (A&lt;b&gt;, seed 0)" in shown[-1]
    assert "1 &amp; 2" in shown[-1]
