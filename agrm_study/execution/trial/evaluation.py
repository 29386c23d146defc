"""Evaluation of the kept weights of a finished trial on other data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Evaluation(NamedTuple):
    """The evaluation of a finished trial.

    Attributes:
        parts: Names of the parts to be evaluated (`records.evaluations`), in order.
        kept: Parts that are reused from the record of an earlier evaluation.
        results: Results folder of the study, which holds the weights.
        weights_digest: Digest that the weights must have.
        best_epoch: Epoch of the weights.
        seed: Seed of corruptions.
    """

    parts: tuple[str, ...]
    kept: tuple[str, ...]
    results: str
    weights_digest: str
    best_epoch: int
    seed: int = 0

    @classmethod
    def of(cls, values: Sequence[Any]) -> Evaluation:
        """The evaluation from plain JSON values."""
        parts, kept, *rest = values
        return cls(tuple(parts), tuple(kept), *rest)
