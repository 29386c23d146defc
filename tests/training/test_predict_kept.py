"""Predictions of saved weights are bit-identical to those of the training run that saved them."""

from __future__ import annotations

import numpy as np
import pytest

from agrm_study.training.checkpoint import drop_rolling
from agrm_study.training.failures import CheckpointError
from agrm_study.training.fit import fit
from agrm_study.training.loop import Training


@pytest.mark.parametrize("method", ["supervised", "agrm"])
def test_they_equal_the_outcomes_predictions(tiny_data, tiny_recipe, tmp_path, method):
    recipe = tiny_recipe(ssl__method=method, epochs=3)
    outcome = fit(recipe, **tiny_data.arguments, checkpoint_dir=tmp_path)
    drop_rolling(tmp_path)
    fresh = Training(recipe, **tiny_data.arguments, checkpoint_dir=tmp_path)
    assert fresh.epoch == 0
    predictions = fresh.predict_kept(outcome.best_epoch)
    assert [(p.split, p.network) for p in predictions] == [(p.split, p.network) for p in outcome.predictions]
    for mine, theirs in zip(predictions, outcome.predictions, strict=True):
        assert (mine.epoch, mine.clip_id, mine.subject_id) == (theirs.epoch, theirs.clip_id, theirs.subject_id)
        np.testing.assert_array_equal(mine.label, theirs.label)
        np.testing.assert_array_equal(mine.logits, theirs.logits)


def test_weights_of_another_epoch_or_none_are_refused(tiny_data, tiny_recipe, tmp_path):
    recipe = tiny_recipe(epochs=2)
    outcome = fit(recipe, **tiny_data.arguments, checkpoint_dir=tmp_path)
    drop_rolling(tmp_path)
    training = Training(recipe, **tiny_data.arguments, checkpoint_dir=tmp_path)
    with pytest.raises(CheckpointError):
        training.predict_kept(outcome.best_epoch + 1)
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(CheckpointError):
        training.predict_kept(outcome.best_epoch)
