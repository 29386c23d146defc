"""Readers of table files: CSV, Markdown, HTML, LaTeX and Word tables as grids of text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any, Final

from agrm_study.submission.grid import Grid, GridCell, GridRow
from agrm_study.submission.read_latex import find_tables, grid_of

_MARKDOWN: Final = re.compile(r"\\(.)|</?(?:u|sub|sup)>|\*\*?")


def read_csv(content: bytes) -> Grid:
    """A CSV file; a first column ``task`` contains the heading of each row; numbers are compared with a tolerance."""
    reader = csv.reader(io.StringIO(content.decode("utf-8")))
    lines = [tuple(GridCell(text, reader.line_num) for text in row) for row in reader]
    if not lines or not lines[0]:
        return Grid((), ())
    by_task = int(lines[0][0].text == "task")
    rows = tuple(GridRow(line[0].text if by_task else "", line[by_task:]) for line in lines[1:] if line)
    return Grid(lines[0][by_task:], rows, exact=False)


def read_markdown(content: bytes) -> Grid:
    """A pipe table with its caption and notes."""
    lines = list(enumerate(content.decode("utf-8").splitlines(), 1))
    piped = [(n, re.split(r"(?<!\\)\|", line)[1:-1]) for n, line in lines if line.startswith("|")]
    prose = tuple(GridCell(_markdown(x), n) for n, x in lines if x.strip() and not x.startswith("|"))
    cells = [tuple(GridCell(_markdown(text), n) for text in row) for n, row in piped]
    heading, rows = "", []
    for row, (_, raw) in zip(cells[2:], piped[2:], strict=True):
        if re.fullmatch(r"\*[^*].*\*", raw[0].strip()) and not any(c.text for c in row[1:]):
            heading = row[0].text
        else:
            rows.append(GridRow(heading, row))
    return Grid(cells[0] if cells else (), tuple(rows), prose)


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(lambda m: m.group(1) or "", text).strip()


def read_html(content: bytes) -> Grid:
    """An HTML figure with its table, caption and notes."""
    parser = _Html()
    parser.feed(content.decode("utf-8"))
    parser.close()
    return Grid(tuple(parser.columns), tuple(parser.rows), tuple(parser.prose))


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.columns: list[GridCell] = []
        self.rows: list[GridRow] = []
        self.prose: list[GridCell] = []
        self._cells: list[GridCell] = []
        self._heading = ""
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("th", "td", "figcaption", "p"):
            self._text = []

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td", "figcaption", "p") and self._text is not None:
            cell = GridCell("".join(self._text).strip(), self.getpos()[0])
            (self._cells if tag in ("th", "td") else self.prose).append(cell)
            self._text = None
        elif tag == "tr":
            if not self.columns:
                self.columns = self._cells
            elif len(self._cells) == 1 and len(self.columns) > 1:
                self._heading = self._cells[0].text
            else:
                self.rows.append(GridRow(self._heading, tuple(self._cells)))
            self._cells = []


def read_docx(content: bytes) -> Grid:
    """A Word document with one table; line numbers count paragraphs or rows.

    Raises:
        ImportError: If python-docx is not installed.
    """
    import docx

    document: Any = docx.Document(io.BytesIO(content))
    prose = tuple(GridCell(p.text, n) for n, p in enumerate(document.paragraphs, 1) if p.text.strip())
    heading = ""
    columns: tuple[GridCell, ...] = ()
    rows: list[GridRow] = []
    for n, row in enumerate(document.tables[0].rows, 1):
        cells = tuple(GridCell(c.text, n) for c in row.cells)
        if n == 1:
            columns = cells
        elif len(cells) > 1 and len({id(c._tc) for c in row.cells}) == 1:
            heading = cells[0].text
        else:
            rows.append(GridRow(heading, cells))
    return Grid(columns, tuple(rows), prose)


def read_tex(content: bytes) -> Grid:
    """The first table of a LaTeX file that has an agrm-study comment."""
    return grid_of(find_tables(content.decode("utf-8"))[0])


READERS: Final[dict[str, Callable[[bytes], Grid]]] = {
    "csv": read_csv,
    "md": read_markdown,
    "html": read_html,
    "tex": read_tex,
    "docx": read_docx,
}
"""Readers by file suffix."""
