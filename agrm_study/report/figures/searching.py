"""Settings tried by a search and their validation scores, shared by the search figures."""

from __future__ import annotations

import pandas as pd

from agrm_study.report.facts import factor_values, ran_to_end, trial_facts
from agrm_study.report.measure import Measurements
from agrm_study.report.tables.factor_response import is_full_grid, level_of, level_text

MIN_TRIALS = 8
"""Minimum number of trials; with fewer, the effects of several settings cannot be separated."""


def tried(m: Measurements, task: str) -> tuple[pd.DataFrame, pd.Series[float], str] | None:
    """Settings that vary (one column each) and validation scores of the trials of one task; None if there are too few.

    Uses the search trials if there are any, otherwise all trials of a full grid: if arms differ in several settings at
    once, as in an ablation, their effects cannot be separated. Pruned trials are excluded, since their score does not
    reflect their settings.
    """
    e = m.evidence
    if e.study.tune is not None:
        return None
    trials = e.searched if not e.searched.empty else e.trials
    trials = ran_to_end(trials[trials["task"] == task])
    if len(trials) < MIN_TRIALS or (e.searched.empty and not is_full_grid(e.study)):
        return None
    metric = (e.study.search_metric or f"val/{e.study.primary_metric}").replace("/", "_")
    facts = trial_facts(e, trials)
    metric = metric if metric in facts else "val_macro_f1"
    scores = facts[metric].dropna()
    factors = factor_values(trials, [f for f in e.study.factors if f in factor_values(trials)]).loc[scores.index]
    if e.searched.empty:  # a setting that an arm does not specify has its value in the base recipe
        arm_of = trials.set_index("trial_id")["arm"].loc[scores.index]
        for factor in factors.columns:
            known = {a.name: level_of(a, str(factor)) for a in e.study.arms}
            factors[factor] = arm_of.map(known)
    return (factors, scores, metric) if len(scores) >= MIN_TRIALS and factors.shape[1] else None


def as_numbers(column: pd.Series[float]) -> tuple[pd.Series[float], list[str] | None]:
    """Values of a setting as numbers, and their names if the setting is not numeric.

    A conditional numeric setting is NaN in trials in which it is inactive; a missing non-numeric value is encoded
    as its own category.
    """
    set_ = column[column.notna()]
    if len(set_) and set_.map(lambda v: isinstance(v, int | float) and not isinstance(v, bool)).all():
        return column.astype(float), None
    text = column.map(lambda v: "not set" if v is None or v != v else level_text(v))
    names = sorted(set(text))
    return text.map(names.index).astype(float), names
