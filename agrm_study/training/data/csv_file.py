"""Reader for hand-written CSV files, including Excel's encodings and delimiters."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from agrm_study.study.errors import InputError


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One data row: its line in the file (from 1) and its cells by column name, stripped of surrounding whitespace."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """Columns of a CSV file in file order, and its non-blank rows."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[CsvRow, ...]


def read_csv(path: Path) -> CsvFile:
    """Read a CSV file delimited by `,`, `;` or tab.

    The encoding is UTF-8 (with or without a byte-order mark), UTF-16 with one, or Windows-1252.

    Raises:
        InputError: The file is missing or empty, a column is duplicated, or a row differs in length from the header.
    """
    text = _text(path)
    if not text.strip():
        raise InputError("the file is empty: a header line is needed", where=path)
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, delimiter=_delimiter(text))
    columns: tuple[str, ...] = ()
    rows: list[CsvRow] = []
    try:
        for values in reader:
            cells = [value.strip() for value in values]
            if not any(cells):
                continue
            if not columns:
                columns = tuple(cells)
                _check_header(path, reader.line_num, columns)
            elif (len(cells) > len(columns) and any(cells[len(columns) :])) or len(cells) < len(columns):
                rule = "a row must have as many cells as the header"
                raise InputError(rule, where=path, line=reader.line_num, given=len(cells), allowed=str(len(columns)))
            else:
                rows.append(CsvRow(reader.line_num, dict(zip(columns, cells, strict=False))))
    except csv.Error as error:
        raise InputError(f"not a readable CSV file ({error})", where=path, line=reader.line_num) from None
    return CsvFile(path, columns, tuple(rows))


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
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _delimiter(text: str) -> str:
    header = next(line for line in text.splitlines() if line.strip())
    return max((",", ";", "\t"), key=header.count)
