"""HTML renderer of a table; all user input is escaped."""

from __future__ import annotations

import html

from agrm_study.report.table import Entry, Table

WIDE = 6
"""Minimum number of columns of a table that takes the full width of the page."""


def _entry(entry: Entry) -> str:
    text = html.escape(entry.text)
    if entry.style == "best":
        text = f"<strong>{text}</strong>"
    elif entry.style == "second":
        text = f"<u>{text}</u>"
    return text + "".join(f"<sup>{html.escape(mark)}</sup>" for mark in entry.marks)


def _sort_key(entry: Entry) -> str:
    return "" if entry.value is None else f' data-value="{html.escape(str(entry.value), quote=True)}"'


def render(table: Table) -> str:
    """A <figure> with the table, its caption and its notes; the enclosing page supplies the style."""
    columns = [table.columns[i] for i in table.visible]
    head = "".join(f'<th class="{c.align}" scope="col">{html.escape(c.title)}</th>' for c in columns)
    body = []
    for row in table.rows:
        cells = "".join(
            f'<td class="{c.align}"{_sort_key(e)}>{_entry(e)}</td>'
            for c, e in zip(columns, (row.entries[i] for i in table.visible), strict=True)
        )
        if row.heading is not None:
            heading = html.escape(row.heading)
            body.append(f'<tr class="block"><th colspan="{len(columns)}" scope="rowgroup">{heading}</th></tr>')
        body.append(f"<tr>{cells}</tr>")
    notes = "".join(f"<p>{html.escape(n)}</p>" for n in table.notes)
    name = html.escape(table.name, quote=True)
    wide = ' class="wide"' if len(columns) >= WIDE else ""
    partial = f'<span class="partial">{html.escape(table.partial)}</span> ' if table.partial else ""
    return (
        f'<figure class="table" id="table-{name}">\n<figcaption>{partial}{html.escape(table.caption)}</figcaption>\n'
        f'<div class="scroll" tabindex="0"><table{wide}>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody>\n</table></div>\n"
        f'<div class="notes">{notes}</div>\n</figure>\n'
    )
