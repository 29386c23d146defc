"""Warnings about a study before it runs: impossible comparisons and parts without effect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agrm_study.plan.expand import expand
from agrm_study.plan.notes import study_notes
from agrm_study.plan.same_training import same_training
from agrm_study.study.load import load_study
from agrm_study.study.study import Study

StudyOf = Callable[..., Study]
SHIPPED = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
SAME = """\
set: {ssl.method: supervised}
arms:
  - {name: tau 0.8}
  - {name: tau 0.5, set: {ssl.threshold.tau: 0.5}}
  - {name: slow, set: {optimizer.lr: 1e-5}}
  - {name: slow again, set: {optimizer.lr: 1e-5, ssl.ema.alpha: 0.5, optimizer.momentum: 0.5}}
reference: tau 0.8
"""


def groups(study: Study) -> list[tuple[str, ...]]:
    return [group.arms for group in same_training((arm.name, arm.recipe) for arm in study.arms)]


def groups_by_trial(study: Study) -> list[tuple[str, ...]]:
    """The same from trial ids, another way to the same answer."""
    plan = expand(study, lambda recipe: (f"data {recipe.data.synthetic}", "split"))
    return list(dict.fromkeys(arms for trial in plan.trials if len(arms := plan.arms_of(trial.trial_id)) > 1))


def test_arms_that_are_one_training_are_named_with_the_settings_that_cannot_act(study_of: StudyOf) -> None:
    study = study_of(SAME)
    assert groups(study) == [("tau 0.8", "tau 0.5"), ("slow", "slow again")]
    first, second = same_training((arm.name, arm.recipe) for arm in study.arms)
    assert dict(first.idle) == {"ssl.threshold.tau": "unlabelled clips are not used"}
    assert set(second.idle) == {"ssl.ema.alpha", "optimizer.momentum"}
    assert "`tau 0.8` and `tau 0.5` train identically: ssl.threshold.tau has no effect" in study_notes(study)[0]


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        ("[{name: a}, {name: b, set: {optimizer.lr: 1e-3}}]", []),
        ("[{name: a}, {name: b}]", [("a", "b")]),
        ("[{name: a}, {name: b, set: {early_stop.armed_after: 40}}]", [("a", "b")]),
        ("[{name: a}, {name: b, set: {data.synthetic.seed: 1}}]", []),
        ("[{name: a}, {name: b, set: {evaluate.batch: 8}}, {name: c, set: {model.head: flatten}}]", [("a", "b", "c")]),
    ],
)
def test_arms_are_one_training_exactly_when_their_trials_are_the_same(
    study_of: StudyOf, arms: str, expected: list[tuple[str, ...]]
) -> None:
    study = study_of(f"arms: {arms}\n")
    assert groups(study) == groups_by_trial(study) == expected


@pytest.mark.parametrize("preset", [None, "tiny"])
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_shipped_study_has_anything_to_note(path: Path, preset: str | None) -> None:
    assert study_notes(load_study(path, preset=preset)) == ()


def test_equal_settings_are_called_equal(study_of: StudyOf) -> None:
    [group] = same_training((arm.name, arm.recipe) for arm in study_of("arms: [{name: a}, {name: b}]\n").arms)
    assert (
        group.sentence == "The arms `a` and `b` train identically: their settings are equal. They cannot be compared."
    )


def test_several_arms_without_a_reference_are_noted(study_of: StudyOf) -> None:
    [note] = study_notes(study_of("grid: {ssl.threshold.tau: [0.7, 0.8]}\n"))
    assert "has no reference" in note
    assert study_notes(study_of("arms: [{name: alone}]\n")) == ()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("epochs: 11", "clips have no effect"),  # λ is 0 in the first epoch of a linear ramp
        ("epochs: 11, ssl.ramp.shape: sigmoid", "an effect in the last epoch only"),
        ("epochs: 11, ssl.ramp.epochs: 0", "an effect in the last epoch only"),
        ("epochs: 40, ssl.ramp.shape: step", "clips have no effect"),
        ("epochs: 41, ssl.ramp.shape: step", None),
        ("ssl.ramp.maximum: 0", "clips have no effect"),
        ("epochs: 12", None),
        ("epochs: 11, ssl.method: supervised", None),
    ],
)
def test_unlabelled_clips_that_teach_nothing_are_noted(study_of: StudyOf, settings: str, words: str | None) -> None:
    notes = study_notes(study_of(f"set: {{{settings}}}\narms: [{{name: A}}]\n"))
    assert len(notes) == (words is not None)
    if words is not None:
        assert words in notes[0]
        assert notes[0].startswith("`A`: ")
