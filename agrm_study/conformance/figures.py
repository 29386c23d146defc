"""Conformance checks for figures."""

from __future__ import annotations

import dataclasses

from matplotlib.figure import Figure

from agrm_study.conformance.checks import must
from agrm_study.conformance.made_measurements import STATES, made_measurements
from agrm_study.report.figures import figure_kind
from agrm_study.report.figures.base import images
from agrm_study.study.parts.names import short_name

WIDEST_IN = 7.4


def has_its_name_and_a_question(name: str) -> None:
    """The class defines the name of the figure, the question that the figure answers, and its requirements."""
    kind = figure_kind(name)
    must(kind.name == short_name(name), f"its name is {kind.name}")
    must(kind.question.endswith("?"), f"its question is {kind.question!r}")
    must(kind.needs, "`needs` is empty")


def draws_a_frozen_value(name: str) -> None:
    """With complete, sparse or no records, `info` returns a frozen dataclass, or None if there is nothing to draw."""
    for state in STATES:
        m = made_measurements(state)
        kind = figure_kind(name)
        info = kind.info(m)
        if info is None:
            continue
        frozen = dataclasses.is_dataclass(info) and getattr(type(info), "__dataclass_params__").frozen  # noqa: B009 - no public way
        must(frozen, f"its info is a {type(info).__name__}, not a frozen dataclass")
        figure = kind.draw(info)
        must(isinstance(figure, Figure), f"`draw` returns a {type(figure).__name__}")
        must(figure.get_figwidth() <= WIDEST_IN, f"it is {figure.get_figwidth():g} inches wide")
        must(kind.caption(info).strip().endswith("."), "its caption is not a sentence")
        must(len(images(figure, ["svg"])["svg"]) > 1000, f"with {state} records it is empty")


def is_equal_each_time(name: str) -> None:
    """Identical records give identical files in every format."""
    m = made_measurements("complete")
    kind = figure_kind(name)
    info = kind.info(m)
    if info is not None:
        formats = ("pdf", "svg", "png")
        must(images(kind.draw(info), formats) == images(kind.draw(info), formats), "it differs when drawn again")


CHECKS = (has_its_name_and_a_question, draws_a_frozen_value, is_equal_each_time)
