"""Registry of the figures of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agrm_study.study.parts.registry import Registry

if TYPE_CHECKING:
    from agrm_study.report.figures.base import FigureKind

_HERE = "agrm_study.report.figures"

_SHIPPED: dict[str, str] = {
    "forest": f"{_HERE}.forest:Forest",
    "external": f"{_HERE}.external:ExternalResults",
    "robustness": f"{_HERE}.robustness:RobustnessCurves",
    "variance": f"{_HERE}.variance:VarianceShares",
    "learning_curves": f"{_HERE}.learning_curves:LearningCurves",
    "confusion": f"{_HERE}.confusion:Confusion",
    "pr": f"{_HERE}.pr:PrCurves",
    "roc": f"{_HERE}.roc:RocCurves",
    "one_vs_rest": f"{_HERE}.one_vs_rest:OneVsRestCurves",
    "decision_curve": f"{_HERE}.decision_curve:DecisionCurve",
    "reliability": f"{_HERE}.reliability:ReliabilityDiagram",
    "tau_response": f"{_HERE}.tau_response:TauResponse",
    "alpha_tau": f"{_HERE}.alpha_tau:AlphaTau",
    "tuning_budget": f"{_HERE}.tuning_budget:TuningBudget",
    "importance": f"{_HERE}.importance:Importance",
    "parallel_coordinates": f"{_HERE}.parallel_coordinates:ParallelCoordinates",
}
FIGURES = Registry("figure", _SHIPPED)
"""Figure classes by name, as module:class for lazy import. To add one, add a module and an entry here."""


def figure_kind(name: str) -> FigureKind[Any]:
    """The class of the figure with the given name.

    Raises:
        InputError: If the name is unknown.
    """
    kind: FigureKind[Any] = FIGURES.load(name)()
    return kind
