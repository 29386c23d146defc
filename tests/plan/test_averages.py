"""Steps and moving averages of a study's arms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agrm_study.plan.averages import arm_steps, averages_of, memory_notes, steps_sentences
from agrm_study.plan.notes import study_notes
from agrm_study.plan.plan import Plan
from agrm_study.plan.stages import plan_stages
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Study

FREEMATCH = {"ssl": {"threshold": {"policy": "freematch"}}}


def clips(recipe: Recipe) -> dict[str, int]:
    return {"train": 100}


def test_a_memory_longer_than_the_training_is_noted_with_the_updates_that_there_are() -> None:
    """100 clips in steps of 16 are 7 steps; 100 − 10 epochs with a teacher, 89 of them with λ above 0."""
    alpha, momentum = averages_of(Recipe.model_validate(FREEMATCH), 100)
    assert (alpha.memory, alpha.updates, alpha.too_long) == (pytest.approx(100), 630, False)
    assert (momentum.memory, momentum.updates, momentum.too_long) == (pytest.approx(1000), 623, True)


@pytest.mark.parametrize(("alignment", "momenta"), [("none", 0), ("uniform", 1)])
def test_a_memory_is_not_ascribed_to_a_policy_of_the_users_own(alignment: str, momenta: int) -> None:
    threshold = {"policy": "rising@0123456789abcdef", "alignment": alignment}
    alpha, *momentum = averages_of(Recipe.model_validate({"ssl": {"threshold": threshold}}), 100)
    assert alpha.setting == "ssl.ema.alpha"
    assert len(momentum) == momenta


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ("ssl.threshold.policy: freematch", ["momentum"]),
        ("ssl.threshold: {policy: freematch, memory_epochs: 3}", []),
        ("ssl.threshold.policy: freematch, steps_per_epoch: 12", []),
        ("ssl.threshold.policy: fixed", []),
        ("ssl.threshold.policy: freematch, ssl.method: mean_teacher", []),
        ("ssl.threshold.policy: freematch, ssl.method: supervised, ssl.ema.alpha: 0.9999", []),
        ("ssl.ema.alpha: 0.999", ["alpha"]),
        ("ssl.ema: {alpha: 0.999, warmup: true}", []),
        ("ssl.threshold.policy: softmatch, ssl.pseudo.mode: rounds", ["momentum"]),
    ],
)
def test_a_note_names_the_average_that_stays_near_its_start(
    study_of: Callable[..., Study], settings: str, named: list[str]
) -> None:
    notes = memory_notes(arm_steps(study_of(f"set: {{{settings}}}\narms: [{{name: A}}]\n"), clips))
    assert len(notes) == len(named)
    for note, name in zip(notes, named, strict=True):
        assert note.startswith("`A`: ")
        assert name in note


def test_a_plan_states_steps_and_memories_once_for_arms_that_share_them(study_of: Callable[..., Study]) -> None:
    text = "set: {ssl.ema.memory_epochs: 3}\narms: [{name: A}, {name: B, set: {steps_per_epoch: 20}}]\n"
    one, two = steps_sentences(arm_steps(study_of(text), clips))
    assert one == (
        "7 steps × 100 epochs over 100 labelled clips; ssl.ema.alpha 0.9524 has a memory of 21 updates (3 epochs) (A)"
    )
    assert two.startswith(
        "20 steps × 100 epochs over 100 labelled clips; ssl.ema.alpha 0.9833 has a memory of 60 updates"
    )


def test_label_efficiency_without_fixed_steps_is_noted(study_of: Callable[..., Study]) -> None:
    grid = "grid: {data.labelled_fraction: [0.1, 1.0]}\nreference: labels=1.0\n"
    [note] = study_notes(study_of(grid))
    assert "Set steps_per_epoch" in note
    assert study_notes(study_of("set: {steps_per_epoch: 10}\n" + grid)) == ()


def test_fixed_steps_are_another_training_from_the_first_epoch(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of("arms: [{name: A}, {name: B, set: {steps_per_epoch: 20}}]\n", "tasks=[three_class]", "seeds=[0]")
    assert not any(stage.shared for stage in plan_stages(plan.trials).stages)


def test_the_teachers_memory_is_shared_until_the_teacher_starts(plan_of: Callable[..., Plan]) -> None:
    text = "arms: [{name: A}, {name: B, set: {ssl.ema.memory_epochs: 3}}]\n"
    stages = plan_stages(plan_of(text, "tasks=[three_class]", "seeds=[0]").trials).stages
    assert [stage.last for stage in stages if stage.shared] == [10]
