"""Metrics and intervals for one network of one trial on one part of the data, computed from its logits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.classification import METRICS, SCREENING, count
from agrm_study.statistics.estimators import UNDEFINED, Interval, interval_of
from agrm_study.statistics.influence import of_decisions
from agrm_study.statistics.probabilities import average_by_group, decide, softmax
from agrm_study.statistics.two_way import bounded_interval, of_one_network


@dataclass(frozen=True)
class PartScores:
    """Scores of one network of one trial on one part: R windows of N subjects, K classes.

    Attributes:
        logits_RK: Recorded logits.
        owners_R: Index of each window's subject.
        labels_N: Class index of each subject.
        network: ``teacher`` or ``student``.
    """

    logits_RK: Floats
    owners_R: Ints
    labels_N: Ints
    network: str

    @classmethod
    def of_predictions(cls, rows: pd.DataFrame, network: str) -> Self:
        """Build the scores from `predictions` records (``network``, ``subject_id``, ``label``, ``logits``).

        Args:
            rows: Rows of one trial and one part, one per window, at least one.
            network: Requested network; if it has no rows (no teacher yet at the best epoch), the student is used.
        """
        name = network if (rows["network"] == network).any() else "student"
        own = rows[rows["network"] == name]
        owners, subjects = pd.factorize(own["subject_id"])
        labels_N = np.zeros(len(subjects), dtype=np.int64)
        labels_N[owners] = own["label"].to_numpy(dtype=np.int64)
        logits_RK = np.stack(own["logits"].to_list()).astype(np.float64)
        return cls(logits_RK, owners.astype(np.int64), labels_N, name)

    @cached_property
    def probs_NK(self) -> Floats:
        """Probabilities of each subject, the mean over its windows."""
        return average_by_group(softmax(self.logits_RK), self.owners_R, len(self.labels_N))[0]

    @cached_property
    def decided_N(self) -> Ints:
        """Decision for each subject, based on its probabilities."""
        return decide(self.probs_NK)

    @property
    def n_classes(self) -> int:
        """Number of classes, K."""
        return int(self.logits_RK.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """Metrics that are defined for this number of classes."""
        return (*METRICS, *SCREENING) if self.n_classes == 2 else tuple(METRICS)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Each metric over the part's subjects; NaN if undefined."""
        counts = count(self.labels_N, self.decided_N, self.n_classes)
        return {name: float((METRICS | SCREENING)[name](counts)[0]) for name in self.names}

    def intervals(self) -> dict[str, Interval]:
        """95% interval of each metric over subjects, with the network fixed; undefined if the metric is 0 or 1."""
        influence = of_decisions(self.labels_N, self.decided_N[None], self.n_classes, self.names)
        out = {}
        for name, value in self.metrics.items():
            found = of_one_network(influence[name][0])
            out[name] = UNDEFINED if found is None else interval_of(bounded_interval(value, found))
        return out
