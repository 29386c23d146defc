"""Tables in files as grids of text, and their comparison with the tables generated from the records."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

DIGITS: Final = re.compile(r"\d+(?:[.,]\d+)*")
TOLERANCE: Final = 1e-9
"""Relative tolerance for full-precision numbers, whose rounding depends on the machine."""


@dataclass(frozen=True, slots=True)
class GridCell:
    """The text of one cell, without formatting.

    Attributes:
        text: Text for comparison.
        line: Line in the file, counted from 1.
    """

    text: str
    line: int

    @property
    def name(self) -> str:
        """The text as a column name."""
        return self.text

    @property
    def key(self) -> str:
        """The text without spaces, since line breaks and formatting may add or remove spaces."""
        return _key(self.text)


@dataclass(frozen=True, slots=True)
class GridRow:
    """One row of a grid with the heading of its block."""

    heading: str
    cells: tuple[GridCell, ...]

    @property
    def label(self) -> str:
        """The first cell, which contains the name of the row."""
        return self.cells[0].text if self.cells else ""

    @property
    def name(self) -> str:
        """The label, preceded by the heading of its block."""
        return f"{self.heading}: {self.label}" if self.heading else self.label

    @property
    def key(self) -> str:
        """The name without spaces."""
        return _key(self.name)

    @property
    def line(self) -> int:
        """Line of the first cell."""
        return self.cells[0].line if self.cells else 1


Item = TypeVar("Item", GridCell, GridRow)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as written in a file.

    Attributes:
        columns: The column headings.
        rows: The rows.
        prose: Caption and notes.
        exact: Whether cells are compared as text; otherwise numbers are compared with a relative tolerance.
    """

    columns: tuple[GridCell, ...]
    rows: tuple[GridRow, ...]
    prose: tuple[GridCell, ...] = ()
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A difference between a written table and the records.

    Attributes:
        line: Line in the file, counted from 1.
        place: Row and column, as text.
        found: The text in the file; None if it is missing.
        expected: The text generated from the records; None if the records have no such cell.
    """

    line: int
    place: str
    found: str | None
    expected: str | None

    def __str__(self) -> str:
        if self.expected is None:
            return f"{self.place}: `{self.found}` is not in the table generated from the records"
        if self.found is None:
            return f"{self.place}: is missing; the records give `{self.expected}`"
        return f"{self.place}: the file has `{self.found}`, the records give `{self.expected}`"


@dataclass(frozen=True, slots=True)
class GridComparison:
    """Result of a comparison: differences, and remarks on omitted, renamed or reworded parts."""

    mismatches: list[Mismatch] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def compare_grids(found: Grid, expected: Grid, *, whole: bool) -> GridComparison:
    """Compare a written table with the table generated from the records.

    Rows and columns are matched by name; a renamed row or column is matched by its position among the unmatched ones.
    Captions and notes are compared number by number if their words are the same; otherwise a remark is added.

    Args:
        found: The written table.
        expected: The table generated from the records.
        whole: Whether all rows and columns must be present under their names; a manuscript may omit or rename some.
    """
    out = GridComparison()
    columns = _matched(found.columns[1:], expected.columns[1:])
    rows = _matched(found.rows, expected.rows)
    _compare_names("column", columns, out, whole=whole)
    _compare_names("row", rows, out, whole=whole)
    positions = [
        (_position(found.columns, c), _position(expected.columns, e), e.text)
        for c, e in columns
        if c is not None and e is not None
    ]
    for ours, theirs in rows:
        if ours is not None and theirs is not None:
            out.mismatches.extend(_compare_row(ours, theirs, positions, len(found.columns), exact=found.exact))
    compare_prose(found.prose, expected.prose, out)
    return out


def _compare_names(
    kind: str, pairs: Sequence[tuple[Item | None, Item | None]], out: GridComparison, *, whole: bool
) -> None:
    """Reports rows or columns that are omitted, added or renamed."""
    for ours, theirs in pairs:
        if theirs is None:
            if ours is not None:
                name = ours.name or "(unnamed)"
                out.mismatches.append(Mismatch(line=ours.line, place=kind, found=name, expected=None))
        elif ours is None:
            if whole:
                out.mismatches.append(Mismatch(line=1, place=kind, found=None, expected=theirs.name))
            else:
                out.remarks.append(f"{kind} `{theirs.name}` is omitted")
        elif ours.key != theirs.key:
            if whole or _only_digits_differ(ours.name, theirs.name):
                out.mismatches.append(Mismatch(line=ours.line, place=kind, found=ours.name, expected=theirs.name))
            else:
                out.remarks.append(f"{kind} `{theirs.name}` is renamed to `{ours.name}`")


def _compare_row(
    found: GridRow, expected: GridRow, positions: Sequence[tuple[int, int, str]], n_columns: int, *, exact: bool
) -> Iterator[Mismatch]:
    """Differing cells of one row; each column is given by its positions in the two tables and its title."""
    if len(found.cells) != n_columns:
        yield Mismatch(
            line=found.line,
            place=f"row `{expected.name}`",
            found=f"{len(found.cells)} cells",
            expected=f"{n_columns} cells",
        )
        return
    for mine, other, title in positions:
        cell, wanted = found.cells[mine], expected.cells[other]
        if not _equal(cell.text, wanted.text, exact=exact):
            place = f"row `{expected.name}`, column `{title}`"
            yield Mismatch(line=cell.line, place=place, found=cell.text, expected=wanted.text)


def _only_digits_differ(found: str, expected: str) -> bool:
    return DIGITS.sub("#", _key(found)) == DIGITS.sub("#", _key(expected))


def compare_prose(found: Sequence[GridCell], expected: Sequence[GridCell], out: GridComparison) -> None:
    """Compare numbers in captions and notes if the surrounding words match the table generated from the records."""
    wanted: dict[str, dict[str, str]] = {}
    for text in expected:
        wanted.setdefault(DIGITS.sub("#", text.key), {})[text.key] = text.text
    for text in found:
        same_words = wanted.get(DIGITS.sub("#", text.key))
        if same_words is None:
            if DIGITS.search(text.text):
                out.remarks.append(f"line {text.line}: `{_short(text.text)}` is worded differently and not compared")
        elif text.key not in same_words:
            out.mismatches.append(
                Mismatch(
                    line=text.line,
                    place="caption or note",
                    found=_short(text.text),
                    expected=_short(next(iter(same_words.values()))),
                )
            )


def _matched(found: Sequence[Item], expected: Sequence[Item]) -> list[tuple[Item | None, Item | None]]:
    """Pairs of items with equal keys, then of the remaining items if both sides have the same number of them."""
    waiting: dict[object, list[Item]] = {}
    for item in expected:
        waiting.setdefault(item.key, []).append(item)
    pairs: list[tuple[Item | None, Item | None]] = []
    left: list[Item] = []
    for item in found:
        same = waiting.get(item.key)
        if same:
            pairs.append((item, same.pop(0)))
        else:
            left.append(item)
    taken = {id(e) for _, e in pairs}
    rest = [e for e in expected if id(e) not in taken]
    if len(left) == len(rest):
        return pairs + list(zip(left, rest, strict=True))
    return pairs + [(item, None) for item in left] + [(None, item) for item in rest]


def _equal(found: str, expected: str, *, exact: bool) -> bool:
    if _key(found) == _key(expected):
        return True
    if exact:
        return False
    try:
        return math.isclose(float(found), float(expected), rel_tol=TOLERANCE, abs_tol=1e-12)
    except ValueError:
        return False


def _position(items: Iterable[GridCell], wanted: GridCell) -> int:
    return next(i for i, item in enumerate(items) if item is wanted)


def _key(text: str) -> str:
    return "".join(text.split())


def _short(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[:most]} …"
