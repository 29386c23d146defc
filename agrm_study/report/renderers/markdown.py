"""Markdown renderer of a table."""

from __future__ import annotations

import re

from agrm_study.report.table import Entry, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def escape(text: str) -> str:
    """Escape text for Markdown."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _entry(entry: Entry) -> str:
    text = escape(entry.text)
    if entry.style == "best":
        text = f"**{text}**"
    elif entry.style == "second":
        text = f"<u>{text}</u>"
    return text + "".join(mark if mark in "†‡§" else f"<sup>{escape(mark)}</sup>" for mark in entry.marks)


def render(table: Table) -> str:
    """A pipe table with the caption above and the notes below."""
    columns = [table.columns[i] for i in table.visible]
    grid = [[escape(c.title) for c in columns]]
    for row in table.rows:
        if row.heading is not None:
            grid.append([f"*{escape(row.heading)}*"] + [""] * (len(columns) - 1))
        grid.append([_entry(row.entries[i]) for i in table.visible])
    widths = [max(3, *(len(line[i]) for line in grid)) for i in range(len(columns))]
    rules = {"left": lambda w: ":" + "-" * (w - 1), "right": lambda w: "-" * (w - 1) + ":"}

    def line(cells: list[str]) -> str:
        padded = [
            c.ljust(w) if column.align == "left" else c.rjust(w)
            for c, w, column in zip(cells, widths, columns, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    dashes = [
        rules[c.align](w) if c.align in rules else ":" + "-" * (w - 2) + ":"
        for c, w in zip(columns, widths, strict=True)
    ]
    body = [line(cells) for cells in grid[1:]]
    lines = [f"**{escape(table.heading)}**", "", line(grid[0]), f"| {' | '.join(dashes)} |", *body]
    if table.notes:
        lines += ["", *(f"<sub>{escape(n)}</sub>  " for n in table.notes)]
    return "\n".join(lines) + "\n"
