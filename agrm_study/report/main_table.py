"""Selection of the main table of a study; the other tables are details."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from agrm_study.report.table import Table

DETAILS: Final = (
    *("class_counts", "splits", "environment", "agrm", "per_class", "screening", "discrimination", "one_vs_rest"),
    *("agreement", "predictive_values", "operating_points", "networks", "subgroups", "heterogeneity", "calibration"),
    *("external_calibration", "failures"),
)
"""Tables that do not answer the question of a study."""
COMPARING: Final = ("ablation", "baselines", "thresholds")
"""If one of these tables is present, the plain table of arms is also a detail."""


def details(tables: Collection[str]) -> frozenset[str]:
    """Names of the detail tables among the tables of a study."""
    plain = ["arms"] if any(name in tables for name in COMPARING) else []
    return frozenset(name for name in tables if name in {*DETAILS, *plain})


def main_table(tables: Mapping[str, Table]) -> Table | None:
    """The first table that answers the question, otherwise the first one; None if there are no tables."""
    later = details(tables)
    return next((table for name, table in tables.items() if name not in later), next(iter(tables.values()), None))
