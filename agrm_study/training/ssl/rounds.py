"""Bookkeeping of unlabelled clips that rounds of pseudo-labelling move into the supervised set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

OPEN = -1
"""Placeholder for the label and round of a clip that is still unlabelled."""


class Rounds:
    """State of `ssl.pseudo.mode: rounds` (Song et al. 2026, sections 2.1 and 2.4.3).

    Each round labels the unlabelled clips with the current network. Accepted clips are "moved into the supervised set"
    and remain there; clips moved earlier receive the current network's label. Rounds end when no clip remains or a
    round accepts none of the remaining clips. Rounds before the first acceptance do not count: the network continues to
    train on the labelled clips only and is evaluated again in the next round.

    Args:
        n_unlabelled: Number of unlabelled training clips; ids are in [0, n_unlabelled).
        round_epochs: Number of epochs between two rounds.

    Attributes:
        moved_by_round: Number of clips moved by each round.
        done: Whether the rounds have ended.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, n_unlabelled: int, round_epochs: int) -> None:
        if n_unlabelled < 0 or round_epochs < 1:
            raise ValueError(
                f"n_unlabelled must be at least 0 and round_epochs at least 1, got {n_unlabelled} and {round_epochs}"
            )
        self.round_epochs = round_epochs
        self.moved_by_round: list[int] = []
        self.done = n_unlabelled == 0
        self._labels_N = np.full(n_unlabelled, OPEN, dtype=np.int64)
        self._rounds_N = np.full(n_unlabelled, OPEN, dtype=np.int64)

    @property
    def accepted_ids(self) -> NDArray[np.int64]:
        """Sorted ids (M,) of the moved clips."""
        return np.flatnonzero(self._labels_N != OPEN)

    @property
    def accepted_labels(self) -> NDArray[np.int64]:
        """Labels (M,) of the moved clips, in the order of `accepted_ids`."""
        return self._labels_N[self.accepted_ids]

    @property
    def accepted_rounds(self) -> NDArray[np.int64]:
        """Round (M,) that moved each clip, counted from 0, in the order of `accepted_ids`."""
        return self._rounds_N[self.accepted_ids]

    @property
    def open_ids(self) -> NDArray[np.int64]:
        """Sorted ids (N − M,) of the clips that are still unlabelled."""
        return np.flatnonzero(self._labels_N == OPEN)

    def due(self, epochs_since_start: int) -> bool:
        """Whether a round takes place before this epoch; the first round directly follows pre-training (epoch 0)."""
        return not self.done and epochs_since_start >= 0 and epochs_since_start % self.round_epochs == 0

    def close(self, ids_N: NDArray[np.int64], labels_N: NDArray[np.int64], qualifies_N: NDArray[np.bool_]) -> int:
        """Record the labels of one round.

        Args:
            ids_N: Ids of the labelled clips, without duplicates; must include all of `open_ids`.
            labels_N: Labels of these clips, at least 0.
            qualifies_N: Whether the policy accepts each clip; ignored for clips moved earlier.

        Returns:
            Number of clips moved by this round.

        Raises:
            ValueError: If ids are unknown, duplicated or missing, a label is negative, or the rounds have ended.
        """
        if self.done:
            raise ValueError("the rounds have ended")
        self._check(ids_N, labels_N, qualifies_N)
        was_open_N = self._labels_N[ids_N] == OPEN
        moves_N = was_open_N & qualifies_N
        writes_N = moves_N | ~was_open_N
        self._labels_N[ids_N[writes_N]] = labels_N[writes_N]
        self._rounds_N[ids_N[moves_N]] = len(self.moved_by_round)
        moved = int(moves_N.sum())
        ever_moved = moved > 0 or any(self.moved_by_round)
        self.moved_by_round.append(moved)
        self.done = len(self.open_ids) == 0 or (ever_moved and moved == 0)
        return moved

    def _check(self, ids_N: NDArray[np.int64], labels_N: NDArray[np.int64], qualifies_N: NDArray[np.bool_]) -> None:
        if not len(ids_N) == len(labels_N) == len(qualifies_N):
            lengths = f"{len(ids_N)}, {len(labels_N)}, {len(qualifies_N)}"
            raise ValueError(f"ids, labels and qualifies must have the same length, got {lengths}")
        if len(np.unique(ids_N)) != len(ids_N):
            raise ValueError("each clip may be labelled at most once per round, got a duplicate id")
        if len(ids_N) and (ids_N.min() < 0 or ids_N.max() >= len(self._labels_N)):
            raise ValueError(f"ids must be in [0, {len(self._labels_N)}), got {ids_N.min()} to {ids_N.max()}")
        if len(labels_N) and labels_N.min() < 0:
            raise ValueError(f"labels must be at least 0, got {labels_N.min()}")
        missing = np.setdiff1d(self.open_ids, ids_N)
        if len(missing):
            raise ValueError(f"a round must label every unlabelled clip; {len(missing)} missing, first {missing[0]}")

    def state_dict(self) -> dict[str, Any]:
        """The complete state, as ints, bools and lists."""
        return {
            "labels": self._labels_N.tolist(),
            "rounds": self._rounds_N.tolist(),
            "moved_by_round": list(self.moved_by_round),
            "done": self.done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a `state_dict`.

        Raises:
            ValueError: If the state has a different number of unlabelled clips.
        """
        if len(state["labels"]) != len(self._labels_N):
            raise ValueError(f"the state must contain {len(self._labels_N)} clips, got {len(state['labels'])}")
        self._labels_N = np.asarray(state["labels"], dtype=np.int64)
        self._rounds_N = np.asarray(state["rounds"], dtype=np.int64)
        self.moved_by_round = [int(moved) for moved in state["moved_by_round"]]
        self.done = bool(state["done"])
