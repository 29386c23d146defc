"""Reader for hand-written tables: CSV files, including Excel's encodings and delimiters, and workbooks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agrm_study.study.errors import InputError
from agrm_study.training.data.workbook import SAVE_AS_CSV, WORKBOOKS, workbook_lines

LONGEST_CELL = 1 << 28
"""Maximum number of characters in a cell; key boxes for every frame exceed the default limit of the `csv` module."""


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One data row: line number in the file (counted from 1), and stripped cells by column name."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """Columns of a table in file order, and its non-blank rows."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[CsvRow, ...]


def read_csv(path: Path) -> CsvFile:
    """Read a CSV file delimited by `,`, `;` or tab, or the only sheet of an .xlsx or .xlsm workbook.

    The encoding of a CSV file is UTF-8 (with or without a byte-order mark), UTF-16, or Windows-1252. A first line
    such as `sep=;` specifies the delimiter. Unnamed columns that are blank or contain row numbers, as written by
    pandas, are omitted.

    Raises:
        InputError: If the file is missing, empty or not a table, a column is duplicated, or a row differs in length
            from the header.
    """
    lines = workbook_lines(path) if path.suffix.lower() in WORKBOOKS else _csv_lines(path)
    columns: tuple[str, ...] = ()
    rows: list[CsvRow] = []
    for line, values in lines:
        cells = [value.strip() for value in values]
        if not any(cells):
            continue
        if not columns:
            columns = tuple(cell or f"(column {number})" for number, cell in enumerate(cells, start=1))
            _check_header(path, line, columns)
        elif (len(cells) > len(columns) and any(cells[len(columns) :])) or len(cells) < len(columns):
            rule = "a row must have as many cells as the header"
            raise InputError(rule, where=path, line=line, given=len(cells), allowed=str(len(columns)))
        else:
            rows.append(CsvRow(line, dict(zip(columns, cells, strict=False))))
    if not columns:
        raise InputError("the file is empty: a header line is required", where=path)
    return _without_row_numbers(CsvFile(path, columns, tuple(rows)))


def _csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row of a CSV file."""
    csv.field_size_limit(LONGEST_CELL)
    text, stated = _without_separator_line(_text(path))
    if not text.strip():
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=stated or _delimiter(text))
    try:
        for values in reader:
            yield reader.line_num, values
    except csv.Error as error:
        raise InputError(f"not a readable CSV file ({error})", where=path, line=reader.line_num) from None


def _without_separator_line(text: str) -> tuple[str, str | None]:
    """The text with Excel's `sep=;` line blanked, and the separator that this line specifies."""
    match = re.match(r'"?sep=([,;\t|])"?[,;\t]*(?=\r|\n|$)', text, re.IGNORECASE)
    return (text[match.end() :], match[1]) if match else (text, None)


def _without_row_numbers(file: CsvFile) -> CsvFile:
    """The table without unnamed columns that are blank or contain row numbers."""
    dropped = {name for name in file.columns if _unnamed(name) and _blank_or_count(file, name)}
    rows = tuple(
        CsvRow(row.line, {name: cell for name, cell in row.cells.items() if name not in dropped}) for row in file.rows
    )
    return CsvFile(file.path, tuple(name for name in file.columns if name not in dropped), rows)


def _unnamed(name: str) -> bool:
    return bool(re.fullmatch(r"\(column \d+\)|Unnamed: \d+", name))


def _blank_or_count(file: CsvFile, name: str) -> bool:
    cells = [row.cells[name] for row in file.rows]
    counts = [[str(start + number) for number in range(len(cells))] for start in (0, 1)]
    return not any(cells) or [cell.removesuffix(".0") for cell in cells] in counts


def _check_header(path: Path, line: int, columns: tuple[str, ...]) -> None:
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise InputError("duplicate column in the header", where=path, line=line, field=twice[0])


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError("the file does not exist", where=path) from None
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", where=path) from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError("a workbook, not a CSV file", where=path, hint=SAVE_AS_CSV)
    if len(raw) > 3 and (raw[0] == 0 or raw[1] == 0) and raw.count(0) > len(raw) // 4:
        return raw.decode("utf-16-be" if raw[0] == 0 else "utf-16-le", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _delimiter(text: str) -> str:
    header = next(line for line in text.splitlines() if line.strip())
    return max((",", ";", "\t"), key=header.count)
