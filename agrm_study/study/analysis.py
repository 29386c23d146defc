"""The settings that decide how results are analysed, as opposed to how trials are trained."""

from __future__ import annotations

from typing import Any

from agrm_study.study.study import Study

_SHOWN = frozenset({"tables", "figures"})
"""Fields of `report` that select what is shown and affect no number."""

_ADDED_LATER = frozenset({"operating_points"})
"""Fields that older records lack; empty ones are left out."""


def analysis_settings(study: Study) -> dict[str, Any]:
    """Reference, primary metric and all fields of `report` that affect a number, as plain JSON values."""
    report = study.report.model_dump(mode="json", exclude=set(_SHOWN))
    report = {name: value for name, value in report.items() if value or name not in _ADDED_LATER}
    return {"reference": study.reference, "primary_metric": study.primary_metric, **report}
