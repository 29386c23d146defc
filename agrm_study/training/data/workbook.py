"""Reader for the rows of Excel workbooks, based on openpyxl (extra `agrm-study[xlsx]`)."""

from __future__ import annotations

import datetime
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agrm_study.study.errors import InputError

READABLE: Final = frozenset({".xlsx", ".xlsm"})
"""Suffixes of the workbooks that openpyxl reads."""
WORKBOOKS: Final = READABLE | {".xls", ".ods", ".numbers"}
"""Suffixes of spreadsheet files that are not plain text."""
SAVE_AS_CSV: Final = "Save the sheet as CSV (in Excel: Save As, CSV UTF-8)."


def workbook_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the 1-based row number and the cells, as text, of each row in the only sheet with content.

    Whole numbers have no decimals, dates are in ISO 8601 format, and formulas are replaced by their saved values.

    Raises:
        InputError: If the file is missing or not a workbook, openpyxl is not installed, multiple sheets have content,
            or a formula has no saved value.
    """
    if not path.exists():
        raise InputError("the file does not exist", where=path)
    if path.suffix.lower() not in READABLE:
        raise InputError("a workbook of this format cannot be read", where=path, hint=SAVE_AS_CSV)
    if importlib.util.find_spec("openpyxl") is None:
        hint = f"Install `agrm-study[xlsx]`, or: {SAVE_AS_CSV}"
        raise InputError("a workbook requires the package openpyxl, which is not installed", where=path, hint=hint)
    sheets = {
        name: rows for name, rows in _sheets(path).items() if any(any(cell.written for cell in row) for row in rows)
    }
    if len(sheets) > 1:
        hint = f"Delete the other sheets, or: {SAVE_AS_CSV}"
        raise InputError("a workbook must have one sheet with content", where=path, given=list(sheets), hint=hint)
    for rows in sheets.values():
        for number, row in enumerate(rows, start=1):
            for column, cell in enumerate(row, start=1):
                if cell.written and not cell.value:
                    hint = f"Open and save it in Excel, or: {SAVE_AS_CSV}"
                    where = f"column {column}"
                    raise InputError("a formula has no saved value", where=path, line=number, field=where, hint=hint)
            yield number, [cell.value for cell in row]


@dataclass(frozen=True, slots=True)
class _Cell:
    """Text of a cell's value, and its raw content (for a formula, the formula)."""

    value: str
    written: str


def _sheets(path: Path) -> dict[str, list[list[_Cell]]]:
    """Rows of each sheet."""
    import openpyxl

    try:
        values, written = (openpyxl.load_workbook(path, data_only=saved) for saved in (True, False))
        return {
            sheet.title: [
                [_Cell(_text(value), _text(formula)) for value, formula in zip(*rows, strict=True)]
                for rows in zip(sheet.values, written[sheet.title].values, strict=True)
            ]
            for sheet in values.worksheets
        }
    except Exception as error:  # damaged workbooks cause many types of errors
        raise InputError(f"not a readable workbook ({error})", where=path, hint=SAVE_AS_CSV) from None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (datetime.date, datetime.time)):  # datetime is a subclass of date
        return value.isoformat()
    return str(value).strip()
