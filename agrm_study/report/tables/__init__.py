"""Registry of the tables of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agrm_study.study.parts.registry import Registry

if TYPE_CHECKING:
    from agrm_study.report.tables.base import TableKind

_HERE = "agrm_study.report.tables"

_SHIPPED: dict[str, str] = {
    "class_counts": f"{_HERE}.class_counts:ClassCounts",
    "splits": f"{_HERE}.splits:Splits",
    "environment": f"{_HERE}.environment:Environment",
    "agrm": f"{_HERE}.agrm:Agrm",
    "baselines": f"{_HERE}.baselines:Baselines",
    "ablation": f"{_HERE}.ablation:Ablation",
    "thresholds": f"{_HERE}.thresholds:Thresholds",
    "factor_response": f"{_HERE}.factor_response:FactorResponse",
    "promoted": f"{_HERE}.promoted:Promoted",
    "tuned": f"{_HERE}.tuned:TunedTable",
    "arms": f"{_HERE}.arms:Arms",
    "external": f"{_HERE}.external:External",
    "robustness": f"{_HERE}.robustness:Robustness",
    "variance": f"{_HERE}.variance:Variance",
    "race": f"{_HERE}.race:RaceTable",
    "per_class": f"{_HERE}.per_class:PerClass",
    "screening": f"{_HERE}.screening:ScreeningTable",
    "discrimination": f"{_HERE}.discrimination:Discrimination",
    "agreement": f"{_HERE}.agreement:Agreement",
    "predictive_values": f"{_HERE}.predictive_values:PredictiveValues",
    "operating_points": f"{_HERE}.operating_points:OperatingPoints",
    "one_vs_rest": f"{_HERE}.one_vs_rest:OneVsRest",
    "networks": f"{_HERE}.networks:Networks",
    "subgroups": f"{_HERE}.subgroups:Subgroups",
    "heterogeneity": f"{_HERE}.heterogeneity:Heterogeneity",
    "calibration": f"{_HERE}.calibration:CalibrationTable",
    "external_calibration": f"{_HERE}.external_calibration:ExternalCalibration",
    "failures": f"{_HERE}.failures:Failures",
}
TABLES = Registry("table", _SHIPPED)
"""Table classes by name, as module:class for lazy import. To add one, add a module and an entry here."""


def table_kind(name: str) -> TableKind:
    """The class of the table with the given name.

    Raises:
        InputError: If the name is unknown.
    """
    kind: TableKind = TABLES.load(name)()
    return kind
