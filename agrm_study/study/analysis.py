"""The settings that affect the analysis of results, as opposed to the training of trials."""

from __future__ import annotations

from typing import Any

from agrm_study.study.study import Study

_SHOWN = frozenset({"tables", "figures"})
"""Fields of `report` that select the content to show and do not affect numbers."""

_ADDED_LATER = frozenset({"operating_points"})
"""Fields that older records lack; they are omitted if empty."""


def analysis_settings(study: Study) -> dict[str, Any]:
    """Reference, primary metric and all fields of `report` that affect a number, as plain JSON values."""
    report = study.report.model_dump(mode="json", exclude=set(_SHOWN))
    report = {name: value for name, value in report.items() if value or name not in _ADDED_LATER}
    return {"reference": study.reference, "primary_metric": study.primary_metric, **report}
