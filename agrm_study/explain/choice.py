"""Selects the clips to show by a fixed rule that includes mistakes, to prevent cherry-picking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RULE: Final = (
    "per true class, by the probability of the predicted class: the correct clips at evenly spaced ranks from the most "
    "to the least confident (for two, the most confident and the median; for one, the median), and the most confident "
    "mistakes"
)
"""Description of the rule, written next to the figures."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A selected subject.

    Attributes:
        subject: Index of the subject.
        reason: Reason for the selection, such as "most confident correct".
    """

    subject: int
    reason: str


def choose(
    labels_S: NDArray[np.int64], decided_S: NDArray[np.int64], confidence_S: NDArray[np.float64], per_class: int = 3
) -> list[Choice]:
    """Select the subjects to show, class by class; ties are resolved in favour of the earlier subject.

    Of the N subjects per class, a third (at least one if N ≥ 2) are misclassified. If a class has too few correct or
    misclassified subjects, fewer are shown; neither kind replaces the other.

    Args:
        labels_S: True class indices; subjects without a label (−1) are never selected.
        decided_S: Predicted class indices.
        confidence_S: Probability of the predicted class.
        per_class: N, the number of subjects per true class.
    """
    chosen: list[Choice] = []
    for label in np.unique(labels_S[labels_S >= 0]).tolist():
        own = np.flatnonzero(labels_S == label)
        own = own[np.argsort(-confidence_S[own], kind="stable")]
        correct, mistakes = own[decided_S[own] == label], own[decided_S[own] != label]
        n_mistakes = max(per_class // 3, int(per_class >= 2))
        chosen += _ranked(correct, per_class - n_mistakes)
        chosen += [
            Choice(int(subject), "most confident mistake" if rank == 0 else f"confident mistake {rank + 1}")
            for rank, subject in enumerate(mistakes[:n_mistakes])
        ]
    return chosen


def _ranked(correct: NDArray[np.int64], count: int) -> list[Choice]:
    if not len(correct) or not count:
        return []
    shares = [0.5] if count == 1 else [0.0, 0.5] if count == 2 else np.linspace(0, 1, count).tolist()
    ranks = dict.fromkeys(int(share * (len(correct) - 1) + 0.5) for share in shares)
    last = len(correct) - 1
    names = {0: "most confident correct", int(0.5 * last + 0.5): "median correct"}
    if count > 2:
        names = {last: "least confident correct", **names}
    return [Choice(int(correct[rank]), names.get(rank, f"correct, rank {rank + 1} of {last + 1}")) for rank in ranks]
