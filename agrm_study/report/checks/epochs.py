"""Checks of the `epochs` records: a finished trial has the validation score that chose its best epoch."""

from __future__ import annotations

import pandas as pd

from agrm_study.records.reader import Ledger
from agrm_study.report.checks.finding import Finding
from agrm_study.report.checks.trials import trial_finding


def check_epochs(ledger: Ledger, trials: pd.DataFrame) -> list[Finding]:
    """A mark for each finished trial without validation rows at its best epoch.

    Test metrics do not depend on these rows; learning curves, thresholds and validation scores do.
    """
    finished = trials[(trials["status"] == "finished") & trials["best_epoch"].notna()]
    if finished.empty:
        return []
    table = ledger.epoch_table(["trial_id", "epoch", "split"], trial_ids=list(finished["trial_id"]))
    rows = table.to_pandas()
    val = rows[rows["split"] == "val"].merge(finished[["trial_id", "best_epoch"]], on="trial_id")
    scored = set(val.loc[val["epoch"] == val["best_epoch"], "trial_id"])
    rule = "has no validation score of its best epoch"
    found = []
    for row in finished[~finished["trial_id"].isin(scored)].to_dict("records"):
        where = f"records/epochs of trial {row['trial_id']}"
        found.append(trial_finding({str(k): v for k, v in row.items()}, rule, where, "mark"))
    return found
