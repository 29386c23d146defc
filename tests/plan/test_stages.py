"""Trials share exactly the epochs in which all settings with an effect are equal."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agrm_study.plan.epochs import SpanReader, weight_key
from agrm_study.plan.identity import file_hash
from agrm_study.plan.plan import Plan
from agrm_study.plan.stages import Stages, plan_stages, pretraining_end
from agrm_study.study.ssl_settings import Ramp
from agrm_study.training.ssl.ramp import ramp_weight

PlanOf = Callable[..., Plan]
ONE = ("tasks=[two_class]", "seeds=1")


def lengths(stages: Stages) -> list[tuple[int, int, int]]:
    return [(stage.first, stage.last, len(stage.trials)) for stage in stages.stages]


def stages_of(plan: Plan, **options: bool) -> Stages:
    return plan_stages(plan.trials, **options)


def test_thresholds_share_their_supervised_pretraining(plan_of: PlanOf) -> None:
    stages = stages_of(plan_of("grid: {ssl.threshold.tau: [0.6, 0.7, 0.8]}\n", *ONE))
    assert lengths(stages) == [(1, 10, 3), (11, 100, 1), (11, 100, 1), (11, 100, 1)]
    assert stages.epochs_without_sharing == 300
    assert stages.epochs_with_sharing == 280
    assert stages.saved == 20


@pytest.mark.parametrize(
    "factor",
    [
        "ssl.threshold.tau: [0.6, 0.7]",
        "ssl.ema.alpha: [0.9, 0.99]",
        "ssl.threshold.policy: [fixed, freematch]",
        "ssl.method: [agrm, mean_teacher, fixmatch, pseudo_label]",
        "ssl.pseudo.weight: [1, 2]",
        "batch.unlabelled: [8, 16]",
        "augment.strong_branch: [student, both]",
        "augment.weak.flip: [0.5, 0.0]",
        "data.unlabelled_train: [10, 20]",
        "evaluate.network: [student, teacher]",
        "ssl.ramp.maximum: [1, 2]",
    ],
)
def test_what_acts_on_unlabelled_clips_only_cannot_act_in_pretraining(factor: str, plan_of: PlanOf) -> None:
    stages = stages_of(plan_of(f"grid: {{{factor}}}\n", *ONE))
    first = stages.stages[0]
    assert (first.first, first.parent) == (1, None)
    assert first.last >= 10
    assert first.shared
    assert len(stages.children(None)) == 1


@pytest.mark.parametrize(
    "factor",
    [
        "model.pooling.name: [shpm, average]",
        "optimizer.lr: [1e-4, 1e-3]",
        "optimizer.plateau_patience: [5, 6]",
        "early_stop.metric: [macro_f1, loss]",
        "augment.strong.flip: [0.5, 0.0]",
        "data.labelled_fraction: [1.0, 0.5]",
        "batch.labelled: [8, 16]",
        "clip.frames: [8, 16]",
        "loss.name: [cross_entropy, focal]",
    ],
)
def test_what_acts_from_the_first_step_is_never_shared(factor: str, plan_of: PlanOf) -> None:
    stages = stages_of(plan_of(f"grid: {{{factor}}}\n", *ONE))
    assert stages.saved == 0
    assert len(stages.children(None)) == 2


def test_seeds_and_tasks_share_nothing(plan_of: PlanOf) -> None:
    stages = stages_of(plan_of("arms: [{name: AGRM}]\n"))
    assert stages.saved == 0
    assert len(stages.stages) == 6


def test_without_mean_teacher_the_same_chain_goes_on(plan_of: PlanOf) -> None:
    plan = plan_of("arms:\n  - {name: AGRM}\n  - {name: w/o MTM, set: {ssl.method: supervised}}\n", *ONE)
    stages = stages_of(plan)
    assert lengths(stages) == [(1, 10, 2), (11, 100, 1), (11, 100, 1)]
    assert {stage.parent for stage in stages.stages[1:]} == {stages.stages[0].key}


def test_a_longer_pretraining_goes_on_where_the_shorter_one_ended(plan_of: PlanOf) -> None:
    text = "grid: {ssl.pretrain_epochs: [5, 10, 20]}\nset: {early_stop.armed_after: 60}\n"
    stages = stages_of(plan_of(text, *ONE))
    assert lengths(stages) == [(1, 5, 3), (6, 100, 1), (6, 10, 2), (11, 100, 1), (11, 100, 1)]


def test_a_study_with_more_epochs_continues_the_shorter_one(plan_of: PlanOf) -> None:
    plan = plan_of("grid: {epochs: [50, 100]}\n", *ONE)
    stages = stages_of(plan)
    assert lengths(stages) == [(1, 50, 2), (51, 100, 1)]
    assert stages.stages[0].ends == (next(t.trial_id for t in plan.trials if t.recipe.epochs == 50),)
    assert stages.saved == 50


def test_ramps_part_where_their_weights_do(plan_of: PlanOf) -> None:
    text = "grid: {ssl.ramp.epochs: [10, 30]}\nset: {early_stop.armed_after: 70}\n"
    assert lengths(stages_of(plan_of(text, *ONE))) == [(1, 11, 2), (12, 100, 1), (12, 100, 1)]


def test_early_stopping_parts_trials_only_once_it_is_armed(plan_of: PlanOf) -> None:
    by_patience = stages_of(plan_of("grid: {early_stop.patience: [5, 10]}\n", *ONE))
    assert lengths(by_patience) == [(1, 39, 2), (40, 100, 1), (40, 100, 1)]
    by_start = stages_of(plan_of("grid: {early_stop.armed_after: [20, 30]}\n", *ONE))
    assert lengths(by_start) == [(1, 19, 2), (20, 100, 1), (20, 100, 1)]


def test_keys_do_not_depend_on_the_other_trials(plan_of: PlanOf) -> None:
    few = stages_of(plan_of("grid: {ssl.threshold.tau: [0.6, 0.7]}\n", *ONE))
    many = stages_of(plan_of("grid: {ssl.threshold.tau: [0.6, 0.7, 0.8, 0.9]}\n", *ONE))
    assert set(few.by_key) < set(many.by_key)
    alone = stages_of(plan_of("grid: {ssl.threshold.tau: [0.6]}\n", *ONE))
    assert alone.stages[-1].key in few.by_key


def test_without_sharing_each_trial_is_one_stage(plan_of: PlanOf) -> None:
    plan = plan_of("grid: {ssl.threshold.tau: [0.6, 0.7, 0.8]}\n", *ONE)
    stages = stages_of(plan, share=False)
    assert lengths(stages) == [(1, 100, 1)] * 3
    assert stages.saved == 0
    shared = stages_of(plan)
    assert [stages.chain(t.trial_id)[-1].key for t in plan.trials] == [
        shared.chain(t.trial_id)[-1].key for t in plan.trials
    ]


def test_a_chain_covers_every_epoch_once_and_parents_come_first(plan_of: PlanOf) -> None:
    plan = plan_of(
        "grid:\n  ssl.method: [agrm, supervised]\n  ssl.pretrain_epochs: [5, 10]\n  epochs: [60, 100]\n"
        "  ssl.ramp.epochs: [0, 30]\n"
    )
    stages = stages_of(plan)
    seen: set[str] = set()
    for stage in stages.stages:
        assert stage.parent is None or stage.parent in seen
        seen.add(stage.key)
    for trial in plan.trials:
        chain = stages.chain(trial.trial_id)
        assert [stage.parent for stage in chain] == [None, *(stage.key for stage in chain[:-1])]
        epochs = [epoch for stage in chain for epoch in range(stage.first, stage.last + 1)]
        assert epochs == list(range(1, trial.recipe.epochs + 1))
        assert trial.trial_id in chain[-1].ends
    assert stages.epochs_without_sharing == sum(trial.recipe.epochs for trial in plan.trials)
    assert len(seen) == len(stages.stages)


def test_what_is_there_is_not_trained_and_neither_is_what_only_led_to_it(plan_of: PlanOf) -> None:
    plan = plan_of("grid: {ssl.threshold.tau: [0.6, 0.7, 0.8]}\n", *ONE)
    stages = stages_of(plan)
    root, *leaves = stages.stages
    one, two, three = (trial.trial_id for trial in plan.trials)
    assert stages.to_train() == stages.stages
    assert stages.to_train([root.key]) == tuple(leaves)
    assert stages.to_train([leaves[0].key]) == (root, *leaves[1:])
    assert stages.to_train([stage.key for stage in leaves]) == ()
    assert stages.inherited() == {one: 0, two: 10, three: 10}
    assert stages.inherited([root.key]) == {one: 10, two: 10, three: 10}
    assert stages.inherited([leaves[0].key]) == {one: 100, two: 0, three: 10}
    assert sum(stages.inherited().values()) == stages.saved


def test_a_stage_also_ends_where_a_state_is_there(plan_of: PlanOf) -> None:
    """The states at the ends of a shorter study's trials serve a longer one, whose own trials part nowhere there."""
    short = stages_of(plan_of("grid: {ssl.threshold.tau: [0.6, 0.7]}\n", "epochs=40", *ONE))
    states = {stage.key for stage in short.stages}
    longer = plan_of("grid: {ssl.threshold.tau: [0.7]}\n", *ONE)
    assert lengths(stages_of(longer)) == [(1, 100, 1)]
    stages = plan_stages(longer.trials, known=states)
    assert lengths(stages) == [(1, 10, 1), (11, 40, 1), (41, 100, 1)]
    assert {stage.key for stage in stages.stages[:2]} < states
    assert plan_stages(longer.trials, known={"of something else"}) == stages_of(longer)


def test_the_pretraining_of_a_trial_ends_where_arms_would_part(plan_of: PlanOf) -> None:
    plan = plan_of("grid: {ssl.method: [agrm, supervised], ssl.threshold.tau: [0.6, 0.7]}\n", *ONE)
    reader = SpanReader(file_hash)
    ends = [pretraining_end(trial, reader) for trial in plan.trials]
    assert ends.count((stages_of(plan).stages[0].key, 10)) == 2
    assert ends.count(None) == 1  # the supervised trial, which τ does not double
    (none,) = plan_of("arms: [{name: none}]\n", "ssl.pretrain_epochs=0", *ONE).trials
    assert pretraining_end(none, reader) is None


RAMPS = st.builds(
    Ramp,
    shape=st.sampled_from(["linear", "sigmoid", "step"]),
    epochs=st.integers(0, 4),
    maximum=st.sampled_from([0.0, 0.5, 1.0]),
)


@given(RAMPS, RAMPS, st.integers(0, 6))
def test_equal_weight_keys_mean_equal_weights(one: Ramp, other: Ramp, since_start: int) -> None:
    if weight_key(one, since_start) == weight_key(other, since_start):
        assert ramp_weight(one, since_start) == ramp_weight(other, since_start)


@pytest.mark.slow
def test_planning_takes_time_in_proportion_to_the_trials(plan_of: PlanOf) -> None:
    """Four times the trials take at most eight times as long: 16 times would be quadratic."""

    def seconds(seeds: int) -> float:
        plan = plan_of(
            "arms: [{name: A}, {name: B, set: {ssl.ema.alpha: 0.9}}]\n", "tasks=[two_class]", f"seeds={seeds}"
        )
        best = float("inf")
        for _ in range(3):
            before = time.process_time()
            stages_of(plan).inherited()
            best = min(best, time.process_time() - before)
        return best

    assert seconds(8000) < 8 * seconds(2000)


@pytest.mark.parametrize(
    ("setting", "shared"), [("optimizer.schedule: cosine", 0), ("optimizer.schedule: constant", 20)]
)
def test_a_cosine_depends_on_the_last_epoch_from_the_first_one_on(
    plan_of: Callable[..., Plan], setting: str, shared: int
) -> None:
    text = f"set: {{{setting}}}\narms: [{{name: A, set: {{epochs: 20}}}}, {{name: B, set: {{epochs: 30}}}}]\n"
    stages = plan_stages(plan_of(text, "tasks=[three_class]", "seeds=[0]").trials).stages
    assert sum(stage.epochs for stage in stages if stage.shared) == shared


def test_an_armed_plateau_parts_trials_where_one_of_them_is_armed(plan_of: Callable[..., Plan]) -> None:
    text = (
        "set: {ssl.method: supervised, optimizer.plateau_armed: true}\n"
        "arms: [{name: A, set: {early_stop.armed_after: 15}}, {name: B, set: {early_stop.armed_after: 25}}]\n"
    )
    stages = plan_stages(plan_of(text, "tasks=[three_class]", "seeds=[0]").trials).stages
    assert [stage.last for stage in stages if stage.shared] == [14]


def test_an_evaluated_average_acts_from_the_first_epoch_on(plan_of: Callable[..., Plan]) -> None:
    text = (
        "arms: [{name: A, set: {ssl.method: fixmatch}}, {name: B, set: {ssl.method: fixmatch, evaluate.ema: true}}]\n"
    )
    stages = plan_stages(plan_of(text, "tasks=[three_class]", "seeds=[0]").trials).stages
    assert not any(stage.shared for stage in stages)


@pytest.mark.parametrize(
    "setting",
    [
        "ssl.batch_norm: per_domain",
        "ssl.threshold.alignment: labels",
        "ssl.threshold.fairness: 0.1, ssl.threshold.policy: freematch",
    ],
)
def test_settings_of_unlabelled_clips_part_trials_after_pretraining(plan_of: Callable[..., Plan], setting: str) -> None:
    stages = plan_stages(
        plan_of(f"arms: [{{name: A}}, {{name: B, set: {{{setting}}}}}]\n", "tasks=[three_class]", "seeds=[0]").trials
    ).stages
    assert [stage.last for stage in stages if stage.shared] == [10]
