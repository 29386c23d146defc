"""Which validation metric does progress show of trials that have finished? The one at their best epoch, of the records.

`convert.shown_metric` says the same of a trial that is still in memory.
"""

from __future__ import annotations

from collections.abc import Mapping

from agrm_study.records.reader import Ledger


def shown_metrics(ledger: Ledger, best_epochs: Mapping[str, int], metric: str) -> dict[str, float]:
    """The metric by trial; trials without a defined one are left out.

    Args:
        ledger: The records.
        best_epochs: Best epoch by trial.
        metric: A column of the `epochs` records.
    """
    if not best_epochs:
        return {}
    columns = ["trial_id", "epoch", "split", "network", metric]
    rows = ledger.epoch_table(columns, trial_ids=list(best_epochs)).to_pylist()
    found = {}
    # "teacher" sorts after "student": where both are recorded the teacher's value stands
    for row in sorted(rows, key=lambda row: str(row["network"])):
        value = row[metric]
        at_best = row["split"] == "val" and row["epoch"] == best_epochs[row["trial_id"]]
        if at_best and value is not None and value == value:
            found[row["trial_id"]] = float(value)
    return found
