"""Terminal renderer of a table, with Rich; narrow terminals get two-line cells, fewer columns, or a list of rows."""

from __future__ import annotations

from collections.abc import Sequence

import rich.table
from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.text import Text

from agrm_study.report.table import Entry, Table
from agrm_study.study.terminal import printable

STYLES = {"plain": "", "best": "bold", "second": "underline"}
SIGNS = {"plain": "", "best": "¹", "second": "²"}
"""Symbols that replace the styles on terminals that do not support them."""
SIGNS_NOTE = "¹ replaces bold, ² replaces underline."
NAME_WIDTH = 12
"""Minimum width of a column of names: names are wrapped, numbers are not."""


def render(table: Table, width: int | None, *, styled: bool) -> RenderableType:
    """The table with its caption and notes; lists the columns that do not fit.

    Args:
        table: The table.
        width: Width of the terminal in characters; None for no limit.
        styled: Whether the terminal supports bold and underlined text.
    """
    shown, left_out = list(table.visible), []
    drawn = _drawn(table, shown, broken=False, styled=styled)
    if width is not None and _width(drawn) > width:
        drawn = _drawn(table, shown, broken=True, styled=styled)
        for position in _droppable(table):
            if _narrowest(drawn) <= width:
                break
            shown.remove(position)
            left_out.append(table.columns[position].title)
            drawn = _drawn(table, shown, broken=True, styled=styled)
        if _narrowest(drawn) > width:
            shown, left_out = list(table.visible), []
            drawn = _listed(table, styled=styled)
    notes = list(table.notes)
    if not styled and any(row.entries[i].style != "plain" for row in table.rows for i in shown):
        notes.insert(0, SIGNS_NOTE)
    if left_out:
        notes.insert(
            0, f"Omitted, as the terminal is too narrow: {', '.join(left_out)}; the files contain all columns."
        )
    lines = [Padding(Text(printable(note), style="dim"), (0, 0, 0, 2), expand=False) for note in notes]
    return Group(Text(printable(table.heading), style="bold"), Text(), drawn, *lines)


def wide_enough(table: Table) -> int:
    """Width in characters at which the table needs no line breaks."""
    return _width(_drawn(table, table.visible, broken=False, styled=False))


def _drawn(table: Table, shown: Sequence[int], *, broken: bool, styled: bool) -> rich.table.Table:
    """The table without caption and notes, limited to the columns at the given positions."""
    drawn = rich.table.Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for i in shown:
        column, names = table.columns[i], table.columns[i].align == "left"
        title = _lines(column.title) if broken else column.title
        drawn.add_column(
            Text(printable(title), justify=column.align),
            justify=column.align,
            vertical="top",
            no_wrap=not names,
            overflow="fold",
            min_width=None if names else max(map(len, title.split("\n"))),
        )
    for row in table.rows:
        if row.heading is not None:
            drawn.add_row(Text(printable(row.heading), style="italic"), *[""] * (len(shown) - 1))
        drawn.add_row(*(_cell(row.entries[i], broken=broken, styled=styled) for i in shown))
    return drawn


def _listed(table: Table, *, styled: bool) -> rich.table.Table:
    """Each row as a list of titles and values, for a terminal too narrow for a row of numbers."""
    drawn = rich.table.Table.grid(padding=(0, 1))
    drawn.add_column(overflow="fold")
    drawn.add_column(overflow="fold")
    for row in table.rows:
        if row.heading is not None:
            drawn.add_row(Text(printable(row.heading), style="italic"))
        for i in table.visible:
            drawn.add_row(Text(printable(table.columns[i].title)), _cell(row.entries[i], broken=False, styled=styled))
        drawn.add_row()
    return drawn


def _cell(entry: Entry, *, broken: bool, styled: bool) -> Text:
    """The text of an entry, with marks after the number."""
    first, *rest = (_lines(entry.text) if broken else entry.text).split("\n")
    style = STYLES[entry.style] if styled else ""
    marks = "".join(mark if mark in "†‡§" else f" ({mark})" for mark in entry.marks)
    signs = ("" if styled else SIGNS[entry.style]) + marks
    return Text.assemble(
        (printable(first), style), printable(signs), *((f"\n{printable(line)}", style) for line in rest)
    )


def _lines(text: str) -> str:
    """Break text into lines: spread below mean, interval below number."""
    return text.replace(" ± ", "\n± ").replace(" [", "\n[").replace(" 95% CI", "\n95% CI", 1).replace("\n\n", "\n")


def _droppable(table: Table) -> list[int]:
    """Columns that can be dropped: numbers without an interval, from the right, except the last two (Δ and p)."""
    keys = {column.key for column in table.columns}
    return [
        i
        for i in reversed(table.visible[:-2])
        if table.columns[i].align == "right"
        and not table.columns[i].key.endswith("_interval")
        and f"{table.columns[i].key}_interval" not in keys
    ]


def _width(drawn: rich.table.Table) -> int:
    console = Console(width=100_000)
    return Measurement.get(console, console.options, drawn).maximum


def _narrowest(drawn: rich.table.Table) -> int:
    """Width with every name wrapped to `NAME_WIDTH`."""
    console = Console(width=100_000)
    saved = 0
    for column in drawn.columns:
        if not column.no_wrap:
            most = max(Measurement.get(console, console.options, cell).maximum for cell in column.cells)
            saved += max(0, most - NAME_WIDTH)
    return _width(drawn) - saved
