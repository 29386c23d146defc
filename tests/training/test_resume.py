"""A training run resumed at any epoch boundary is bit-identical to an uninterrupted one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from agrm_study.training.failures import CheckpointError
from agrm_study.training.fit import fit
from agrm_study.training.loop import Training

ARMS = {
    "agrm": {
        "ssl__threshold": {"policy": "freematch"},
        "model__dropout": 0.2,
        "ssl__ema": {"alpha": 0.5, "warmup": True},
    },
    "own buffers": {"ssl__ema": {"alpha": 0.5, "buffers": "own"}, "ssl__threshold": {"policy": "softmatch"}},
    "rounds": {"ssl__pseudo": {"mode": "rounds", "round_epochs": 2}, "ssl__threshold": {"tau": 0.5}},
    "flexmatch": {"ssl__method": "fixmatch", "ssl__threshold": {"policy": "flexmatch", "tau": 0.5}},
    "sgd": {"ssl__method": "supervised", "optimizer": {"name": "sgd", "lr": 0.01, "plateau_patience": 1}},
}
EPOCHS = 4


def flat(state: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(state, dict):
        for key, value in state.items():
            yield from flat(value, f"{name}/{key}")
    elif isinstance(state, list | tuple):
        for index, value in enumerate(state):
            yield from flat(value, f"{name}/{index}")
    else:
        yield name, state


def assert_same(one: Any, two: Any) -> None:
    mine, theirs = dict(flat(one)), dict(flat(two))
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        same = torch.equal(value, theirs[name]) if isinstance(value, torch.Tensor) else value == theirs[name]
        assert same, name


def run_to_the_end(training: Training) -> Training:
    while not training.done:
        training.run_epoch()
    return training


@pytest.mark.parametrize("arm", ARMS)
def test_resumed_at_every_boundary_it_ends_in_the_same_bits(tiny_data, tiny_recipe, tmp_path, arm):
    """Each resumed run reads ahead by another number of steps: the number of readers changes nothing."""
    recipe = tiny_recipe(epochs=EPOCHS, early_stop__patience=3, **ARMS[arm])
    whole = Training(recipe, **tiny_data.arguments)
    while not whole.done:
        whole.run_epoch()
        whole.save(tmp_path / str(whole.epoch))
    wanted = whole.outcome()
    for boundary in range(1, whole.epoch):
        folder = tmp_path / str(boundary)
        resumed = Training(recipe, **tiny_data.arguments, checkpoint_dir=folder, ahead=boundary % 3)
        assert resumed.epoch == boundary
        outcome = run_to_the_end(resumed).outcome()
        assert_same(resumed._state(), whole._state())
        assert outcome.rows == wanted.rows
        assert (outcome.best_epoch, outcome.stop_reason) == (wanted.best_epoch, wanted.stop_reason)
        for mine, theirs in zip(outcome.predictions, wanted.predictions, strict=True):
            assert mine.clip_id == theirs.clip_id
            np.testing.assert_array_equal(mine.logits, theirs.logits)


def test_a_training_that_was_early_stopped_stays_stopped_when_it_is_opened_again(tiny_data, tiny_recipe, tmp_path):
    recipe = tiny_recipe(epochs=30, early_stop={"patience": 1, "armed_after": 1}, ssl__method="supervised")
    first = fit(recipe, **tiny_data.arguments, checkpoint_dir=tmp_path)
    assert first.stop_reason == "early_stop"
    again = Training(recipe, **tiny_data.arguments, checkpoint_dir=tmp_path)
    assert again.done
    assert again.outcome().rows == first.rows


def test_another_trials_checkpoint_is_refused_and_without_resume_it_is_not_read(tiny_data, tiny_recipe, tmp_path):
    fit(tiny_recipe(epochs=1), **tiny_data.arguments, checkpoint_dir=tmp_path)
    with pytest.raises(CheckpointError, match="belongs to a different trial"):
        Training(tiny_recipe(epochs=1, seed=1), **tiny_data.arguments, checkpoint_dir=tmp_path)
    fresh = Training(tiny_recipe(epochs=1, seed=1), **tiny_data.arguments, checkpoint_dir=tmp_path, resume=False)
    assert fresh.epoch == 0


@pytest.mark.parametrize("arm", ["agrm", "rounds", "flexmatch"])
def test_every_method_can_go_on_from_a_supervised_pretraining(tiny_data, tiny_recipe, tmp_path, arm):
    settings = {"epochs": 4, "ssl__pretrain_epochs": 2, "ssl__method": "agrm", **ARMS[arm]}
    whole = Training(tiny_recipe(**settings), **tiny_data.arguments)
    while not whole.done:
        whole.run_epoch()
    dropout = {"model__dropout": settings.get("model__dropout", 0.0)}
    shared = Training(
        tiny_recipe(epochs=4, ssl__pretrain_epochs=2, ssl__method="supervised", **dropout),
        **tiny_data.arguments,
        identity="a stage",
    )
    for _ in range(2):
        shared.run_epoch()
    shared.save(tmp_path)
    resumed = Training(tiny_recipe(**settings), **tiny_data.arguments)
    assert resumed.resume(tmp_path, identity="a stage")
    assert_same(run_to_the_end(resumed)._state(), whole._state())


def test_a_name_given_to_the_trial_takes_the_place_of_the_hash(tiny_data, tiny_recipe, tmp_path):
    fit(tiny_recipe(epochs=1), **tiny_data.arguments, checkpoint_dir=tmp_path, identity="trial 7")
    Training(tiny_recipe(epochs=1), **tiny_data.arguments, checkpoint_dir=tmp_path, identity="trial 7")
    with pytest.raises(CheckpointError):
        Training(tiny_recipe(epochs=1), **tiny_data.arguments, checkpoint_dir=tmp_path, identity="trial 8")
