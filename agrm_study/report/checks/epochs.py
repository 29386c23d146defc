"""Checks of the `epochs` records: each finished trial has a validation score at its best epoch."""

from __future__ import annotations

import pandas as pd

from agrm_study.records.integrity import broken_epochs
from agrm_study.records.reader import Ledger
from agrm_study.report.checks.finding import Finding
from agrm_study.report.checks.trials import trial_finding


def check_epochs(ledger: Ledger, trials: pd.DataFrame) -> list[Finding]:
    """Findings about finished trials whose rows are damaged, or that have no validation rows at the best epoch.

    Test metrics do not depend on these rows; learning curves, thresholds and validation scores do.
    """
    finished = trials[(trials["status"] == "finished") & trials["best_epoch"].notna()]
    if finished.empty:
        return []
    table = ledger.epoch_table(None, trial_ids=list(finished["trial_id"]))
    sealed = finished[finished["row_digest"].notna()]
    damaged = broken_epochs(table, dict(zip(sealed["trial_id"], sealed["epochs_digest"], strict=True)))
    rows = table.select(["trial_id", "epoch", "split"]).to_pandas()
    val = rows[rows["split"] == "val"].merge(finished[["trial_id", "best_epoch"]], on="trial_id")
    scored = set(val.loc[val["epoch"] == val["best_epoch"], "trial_id"])
    found = []
    for row in finished[~finished["trial_id"].isin(scored) | finished["trial_id"].isin(damaged)].to_dict("records"):
        rule = damaged.get(row["trial_id"]) if row["trial_id"] in scored else None
        rule = rule or "has no validation score at its best epoch"
        where = f"records/epochs of trial {row['trial_id']}"
        found.append(trial_finding({str(k): v for k, v in row.items()}, rule, where, "mark"))
    return found
