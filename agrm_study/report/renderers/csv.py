"""CSV renderer of a table, at full precision."""

from __future__ import annotations

import csv
import io
import math

from agrm_study.report.table import Number, Table


def _plain(value: Number) -> str:
    """Shortest text that round-trips to the same number; empty if it is None or NaN."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return value if isinstance(value, str) else repr(value)


def values(table: Table) -> tuple[list[str], list[list[Number]]]:
    """Column names, and rows at full precision: one column for each value and each of its parts."""
    parts = [
        list(dict.fromkeys(k for row in table.rows for k in row.entries[i].parts)) for i in range(len(table.columns))
    ]
    header: list[str] = []
    valued = [any(row.entries[i].value is not None for row in table.rows) for i in range(len(table.columns))]
    for column, named, has_value in zip(table.columns, parts, valued, strict=True):
        header += [column.key] if has_value or not named else []
        header += [f"{column.key}_{k}" for k in named]
    rows: list[list[Number]] = []
    for row in table.rows:
        cells: list[Number] = []
        for entry, named, has_value in zip(row.entries, parts, valued, strict=True):
            cells += [entry.value] if has_value or not named else []
            cells += [entry.parts.get(k) for k in named]
        rows.append(cells)
    return header, rows


def render(table: Table) -> str:
    """A header and one line per row, with one column for each value and each of its parts; fractions, not percent."""
    header, rows = values(table)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return out.getvalue()
