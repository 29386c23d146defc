"""What is a table before it is written in a format? A frozen value of plain Unicode text and full-precision numbers."""

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
        text: What is shown, without marks.
        value: The same at full precision, for CSV; None where there is no value.
        parts: Further full-precision values (std, n, low, high, p …), by suffix of the CSV column.
        style: ``best`` is set in bold, ``second`` underlined.
        marks: Raised signs after the text (†), explained in the notes.
    """

    text: str
    value: Number = None
    parts: Mapping[str, Number] = field(default_factory=dict)
    style: Style = "plain"
    marks: tuple[str, ...] = ()

    def styled(self, style: Style) -> Entry:
        """The same entry in another style."""
        return replace(self, style=style)

    def marked(self, *marks: str) -> Entry:
        """The same entry with further marks."""
        return replace(self, marks=self.marks + marks)


EMPTY = Entry(text="")


def words(text: str) -> Entry:
    """An entry of text."""
    return Entry(text=text, value=text)


def whole(number: int | None) -> Entry:
    """An entry of a whole number, thousands set apart by commas; an en dash for none."""
    return Entry(text="–") if number is None else Entry(text=f"{number:,}", value=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its key in CSV, its heading, its alignment; one that is not ``shown`` is written to CSV only."""

    key: str
    title: str
    align: Literal["left", "right", "center"] = "right"
    shown: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; a ``heading`` begins a block and stands in a line of its own above it."""

    entries: tuple[Entry, ...]
    heading: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        name: File name without suffix.
        caption: What it shows, in a sentence or two.
        columns: Headings.
        rows: As many entries each as there are columns.
        notes: Footnotes: n, ddof, N, B, test, family, versions; what is missing and why.
        partial: Says how much of the study is missing; None when nothing is.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    partial: str | None = None

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.entries) != len(self.columns):
                raise ValueError(f"table {self.name}: {len(row.entries)} entries under {len(self.columns)} columns")

    @property
    def visible(self) -> tuple[int, ...]:
        """Positions of the columns that are shown to readers."""
        return tuple(i for i, c in enumerate(self.columns) if c.shown)

    @property
    def heading(self) -> str:
        """The caption, preceded by what is missing."""
        return f"[{self.partial}] {self.caption}" if self.partial else self.caption
