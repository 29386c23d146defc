"""Predictions of the best epoch's networks on each part."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from agrm_study.study.recipe import Recipe
from agrm_study.training.clipset import ClipSet
from agrm_study.training.device import Device
from agrm_study.training.evaluate import Evaluator, spread
from agrm_study.training.outcome import Predictions, Split
from agrm_study.training.ssl.networks import Networks


def predict(
    networks: Networks,
    weights: Mapping[str, Tensor],
    parts: Mapping[Split, ClipSet],
    evaluator: Evaluator,
    recipe: Recipe,
    epoch: int,
    device: Device,
) -> tuple[Predictions, ...]:
    """Predictions with one row per window.

    Args:
        networks: The networks; their current weights are restored afterwards.
        weights: Weights of the best epoch.
        parts: Clips by part.
        evaluator: Runs the networks.
        recipe: Clip settings and number of windows.
        epoch: The best epoch.
        device: Device of the networks.
    """
    current = networks.weights()
    networks.load_weights(weights)
    modules = networks.modules(weights)
    predictions: list[Predictions] = []
    with device.session(epoch):
        for part, clips in parts.items():
            windows = spread(clips, recipe.clip, recipe.evaluate.clips)
            for network, logits_NK in evaluator.logits(modules, windows).items():
                predictions.append(
                    Predictions(
                        split=part,
                        network=network,
                        epoch=epoch,
                        subject_id=windows.clips.subject_ids,
                        clip_id=windows.names,
                        label=windows.clips.labels_N.astype(np.int8),
                        logits=logits_NK,
                    )
                )
    networks.load_weights(current)
    return tuple(predictions)
