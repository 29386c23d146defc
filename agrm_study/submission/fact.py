"""A fact for a manuscript, and descriptions of methods and arms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from agrm_study.report.study_info import ArmInfo

METHODS: Final = {
    "supervised": "labelled clips only",
    "mean_teacher": "Mean Teacher (consistency between student and teacher)",
    "pseudo_label": "pseudo-labels above a confidence threshold",
    "fixmatch": "FixMatch (pseudo-labels from a weak view applied to a strong view)",
    "agrm": "Mean Teacher consistency combined with pseudo-labels",
}
"""Descriptions of the methods by `ssl.method`, as fragments of a sentence."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement for a manuscript.

    Attributes:
        text: One or more sentences.
        source: Files and tables of the results folder on which it is based.
    """

    text: str
    source: str


def arm_words(arm: ArmInfo) -> str:
    """Description of an arm by the settings that differ from the base recipe."""
    if not arm.settings:
        return f"{arm.name} (the base recipe)"
    changes = ", ".join(f"{key} = {_value(value)}" for key, value in arm.settings.items())
    return f"{arm.name} ({changes})"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
