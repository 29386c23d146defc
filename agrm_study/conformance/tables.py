"""Conformance checks for tables."""

from __future__ import annotations

from agrm_study.conformance.checks import must
from agrm_study.conformance.made_measurements import STATES, made_measurements
from agrm_study.report.renderers import RENDERERS
from agrm_study.report.table import Table
from agrm_study.report.tables import table_kind
from agrm_study.study.parts.names import short_name


def has_its_name_and_a_question(name: str) -> None:
    """The class defines the name of the table, and the question that the table answers."""
    kind = table_kind(name)
    must(kind.name == short_name(name), f"its name is {kind.name}")
    must(kind.question.endswith("?"), f"its question is {kind.question!r}")


def is_made_or_says_why_not(name: str) -> None:
    """With complete, sparse or no records, the table is built or `unfit` returns a reason; no error is raised."""
    for state in STATES:
        m = made_measurements(state)
        kind = table_kind(name)
        reason = kind.unfit(m)
        if reason is not None:
            must(reason, f"with {state} records, `unfit` returns an empty reason")
            continue
        table = kind.build(m)
        must(isinstance(table, Table), f"with {state} records, `build` returns a {type(table).__name__}")
        must(table.name == short_name(name), f"its name is {table.name}")
        must(table.caption.strip(), "it has no caption")
        must(table.partial == m.evidence.partial, "`partial` differs from `partial` of the evidence")
        shown = [entry.text for row in table.rows for entry in row.entries]
        must(all("nan" not in text.lower().split() for text in shown), f"with {state} records, it shows NaN")


def is_equal_in_every_format(name: str) -> None:
    """The table is written in every format, identically each time."""
    for state in STATES:
        m = made_measurements(state)
        kind = table_kind(name)
        if kind.unfit(m) is None:
            table, again = kind.build(m), kind.build(m)
            for suffix, render in RENDERERS.items():
                content = render(table)
                must(content, f"in the format {suffix}, it is empty")
                must(content == render(again), f"in the format {suffix}, it differs when it is created again")


CHECKS = (has_its_name_and_a_question, is_made_or_says_why_not, is_equal_in_every_format)
