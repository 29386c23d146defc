"""How good is a trial on a part, and how sure is that? From its recorded predictions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from agrm_study.records.reader import Ledger
from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.bootstrap import Draws, percentile_interval, replicate
from agrm_study.statistics.classification import METRICS, SCREENING, count
from agrm_study.statistics.estimators import Interval
from agrm_study.statistics.probabilities import average_by_group, decide, softmax

REPLICATES = 2_000
"""Bootstrap replicates of the intervals in a model card."""


@dataclass(frozen=True)
class PartScores:
    """One network of one trial on one part: R windows of N subjects, K classes.

    Attributes:
        logits_RK: As recorded.
        owners_R: Index of each window's subject.
        labels_N: Class index of each subject.
        network: ``teacher`` or ``student``.
    """

    logits_RK: Floats
    owners_R: Ints
    labels_N: Ints
    network: str

    @cached_property
    def decided_N(self) -> Ints:
        """Decision of each subject, on the mean of its windows' probabilities."""
        probs_NK, _ = average_by_group(softmax(self.logits_RK), self.owners_R, len(self.labels_N))
        return decide(probs_NK)

    @property
    def n_classes(self) -> int:
        """K."""
        return int(self.logits_RK.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """Metrics that are defined for so many classes."""
        return (*METRICS, *SCREENING) if self.n_classes == 2 else tuple(METRICS)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Each metric over the part's subjects; NaN where it is undefined."""
        counts = count(self.labels_N, self.decided_N, self.n_classes)
        return {name: float((METRICS | SCREENING)[name](counts)[0]) for name in self.names}

    def intervals(self) -> dict[str, Interval]:
        """95% percentile bootstrap over subjects, of each metric: the network fixed, the subjects drawn."""
        draws = Draws(len(self.labels_N), REPLICATES, 0)
        drawn = replicate(self.labels_N, self.decided_N[None], self.n_classes, draws, self.names)
        return {name: percentile_interval(values_BS[:, 0]) for name, values_BS in drawn.items()}


def read_scores(ledger: Ledger, part: str, network: str, trial_ids: Sequence[str]) -> dict[str, PartScores]:
    """The scores of trials by id, of this network, or of the student where the best epoch had no teacher yet.

    Trials without predictions of the part are absent.
    """
    found: dict[str, PartScores] = {}
    predictions = ledger.predictions(part, trial_ids=list(trial_ids))
    for key, rows in predictions.groupby("trial_id"):
        name = network if (rows["network"] == network).any() else "student"
        found[str(key)] = _scores(rows[rows["network"] == name], name)
    return found


def _scores(rows: pd.DataFrame, network: str) -> PartScores:
    owners, subjects = pd.factorize(rows["subject_id"])
    labels = np.zeros(len(subjects), dtype=np.int64)
    labels[owners] = rows["label"].to_numpy(dtype=np.int64)
    logits = np.stack(rows["logits"].to_list()).astype(np.float64)
    return PartScores(logits, owners.astype(np.int64), labels, network)
