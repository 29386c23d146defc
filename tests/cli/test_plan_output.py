"""The table and the sentences of `plan` agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click.testing
import pytest

from agrm_study.api import planning
from agrm_study.cli.plan import plan, seeds_text
from agrm_study.cli.plan_cost import bought_sentence, disk_sentence
from agrm_study.cli.run import run
from agrm_study.plan.budget import Bought
from agrm_study.plan.disk import Disk
from agrm_study.plan.summary import PlanSummary
from agrm_study.study.errors import InputError

STUDY = """\
name: small
tasks: [two_class]
seeds: 2
data: {synthetic: {subjects: 18, unlabelled: 12}}
set: {ssl.method: supervised}
"""
ARMS = STUDY + "arms:\n  - {name: A}\n  - {name: B, set: {ssl.threshold.tau: 0.5}}\n"
SEARCH = STUDY + "search: {trials: 4, promote: 1, space: {optimizer.lr: {float: [1e-5, 1e-3]}}}\n"
Invoke = Callable[..., click.testing.Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.chdir(tmp_path)

    def planned(text: str, *words: str) -> click.testing.Result:
        (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
        return click.testing.CliRunner().invoke(plan, ["study.yaml", *words], catch_exceptions=False)

    return planned


def test_notes_are_shown_and_are_in_the_json(invoke: Invoke) -> None:
    assert "note: The arms `A` and `B` train identically" in invoke(ARMS).stdout
    notes = json.loads(invoke(ARMS, "--json").stdout)["notes"]
    assert len(notes) == 2
    assert "has no reference" in notes[1]


def test_a_search_counts_its_own_trials_apart_from_its_arms(invoke: Invoke) -> None:
    told = invoke(SEARCH).stdout
    assert "search: 4 trials on validation data, 0 finished, 4 to run; then its best 1 × 2 seeds, 2 more trials" in told
    assert "arms known so far: 2 trials, 2 to run; search and final phase together: 800 epochs at most" in told


def test_trials_that_another_study_has_finished_are_not_new(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def plan_study(*args: Any, **options: Any) -> PlanSummary:
        summary = plan_as_it_is(*args, **options)
        return replace(summary, missing=0, equal_beside=2, arms=(replace(summary.arms[0], reused=2),))

    plan_as_it_is = planning.plan_study
    monkeypatch.setattr(planning, "plan_study", plan_study)
    told = invoke(STUDY + "arms: [{name: A}]\n").stdout
    assert told.splitlines()[3].split() == ["arm", "trials", "finished", "failed", "reused", "new"]
    assert told.splitlines()[4].split() == ["A", "2", "0", "0", "2", "0"]
    assert "2 trials are finished in results folders next to this one; `run` reuses them" in told
    assert "Nothing to train" in told


def test_many_seeds_are_shown_by_their_ends() -> None:
    assert seeds_text([3, 1]) == "3, 1"
    assert seeds_text(range(32_000)) == "0, 1, …, 31999 (32000 seeds)"


def test_run_shows_the_same_notes_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study.yaml").write_text(ARMS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def refuse(*args: object, **options: object) -> None:
        raise InputError("stopped here")

    monkeypatch.setattr("agrm_study.execution.run.run_study", refuse)
    done = click.testing.CliRunner().invoke(run, ["study.yaml"])
    assert "note: The arms `A` and `B` train identically" in done.stderr
    assert str(done.exception) == "stopped here"


def test_steps_and_memories_are_shown_and_noted_where_the_training_is_too_short(invoke: Invoke) -> None:
    """12 subjects: 8 train, one step of 16 an epoch, so α = 0.99 remembers 100 of the 90 steps with a teacher."""
    text = STUDY.replace("subjects: 18", "subjects: 12") + "arms: [{name: A}]\n"
    text = text.replace("set: {ssl.method: supervised}", "set: {steps_per_epoch: null}")
    told = invoke(text).stdout
    assert "1 step × 100 epochs over 8 labelled clips; ssl.ema.alpha 0.99 has a memory of 100 updates" in told
    assert "note: `A`: ssl.ema.alpha 0.99 has a memory of 100 updates" in told
    (steps,) = json.loads(invoke(text, "--json").stdout)["steps"]
    assert (steps["clips"], steps["per_epoch"], steps["averages"][0]["keep"]) == (8, 1, 0.99)
    assert "note" not in invoke(text.replace("null", "20")).stdout


def test_disk_space_that_is_not_there_is_said() -> None:
    disk = Disk(weights=0, checkpoint=2_000_000, states=0, records=None, unknown=0, free=1_000_000)
    assert disk_sentence(disk, kept=False) == (
        "Disk: up to 2.0 MB more: no weights (`keep_weights: none`), 2.0 MB of checkpoints per running trial. "
        "Only 1.0 MB is free."
    )


def test_a_limit_is_answered_with_the_trials_that_it_buys(invoke: Invoke) -> None:
    told = invoke(ARMS, "--for", "7h30m", "--slots", "2").stdout
    assert "--for 7h30m with 2 slots: unknown, as no trial of this kind has run." in told
    facts = json.loads(invoke(ARMS, "--for", "7h30m", "--slots", "2", "--json").stdout)
    assert (facts["bought"]["time_s"], facts["bought"]["slots"], facts["bought"]["unknown"]) == (27_000, 2, 2)
    assert json.loads(invoke(ARMS, "--json").stdout)["bought"] is None
    with pytest.raises(InputError, match=r"`--for`.*must be a duration"):
        invoke(ARMS, "--for", "7.5h")


def test_the_sentence_on_a_limit_says_what_all_trials_need() -> None:
    found = Bought(
        time_s=7200.0, gpu_hours=10.0, used_gpu_hours=4.25, slots=1, trials=3, missing=8, unknown=1, all_s=18_000.0,
        all_gpu_hours=2.5,
    )  # fmt: skip
    assert bought_sentence(found) == (
        "--for 2h with 1 slot, --gpu-hours 10, 4.2 of them used: 3 of 8 missing trials finish, all trials "
        "take about 5 h 00 min, all trials need 2.5 more GPU-hours; 1 trial of an unmeasured kind is not included."
    )
