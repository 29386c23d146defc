"""Paragraphs for the methods section of a manuscript, in Markdown and LaTeX."""

from __future__ import annotations

import textwrap

from agrm_study.report.renderers.latex import escape
from agrm_study.report.renderers.markdown import escape as escape_markdown
from agrm_study.submission.facts import Facts


def methods(facts: Facts) -> dict[str, str]:
    """Paragraphs by heading: data, splits, network, training, selection, comparison, statistics, computation."""
    said = {
        "Data": (facts.data(), facts.exclusions(), facts.preprocessing()),
        "Data partitions": (facts.split(),),
        "Network and training": (facts.model(), facts.training(), facts.augmentation(), facts.selection()),
        "Comparison": (facts.arms(), facts.statistics(), facts.missing()),
        "Computation": (facts.compute(), facts.software()),
    }
    return {heading: " ".join(fact.text for fact in parts) for heading, parts in said.items()}


def as_markdown(paragraphs: dict[str, str]) -> str:
    """The paragraphs under Markdown headings."""
    lines = ["# Methods", ""]
    for heading, text in paragraphs.items():
        lines += [f"## {heading}", "", escape_markdown(text), ""]
    return "\n".join(lines)


def as_latex(paragraphs: dict[str, str]) -> str:
    """The paragraphs under LaTeX headings, for inclusion by \\input."""
    lines = []
    for heading, text in paragraphs.items():
        lines += [rf"\paragraph{{{escape(heading)}.}}", textwrap.fill(escape(text), 100, break_long_words=False), ""]
    return "\n".join(lines)
