"""Training statistics of each trial: validation scores and pseudo-label statistics at the best epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import PRUNED
from agrm_study.report.evidence import Evidence
from agrm_study.report.pooled_folds import pool
from agrm_study.study.recipe import Evaluate
from agrm_study.study.reported import reported_in_record

VALIDATION = ("accuracy", "balanced_accuracy", "macro_f1", "loss")
"""Validation metrics recorded for each epoch."""
NETWORK = frozenset({"evaluate.network", "evaluate.ema"})
"""Settings that determine the reported network."""
PSEUDO = ("pseudo_coverage", "pseudo_accuracy", "pseudo_confidence", "threshold")


def trial_facts(evidence: Evidence, trials: pd.DataFrame) -> pd.DataFrame:
    """One row per finished trial, indexed by trial_id, with NaN for missing measurements.

    Columns: ``val_<metric>`` of the reported network at the best epoch, the pseudo-label statistics of that epoch,
    ``epochs`` and ``best_epoch``.
    """
    finished = trials[trials["status"] == "finished"].drop_duplicates("trial_id").set_index("trial_id")
    facts = finished[["epochs", "best_epoch"]].astype(np.float64)
    wanted = ["trial_id", "epoch", "split", "network", *VALIDATION, *PSEUDO]
    table = Ledger(evidence.results).epoch_table(wanted, trial_ids=list(finished.index))
    best = pd.Series(finished["best_epoch"], dtype="float64")
    encoded = table["trial_id"].combine_chunks().dictionary_encode()
    owner = pd.Index(encoded.dictionary.to_pylist())
    best_by_code = best.reindex(owner).to_numpy(dtype=np.float64)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    at_best = table["epoch"].to_numpy() == best_by_code[codes] if len(owner) else np.empty(0, dtype=bool)
    rows = table.filter(pa.array(at_best)).to_pandas()
    network = judged_networks(evidence, finished)
    val = rows[(rows["split"] == "val") & (rows["network"] == rows["trial_id"].map(network))]
    val = val.drop_duplicates("trial_id", keep="last").set_index("trial_id")
    for name in VALIDATION:
        facts[f"val_{name}"] = val[name].reindex(facts.index).astype(np.float64)
    train = rows[(rows["split"] == "train")].drop_duplicates("trial_id", keep="last").set_index("trial_id")
    for name in PSEUDO:
        facts[name] = train[name].reindex(facts.index).astype(np.float64)
    return facts


def judged_networks(evidence: Evidence, finished: pd.DataFrame) -> pd.Series[Any]:
    """The network that is evaluated and reported for each trial.

    Args:
        evidence: The study.
        finished: Its `trials` records, indexed by trial_id.
    """
    arms = {arm.name: arm for arm in evidence.study.arms}
    asked = next((a.recipe.evaluate for a in arms.values() if not NETWORK & a.settings.keys()), Evaluate())
    return pd.Series(
        {
            trial_id: arms[arm].network
            if arm in arms and not arms[arm].tuned
            else reported_in_record(method, json.loads(params), asked)
            for trial_id, arm, method, params in finished[["arm", "method", "params"]].itertuples()
        },
        dtype=object,
    )


def ran_to_end(trials: pd.DataFrame) -> pd.DataFrame:
    """The finished trials without the pruned ones, whose scores do not reflect their settings."""
    return trials[(trials["status"] == "finished") & (trials["stop_reason"] != PRUNED)]


def of_arm(evidence: Evidence, facts: pd.DataFrame, arm: str, task: str) -> pd.DataFrame:
    """The facts of the replicates of one arm on one task, in the order of their seeds; with folds, means over the folds
    of each complete seed and repeat."""
    trials = evidence.replicates.get((arm, task), ())
    ids = [p.trial_id for p in trials]
    places = facts.index.get_indexer(pd.Index(ids, dtype=facts.index.dtype))
    found = facts.iloc[places[places >= 0]]
    if evidence.study.splits is None:
        return found
    there = [p for p, place in zip(trials, places, strict=True) if place >= 0]
    rows = pool(there, evidence.study.splits).rows
    return pd.DataFrame([found.loc[[p.trial_id for p in row]].mean() for row in rows.values()], columns=facts.columns)


def by_cell(evidence: Evidence, facts: pd.DataFrame, column: str) -> dict[tuple[str, str], list[float]]:
    """One column of the facts for the replicates of each (arm, task), computed as in `of_arm`."""
    return {key: [float(x) for x in of_arm(evidence, facts, *key)[column]] for key in evidence.replicates}


def factor_values(trials: pd.DataFrame, factors: Sequence[str] = ()) -> pd.DataFrame:
    """The settings that vary, one column each, indexed by trial_id: all ``params``, or only the given factors."""
    parsed = [json.loads(p) if p else {} for p in trials["params"]]
    frame = pd.DataFrame(parsed, index=trials["trial_id"].to_numpy())
    if factors:
        frame = frame.reindex(columns=list(factors))
    return frame[[c for c in frame.columns if frame[c].map(repr).nunique() > 1]]
