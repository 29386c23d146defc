"""Predictions of the best epoch's networks on each part."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from agrm_study.study.recipe import Recipe
from agrm_study.training.clipset import ClipSet
from agrm_study.training.evaluate import Evaluator, spread
from agrm_study.training.outcome import Network, Predictions, Split
from agrm_study.training.temperature import UNSCALED, fit_temperature


def predict(
    networks: Mapping[Network, nn.Module],
    parts: Mapping[Split, ClipSet],
    evaluator: Evaluator,
    recipe: Recipe,
    epoch: int,
) -> tuple[tuple[Predictions, ...], dict[str, float]]:
    """Predictions with one row per window, and each network's softmax temperature, fitted on the part ``val``.

    Args:
        networks: Networks with the weights of the best epoch.
        parts: Clips by part.
        evaluator: Runs the networks.
        recipe: Clip and number of windows.
        epoch: The best epoch.
    """
    predictions: list[Predictions] = []
    temperature: dict[str, float] = {}
    for part, clips in parts.items():
        windows = spread(clips, recipe.clip, recipe.evaluate.clips)
        for network, logits_NK in evaluator.logits(networks, windows).items():
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
            if part == "val":
                temperature[network] = fit_temperature(logits_NK, windows.owners_N, windows.labels_S) or UNSCALED
    return tuple(predictions), temperature
