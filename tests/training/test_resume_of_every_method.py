"""Random recipes for every method and setting of semi-supervised learning resume bit-identically."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from training.test_resume import assert_same, run_to_the_end

from agrm_study.study.merge import build_recipe
from agrm_study.study.problems import Place, Places, Problems
from agrm_study.study.recipe import Recipe
from agrm_study.training.bf16 import bf16_problem
from agrm_study.training.loop import Training

CONFIGURATIONS = 20
EPOCHS = 4

CHOICES: dict[str, list[Any]] = {
    "ssl.method": ["supervised", "mean_teacher", "pseudo_label", "fixmatch", "agrm", "agrm", "fixmatch"],
    "ssl.pretrain_epochs": [0, 1, 2],
    "ssl.batch_norm": ["separate", "joint", "labelled_only", "per_domain"],
    "ssl.ema.buffers": ["average", "copy", "own"],
    "ssl.ema.warmup": [False, True],
    "ssl.ema.memory_epochs": [None, 0.5, 2.0],
    "ssl.ramp.epochs": [0, 1, 2],
    "ssl.threshold.policy": ["fixed", "flexmatch", "freematch", "softmatch", "relative", "percentile"],
    "ssl.threshold.tau": [0.0, 0.4],
    "ssl.threshold.memory_epochs": [None, 1.0],
    "ssl.threshold.alignment": ["none", "uniform", "labels", "predictions"],
    "ssl.threshold.fairness": [0.0, 0.1],
    "ssl.pseudo.mode": ["online", "online", "rounds", "off"],
    "ssl.pseudo.target": ["hard", "soft"],
    "ssl.pseudo.confidence": ["teacher", "student", "mean", "min", "agree"],
    "ssl.pseudo.round_epochs": [1, 2],
    "ssl.pseudo.uncertainty": ["none", "none", "dropout", "views"],
    "ssl.pseudo.uncertainty_max": [0.2],
    "model.dropout": [0.0, 0.3],
    "evaluate.ema": [False, True],
    "evaluate.network": ["teacher", "student"],
    "optimizer.name": ["adam", "adamw", "sgd"],
    "optimizer.schedule": ["plateau", "constant", "cosine"],
    "optimizer.plateau_armed": [False, True],
    "optimizer.plateau_patience": [1, 2],
    "steps_per_epoch": [None, 2, 5],
    "batch.unlabelled": [4, 7],
    "batch.accumulate": [1, 1, 2],
    "early_stop.patience": [100],
}

VIEWS: dict[str, list[Any]] = {
    "ssl.views": [1, 2],
    "augment.strong.reverse": [0.0, 0.5],
    "augment.strong.warp": [0.0, 0.5],
    "augment.strong.tubes": [0.0, 0.5],
}
"""Drawn separately: the draws of all other settings stay as they are."""


def drawn(tiny_recipe: Any, seed: int) -> Recipe:
    """A random recipe that a study would accept."""
    chosen: dict[str, Any] = {}
    for choices, rng in ((CHOICES, random.Random(seed)), (VIEWS, random.Random(f"{seed} views"))):
        while True:
            values = {name.replace(".", "__"): rng.choice(options) for name, options in choices.items()}
            recipe: Recipe = tiny_recipe(epochs=EPOCHS, seed=seed, **chosen, **values)
            tree, problems = recipe.settings(), Problems()
            tree["data"]["synthetic"] = {"subjects": 12, "unlabelled": 12}
            if build_recipe(tree, Places(Place(None)), problems, {}) is not None:
                break
        chosen |= values
    return recipe


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
def test_a_random_recipe_resumed_at_every_boundary_ends_in_the_same_bits(tiny_data, tiny_recipe, tmp_path, seed):
    recipe = drawn(tiny_recipe, seed)
    whole = Training(recipe, **tiny_data.arguments)
    while not whole.done:
        whole.run_epoch()
        whole.save(tmp_path / str(whole.epoch))
    wanted = whole.outcome()
    for boundary in range(1, whole.epoch):
        resumed = Training(recipe, **tiny_data.arguments, checkpoint_dir=tmp_path / str(boundary), ahead=boundary % 3)
        assert resumed.epoch == boundary
        outcome = run_to_the_end(resumed).outcome()
        assert_same(resumed._state(), whole._state())
        assert outcome.rows == wanted.rows
        for mine, theirs in zip(outcome.predictions, wanted.predictions, strict=True):
            assert (mine.logits == theirs.logits).all()


def test_the_random_recipes_cover_every_choice(tiny_recipe):
    """Over the twenty recipes, each value of each setting occurs."""
    recipes = [drawn(tiny_recipe, seed).settings() for seed in range(CONFIGURATIONS)]
    for name, values in (CHOICES | VIEWS).items():
        found = []
        for settings in recipes:
            value = settings
            for part in name.split("."):
                value = value[part]
            found.append(value)
        assert {repr(value) for value in values} <= {repr(value) for value in found}, name


@pytest.mark.skipif(bf16_problem(torch.device("cpu")) is not None, reason="bf16 is refused on this CPU")
def test_a_training_in_bf16_resumes_in_the_same_bits(tiny_data, tiny_recipe, tmp_path):
    recipe = tiny_recipe(epochs=3, precision="bf16")
    whole = Training(recipe, **tiny_data.arguments)
    while not whole.done:
        whole.run_epoch()
        whole.save(tmp_path / str(whole.epoch))
    resumed = Training(recipe, **tiny_data.arguments, checkpoint_dir=tmp_path / "1")
    assert_same(run_to_the_end(resumed)._state(), whole._state())
