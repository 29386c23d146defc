"""Format-independent table: a frozen value of plain Unicode text and full-precision numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Number = float | int | str | None
Style = Literal["plain", "best", "second"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One cell of a table.

    Attributes:
        text: The displayed text, without marks.
        value: The value at full precision, for CSV; None if there is none.
        parts: Further full-precision values (std, n, low, high, p …), by suffix of the CSV column.
        style: ``best`` is shown in bold, ``second`` underlined.
        marks: Superscripts after the text (†), explained in the notes.
    """

    text: str
    value: Number = None
    parts: Mapping[str, Number] = field(default_factory=dict)
    style: Style = "plain"
    marks: tuple[str, ...] = ()

    def styled(self, style: Style) -> Entry:
        """A copy of the entry with a different style."""
        return replace(self, style=style)

    def marked(self, *marks: str) -> Entry:
        """A copy of the entry with additional marks."""
        return replace(self, marks=self.marks + marks)


EMPTY = Entry(text="")


def words(text: str) -> Entry:
    """A text entry."""
    return Entry(text=text, value=text)


def whole(number: int | None) -> Entry:
    """An integer entry with thousands separators; an en dash if the value is None."""
    return Entry(text="–") if number is None else Entry(text=f"{number:,}", value=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: key in CSV, heading and alignment; columns that are not ``shown`` appear in CSV only."""

    key: str
    title: str
    align: Literal["left", "right", "center"] = "right"
    shown: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; a ``heading`` starts a block and is shown on a separate line above it."""

    entries: tuple[Entry, ...]
    heading: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        name: File name without suffix.
        caption: Description of the content, in one or two sentences.
        columns: The columns.
        rows: The rows, each with one entry per column.
        notes: Footnotes: n, ddof, N, B, test, family, versions; missing numbers and the reasons.
        partial: Sentence that states how much of the study is missing; None if complete.
        study: Name of the study; with ``name`` it identifies the table in a manuscript.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    partial: str | None = None
    study: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.entries) != len(self.columns):
                raise ValueError(f"table {self.name}: {len(row.entries)} entries under {len(self.columns)} columns")

    @property
    def visible(self) -> tuple[int, ...]:
        """Positions of the columns that are displayed."""
        return tuple(i for i, c in enumerate(self.columns) if c.shown)

    @property
    def heading(self) -> str:
        """The caption, preceded by the sentence about missing trials, if any."""
        return f"[{self.partial}] {self.caption}" if self.partial else self.caption
