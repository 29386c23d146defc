"""What did a search trial score on validation? Read from its records, as its sampler and the promotion see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from agrm_study.records.reader import Ledger


@dataclass(frozen=True, slots=True)
class Scores:
    """Validation scores of one trial.

    Attributes:
        values: The objectives at its best epoch; NaN where one is undefined.
        curve: The first objective by epoch.
    """

    values: tuple[float, ...]
    curve: Mapping[int, float]


def column(metric: str) -> str:
    """The column of the `epochs` records that holds an objective (``val/macro_f1`` → ``macro_f1``)."""
    return metric.removeprefix("val/")


def read_scores(
    ledger: Ledger, best_epochs: Mapping[str, int], metrics: Sequence[str], network_of: Callable[[str], str]
) -> dict[str, Scores]:
    """The scores of finished trials.

    Args:
        ledger: The records.
        best_epochs: Best epoch by trial.
        metrics: The search's objectives.
        network_of: The network that a trial is judged by; before there is a teacher, the student's rows count.
    """
    if not best_epochs:
        return {}
    epochs = ledger.epochs(trial_ids=list(best_epochs))
    rows = epochs[epochs["split"] == "val"]
    scores = {}
    for trial_id, group in rows.groupby("trial_id"):
        name = str(trial_id)
        judged = _judged(group, network_of(name))
        best = judged[judged["epoch"] == best_epochs[name]]
        values = tuple(float(best[column(m)].iloc[0]) if len(best) else float("nan") for m in metrics)
        first = judged.set_index("epoch")[column(metrics[0])].dropna()
        scores[name] = Scores(values, {int(str(epoch)): float(value) for epoch, value in first.items()})
    return scores


def best_so_far(curve: Mapping[int, float], *, maximize: bool) -> dict[int, float]:
    """The best value up to each epoch."""
    found: dict[int, float] = {}
    best: float | None = None
    for epoch in sorted(curve):
        value = curve[epoch]
        best = value if best is None else max(best, value) if maximize else min(best, value)
        found[epoch] = best
    return found


def _judged(rows: pd.DataFrame, network: str) -> pd.DataFrame:
    """One row an epoch: the judged network's, the student's where that one has none."""
    ranked = rows.assign(_rank=(rows["network"] != network).astype(int))
    return ranked.sort_values(["epoch", "_rank"], kind="stable").drop_duplicates("epoch")
