"""Validation after each epoch."""

from __future__ import annotations

import dataclasses
import math

from agrm_study.study.recipe import Recipe
from agrm_study.training.clipset import ClipSet
from agrm_study.training.evaluate import Evaluator, score, spread
from agrm_study.training.failures import NanLossError
from agrm_study.training.outcome import EpochRow
from agrm_study.training.ssl.networks import Networks
from agrm_study.training.ssl.relabel import observe
from agrm_study.training.ssl.step import METHODS
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy


class Validation:
    """Evaluates the networks on labelled validation clips, and monitors them on unlabelled validation clips.

    Args:
        recipe: Number of windows, method, and whether to monitor unlabelled clips.
        evaluator: Runs the networks.
        labelled: Labelled validation clips.
        unlabelled: Unlabelled validation clips; may be empty, and do not affect metrics.
    """

    def __init__(self, recipe: Recipe, *, evaluator: Evaluator, labelled: ClipSet, unlabelled: ClipSet) -> None:
        self._evaluator, self._confidence = evaluator, recipe.ssl.pseudo.confidence
        self._method = METHODS[recipe.ssl.method]
        self._windows = spread(labelled, recipe.clip, recipe.evaluate.clips)
        monitors = recipe.evaluate.unlabelled and self._method.labeller is not None and len(unlabelled) > 0
        self._monitored = spread(unlabelled, recipe.clip, 1) if monitors else None

    def rows(self, epoch: int, networks: Networks, policy: ThresholdPolicy, *, pretraining: bool) -> list[EpochRow]:
        """The student's row, followed by the row of the teacher or the evaluated average, if it exists.

        The last row contains the statistics of the unlabelled clips.

        Raises:
            NanLossError: If a loss is not finite.
        """
        rows: list[EpochRow] = []
        for network, logits_NK in self._evaluator.logits(networks.modules(), self._windows).items():
            result = score(logits_NK, self._windows)
            if not math.isfinite(result.loss):
                raise NanLossError(epoch, 0, {f"validation loss of the {network}": result.loss})
            rows.append(EpochRow(epoch=epoch, split="val", network=network, loss=result.loss, metrics=result.metrics))
        if self._monitored is not None and not pretraining:
            figures = observe(policy, self._evaluator, self._monitored, networks, self._confidence)
            measured = {
                name: value
                for name, value in figures.items()
                if (self._method.consistency if name == "loss_consistency" else self._method.pseudo)
            }
            rows[-1] = dataclasses.replace(rows[-1], training=measured)
        return rows
