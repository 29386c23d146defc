"""Settings and epochs that the plan treats as equal give equal training runs.

Both variants are trained, and their results are compared bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agrm_study.plan.acting import OF_THE_SHIPPED_TRAINER, RULES, acting_recipe, idle_settings, matching
from agrm_study.plan.expand import TrialBuilder
from agrm_study.plan.stages import plan_stages
from agrm_study.study.merge import with_settings
from agrm_study.study.problems import Place
from agrm_study.study.recipe import Recipe
from agrm_study.study.settings import Setting, value_of
from agrm_study.training.fit import fit
from agrm_study.training.loop import Training
from agrm_study.training.outcome import TrialOutcome

OTHER: dict[str, Any] = {
    "augment.strong_branch": "both", "augment.weak.shift": 0.9, "augment.weak.flip": 0.0, "augment.strong.shift": 0.1,
    "augment.strong.flip": 0.0, "augment.strong.brightness": 0.0, "augment.strong.contrast": 0.0,
    "augment.strong.saturation": 0.0, "augment.strong.hue": 0.0, "augment.strong.noise": 0.0,
    "augment.strong.erase": 0.9, "augment.strong.erase_area": [0.2, 0.3], "augment.strong.temporal_jitter": 0,
    "augment.strong.speed": 0.0, "augment.strong.reverse": 0.5, "augment.strong.warp": 0.5,
    "augment.strong.tubes": 0.5, "augment.strong.tube_grid": 4,
    "model.depth": 18, "model.head": "flatten", "model.pooling.bins": [[2, 2]], "model.pooling.combine": "concat",
    "ssl.pretrain_epochs": 3, "ssl.ema.alpha": 0.9, "ssl.ema.buffers": "copy", "ssl.ema.warmup": True,
    "ssl.ramp.shape": "sigmoid", "ssl.ramp.epochs": 1, "ssl.ramp.maximum": 3.0, "ssl.threshold.policy": "softmatch",
    "ssl.threshold.tau": 0.01, "ssl.threshold.momentum": 0.1, "ssl.threshold.n_sigma": 1.0,
    "ssl.threshold.percentile": 10.0, "ssl.pseudo.mode": "rounds", "ssl.pseudo.target": "soft",
    "ssl.pseudo.weight": 3.0, "ssl.pseudo.confidence": "min", "ssl.pseudo.round_epochs": 1,
    "loss.focal_gamma": 0.5, "loss.class_balanced_beta": 0.1, "loss.arcface_scale": 2.0, "loss.arcface_margin": 0.1,
    "optimizer.layer_decay": 0.5, "ssl.threshold.options": {"a": 1},
    "optimizer.momentum": 0.1, "optimizer.betas": [0.1, 0.2],
    "batch.unlabelled": 2, "evaluate.network": "student", "evaluate.unlabelled": False, "evaluate.ema": True,
    "ssl.batch_norm": "joint", "ssl.views": 2, "ssl.threshold.alignment": "uniform", "ssl.threshold.fairness": 0.5,
    "ssl.pseudo.uncertainty": "views", "ssl.pseudo.uncertainty_max": 0.9, "ssl.pseudo.uncertainty_passes": 3,
    "optimizer.plateau_factor": 0.1, "optimizer.plateau_patience": 1, "optimizer.plateau_armed": True,
    "ssl.ema.memory_epochs": 2.0, "ssl.threshold.memory_epochs": 2.0, "training.patience": 1,
}  # fmt: skip
"""Another value of every setting that a rule names, but for what is asked of data and store, which the trainer does not
read, and `evaluate.batch`, whose sums are rounded otherwise."""

BASES: dict[str, dict[str, Any]] = {
    "agrm": {},
    "agrm with soft targets": {"ssl.pseudo.target": "soft"},
    "agrm without pseudo-labels": {"ssl.pseudo.mode": "off"},
    "agrm in rounds": {"ssl.pseudo.mode": "rounds", "ssl.pseudo.round_epochs": 2},
    "supervised": {"ssl.method": "supervised"},
    "supervised on weak views": {"ssl.method": "supervised", "augment.labelled": "weak"},
    "mean teacher": {"ssl.method": "mean_teacher"},
    "pseudo-label": {"ssl.method": "pseudo_label"},
    "fixmatch": {"ssl.method": "fixmatch"},
    "flexmatch": {"ssl.threshold.policy": "flexmatch"},
    "freematch": {"ssl.threshold.policy": "freematch"},
    "softmatch": {"ssl.threshold.policy": "softmatch"},
    "percentile": {"ssl.threshold.policy": "percentile"},
    "relative threshold": {"ssl.threshold.policy": "relative"},
    "memories in epochs": {
        "ssl.ema.memory_epochs": 1.0,
        "ssl.threshold.policy": "freematch",
        "ssl.threshold.memory_epochs": 1.0,
    },
    "an average of a supervised network": {"ssl.method": "supervised", "evaluate.ema": True},
    "cosine": {"optimizer.schedule": "cosine"},
    "average pooling": {"model.pooling.name": "average"},
    "maximum pooling": {"model.pooling.name": "max"},
    "c3d": {"model.backbone": "c3d"},
    "c3d with average pooling": {"model.backbone": "c3d", "model.pooling.name": "average"},
    "uniformer": {"model.backbone": "uniformer_s"},
    "r2plus1d": {"model.backbone": "r2plus1d_18"},
    "mc3": {"model.backbone": "mc3_18"},
    "focal": {"loss.name": "focal"},
    "class balanced": {"loss.name": "class_balanced"},
    "corn": {"loss.name": "corn"},
    "arcface": {"loss.name": "arcface", "model.classifier": "arcface"},
    "sgd": {"optimizer.name": "sgd"},
    "linear probe": {"model.freeze": ["backbone"]},
}

ALWAYS = {"agrm", "supervised", "with and without mean teacher", "two thresholds"}
"""What every run of the tests tries; the rest takes minutes."""


def cases(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in names]


RecipeOf = Callable[..., Recipe]


@pytest.fixture
def recipe_of(tiny_recipe: RecipeOf) -> RecipeOf:
    def make(*changes: dict[str, Any], epochs: int = 4) -> Recipe:
        settings = [Setting(name, value, Place(None)) for change in changes for name, value in change.items()]
        return Recipe.model_validate(with_settings(tiny_recipe(epochs=epochs).settings(), settings))

    return make


def content(outcome: TrialOutcome) -> Any:
    """All of an outcome, comparable to the last bit."""
    predictions = [
        (p.split, p.network, p.epoch, p.clip_id, p.label.tobytes(), p.logits.tobytes()) for p in outcome.predictions
    ]
    return repr(replace(outcome, predictions=())), predictions


def test_another_value_of_every_setting_that_a_rule_names_is_tried() -> None:
    rules = [rule for rule in RULES if rule.settings is not OF_THE_SHIPPED_TRAINER]
    named = {name for rule in rules for pattern in rule.settings for name in matching(pattern)}
    elsewhere = {name for name in named if name.startswith(("data.", "clip."))} | {"evaluate.batch"}
    assert named - elsewhere <= set(OTHER)


@pytest.mark.parametrize("base", cases(BASES))
def test_settings_that_cannot_act_change_no_bit_of_the_outcome(base: str, tiny_data: Any, recipe_of: RecipeOf) -> None:
    recipe = recipe_of(BASES[base])
    idle = [name for name in idle_settings(recipe) if name in OTHER]
    changes = {name: OTHER[name] for name in idle} | {"early_stop.armed_after": recipe.armed_after}
    changed = recipe_of(BASES[base], changes)
    assert all(value_of(changed, name) != value_of(recipe, name) for name in idle)
    first = content(fit(recipe, **tiny_data.arguments))
    assert content(fit(changed, **tiny_data.arguments)) == first
    assert content(fit(acting_recipe(changed), **tiny_data.arguments)) == first


def test_a_supervised_trial_does_not_see_the_unlabelled_clips(tiny_data: Any, recipe_of: RecipeOf) -> None:
    recipe = recipe_of({"ssl.method": "supervised"})
    fewer = replace(tiny_data.split, unlabelled_train=(), unlabelled_val=())
    arguments = {**tiny_data.arguments, "split": fewer}
    assert content(fit(recipe, **arguments)) == content(fit(recipe, **tiny_data.arguments))


PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "with and without mean teacher": ({}, {"ssl.method": "supervised"}),
    "two thresholds": ({"ssl.threshold.tau": 0.4}, {"ssl.threshold.tau": 0.9}),
    "two policies": ({}, {"ssl.threshold.policy": "freematch"}),
    "two methods": ({"ssl.method": "fixmatch"}, {"ssl.method": "mean_teacher"}),
    "two rounds": ({}, {"ssl.pseudo.mode": "rounds"}),
    "two keep rates": ({}, {"ssl.ema.alpha": 0.9}),
    "two ramps": (
        {"ssl.ramp.epochs": 2, "early_stop.armed_after": 9},
        {"ssl.ramp.epochs": 4, "early_stop.armed_after": 9},
    ),
    "two pre-trainings": ({"early_stop.armed_after": 9}, {"ssl.pretrain_epochs": 3, "early_stop.armed_after": 9}),
    "two lengths": ({"epochs": 3}, {"epochs": 5}),
    "two patiences": ({"early_stop.patience": 2}, {"early_stop.patience": 3}),
    "two judges": ({"evaluate.network": "student"}, {"evaluate.network": "teacher"}),
    "two weak views": ({}, {"augment.weak.flip": 0.0}),
    "two batches of unlabelled clips": ({}, {"batch.unlabelled": 2}),
    "one and two views of the student": ({}, {"ssl.views": 2}),
}


@pytest.mark.parametrize("what", cases(PAIRS))
def test_trials_that_share_a_stage_have_one_state_at_its_end(what: str, tiny_data: Any, recipe_of: RecipeOf) -> None:
    builder = TrialBuilder("study", lambda recipe: ("data", "split"))
    recipes = [recipe_of({"ssl.pretrain_epochs": 2}, change, epochs=change.get("epochs", 5)) for change in PAIRS[what]]
    trials = [builder.replicates(recipe, [0], arm=str(n), params={})[0] for n, recipe in enumerate(recipes)]
    root = plan_stages(trials).stages[0]
    assert root.shared
    one, other = (state_after(root.last, trial.recipe, tiny_data) for trial in trials)
    assert one == other


def state_after(epochs: int, recipe: Recipe, tiny_data: Any) -> Any:
    """Rows, weights, best weights and decisions after some epochs, comparable to the last bit."""
    training = Training(recipe, **tiny_data.arguments)
    rows = [training.run_epoch().rows for _ in range(epochs)]
    state = training._state()
    networks = {name: np.asarray(value).tobytes() for name, value in training._networks.weights().items()}
    best = {name: np.asarray(value).tobytes() for name, value in training._best.items()}
    decisions = {name: repr(state[name]) for name in ("optimizer", "plateau", "stopping", "scaler")}
    return rows, networks, best, decisions
