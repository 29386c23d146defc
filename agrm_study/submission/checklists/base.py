"""Checklists, their items, and the answers to the items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agrm_study.report.table import Column, Row, Table, words
from agrm_study.submission.fact import Fact
from agrm_study.submission.facts import Facts

AUTHORS = "For the authors."
"""Prefix of the answer to an item that cannot be answered from the records."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a checklist.

    Attributes:
        number: Number in the published checklist.
        section: Section of the published checklist.
        asks: Paraphrased content of the item.
        answer: The fact that answers it, or the information that the authors must add.
    """

    number: str
    section: str
    asks: str
    answer: Callable[[Facts], Fact] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """A published checklist.

    Attributes:
        name: Name on the command line, and stem of the file names.
        title: Published name.
        citation: Reference of the publication.
        items: The items in order.
    """

    name: str
    title: str
    citation: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An item with its answer; ``source`` is empty if the authors must answer it."""

    item: Item
    text: str
    source: str


def answers(checklist: Checklist, facts: Facts) -> Iterator[Answer]:
    """All items with their answers from the records, or with the information that the authors must add."""
    for item in checklist.items:
        if isinstance(item.answer, str):
            yield Answer(item, f"{AUTHORS} {item.answer}".strip(), "")
        else:
            fact = item.answer(facts)
            yield Answer(item, fact.text, fact.source)


def as_table(checklist: Checklist, facts: Facts) -> Table:
    """The checklist as a table with one row per item, grouped by section."""
    rows, section = [], ""
    found = list(answers(checklist, facts))
    for answer in found:
        heading = answer.item.section if answer.item.section != section else None
        section = answer.item.section
        cells = (answer.item.number, answer.item.asks, answer.text, answer.source, "")
        rows.append(Row(entries=tuple(words(c) for c in cells), heading=heading))
    filled = sum(bool(a.source) for a in found)
    return Table(
        name=checklist.name,
        caption=f"{checklist.title}: {filled} of {len(found)} items are filled in from the records.",
        columns=(
            Column(key="item", title="Item", align="left"),
            Column(key="asks", title="Content", align="left"),
            Column(key="answer", title="Answer", align="left"),
            Column(key="source", title="Source in the results", align="left"),
            Column(key="page", title="Page", align="left"),
        ),
        rows=tuple(rows),
        notes=(
            f"Item numbers: {checklist.citation}. The items are paraphrased; submit the published form.",
            "An answer from the records covers only what the records contain; check that it answers the whole item.",
        ),
        study=facts.m.evidence.study.name,
    )
