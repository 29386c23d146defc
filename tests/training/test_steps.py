"""Steps per epoch, and moving averages whose memory is given in epochs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training.test_batches import batches
from training.test_resume import assert_same, run_to_the_end

from agrm_study.study.recipe import Recipe
from agrm_study.study.steps import in_steps, steps_of
from agrm_study.training.loop import Training
from agrm_study.training.order import labelled_batches


def test_an_epoch_is_one_pass_unless_its_steps_are_fixed():
    one_pass, fixed = Recipe(batch={"labelled": 8}), Recipe(batch={"labelled": 8}, steps_per_epoch=16)
    assert [steps_of(one_pass, clips) for clips in (8, 9, 100)] == [1, 2, 13]
    assert [steps_of(fixed, clips) for clips in (8, 9, 100)] == [16, 16, 16]


def test_fixed_steps_cycle_through_the_clips_and_none_is_more_than_one_turn_ahead():
    chosen = labelled_batches(0, 1, 7, 3, 6)
    assert [len(batch) for batch in chosen] == [3] * 6
    counts = np.bincount(np.concatenate(chosen), minlength=7)
    assert counts.sum() == 18
    assert counts.max() - counts.min() <= 1
    first, second = np.concatenate(chosen)[:7], np.concatenate(chosen)[7:14]
    assert sorted(first) == sorted(second) == list(range(7))
    assert not np.array_equal(first, second)


def test_fixed_steps_begin_with_the_order_of_one_pass():
    np.testing.assert_array_equal(
        np.concatenate(labelled_batches(3, 2, 10, 5)), np.concatenate(labelled_batches(3, 2, 10, 5, 4))[:10]
    )


def test_a_clip_that_comes_twice_in_an_epoch_has_another_view_the_second_time(tiny_data, tiny_recipe):
    """14 clips in batches of 7: two steps are a pass, so steps 1 and 2 show the clips that steps 3 and 4 show."""
    recipe = tiny_recipe(steps_per_epoch=4, batch__labelled=7)
    shown = [batch.clips_BCTHW for batch, _ in batches(tiny_data, recipe).epoch(1, unlabelled=False)]
    assert len(shown) == 4
    every = torch.cat(shown).flatten(1)
    assert len(torch.unique(every, dim=0)) == 28


def test_the_unlabelled_clips_follow_the_steps(tiny_data, tiny_recipe):
    recipe = tiny_recipe(steps_per_epoch=7)
    ids = [other.ids_B for _, other in batches(tiny_data, recipe).epoch(1, unlabelled=True)]
    counts = np.bincount(torch.cat(ids).numpy(), minlength=9)
    assert [len(batch) for batch in ids] == [4] * 7
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("arm", [{}, {"ssl__pseudo": {"mode": "rounds", "round_epochs": 1}}])
def test_a_training_with_fixed_steps_resumes_in_the_same_bits(tiny_data, tiny_recipe, tmp_path, arm):
    recipe = tiny_recipe(epochs=4, steps_per_epoch=5, **arm)
    whole = Training(recipe, **tiny_data.arguments)
    while not whole.done:
        whole.run_epoch()
        whole.save(tmp_path / str(whole.epoch))
    for boundary in (1, 2, 3):
        resumed = Training(recipe, **tiny_data.arguments, checkpoint_dir=tmp_path / str(boundary), ahead=boundary)
        assert_same(run_to_the_end(resumed)._state(), whole._state())


def test_a_memory_in_epochs_is_kept_per_update():
    """Three epochs of 20 steps are 60 updates; a round every 10 epochs updates a policy 0.1 times an epoch."""
    recipe = Recipe(
        steps_per_epoch=20, ssl={"ema": {"memory_epochs": 3}, "threshold": {"policy": "freematch", "memory_epochs": 50}}
    )
    ssl = in_steps(recipe, 18).ssl
    assert ssl.ema.alpha == pytest.approx(59 / 60)
    assert ssl.threshold.momentum == pytest.approx(999 / 1000)
    rounds = recipe.model_copy(
        update={
            "ssl": recipe.ssl.model_copy(update={"pseudo": recipe.ssl.pseudo.model_copy(update={"mode": "rounds"})})
        }
    )
    assert in_steps(rounds, 18).ssl.threshold.momentum == pytest.approx(1 - 10 / 50)
    short = Recipe(steps_per_epoch=2, ssl={"ema": {"memory_epochs": 0.1}})
    assert in_steps(short, 18).ssl.ema.alpha == 0.0


def test_a_recipe_without_a_memory_in_epochs_is_left_as_it_is():
    recipe = Recipe()
    assert in_steps(recipe, 18) is recipe


def test_the_trainer_uses_the_memory_and_reports_what_it_means(tiny_data, tiny_recipe):
    """14 clips, 6 a step: 3 steps an epoch. 0.5 epochs are 1.5 updates, so the teacher keeps a third."""
    per_epoch = tiny_recipe(epochs=3, ssl__ema={"memory_epochs": 0.5}, ssl__threshold={"tau": 0.4})
    per_step = tiny_recipe(epochs=3, ssl__ema={"alpha": 1 - 1 / 1.5}, ssl__threshold={"tau": 0.4})
    one, two = (run_to_the_end(Training(recipe, **tiny_data.arguments)) for recipe in (per_epoch, per_step))
    assert_same(one._state(), two._state())
    outcome = one.outcome()
    assert (outcome.steps_per_epoch, outcome.alpha) == (3, pytest.approx(1 / 3))
