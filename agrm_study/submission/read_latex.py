r"""LaTeX reader for agrm-study tables in a manuscript, identified by their comments, and uses of ``\agrm{key}``.

The reader accepts common edits of a table: different column types, rules, fonts, math mode, line breaks and order.
It does not expand macros defined by the author; a cell that uses such a macro is reported as different.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from agrm_study.report.renderers.latex import SYMBOLS, TABLE_ID
from agrm_study.submission.grid import Grid, GridCell, GridRow

_ID: Final = re.compile(rf"^[ \t]*%+[ \t]*{re.escape(TABLE_ID.strip('% '))}[ \t]+(.+)/([^/\s]+)[ \t]*$", re.MULTILINE)
_USE: Final = re.compile(r"\\agrm\s*\{([^{}]*)\}")
_TABULAR: Final = re.compile(r"\\(begin|end)\s*\{(tabular\*?|tabularx|tabulary|longtable|array|tblr)\}")
_FLOAT: Final = re.compile(r"\\(begin|end)\s*\{(?:table\*?|sidewaystable\*?|longtable)\}")
_RULES: Final = re.compile(
    r"\\(?:toprule|midrule|bottomrule|hline|cmidrule|cline|addlinespace|specialrule|rowcolor|noalign|endhead|endfoot|"
    r"endfirsthead|endlastfoot|rowfont)\b(?:\s*(?:\([^)]*\)|\[[^\]]*\]|\{[^{}]*\}))*"
)
_HEAD_END: Final = re.compile(r"\\(?:midrule|hline|endhead|endfirsthead)\b")
_WITHOUT_TEXT: Final = re.compile(
    r"\\(?:phantom|hphantom|vphantom|label|cellcolor|color|hspace\*?|vspace\*?|rule|tnote|footnotemark)"
    r"\s*(?:\[[^\]]*\])?\s*\{[^{}]*\}(?:\{[^{}]*\})?"
)
_FONTS: Final = re.compile(
    r"\\(?:bfseries|itshape|scshape|ttfamily|rmfamily|sffamily|normalfont|centering|raggedright|raggedleft|tiny|small|"
    r"scriptsize|footnotesize|normalsize|large|boldmath|par|smallskip|medskip|noindent|relax|displaystyle|strut)\b"
)
_WITH_TEXT: Final = re.compile(
    r"\\(?:textbf|textit|emph|underline|textsc|texttt|textrm|textsf|textsuperscript|textsubscript|text|mathbf|mathrm|mathit"
    r"|boldsymbol|bm|ensuremath|mbox|makebox|num|uline|textnormal|textmd|textup|footnotesize|small|scriptsize|tiny|hbox"
    r"|makecell|shortstack)\b\s*(?:\[[^\]]*\])?"
)
_SPACES: Final = re.compile(r"\\[,;:!>/ ]|\\(?:quad|qquad|thinspace|enspace|allowbreak|nobreakspace)\b|~")

_CHARACTERS: Final = {
    re.sub(r"^\\ensuremath\{(.*)\}$", r"\1", latex).removesuffix("{}"): character
    for character, latex in SYMBOLS.items()
    if character not in ("\u00a0", "`", '"', "‘", "’", "“", "”", "'")
} | {r"\dag": "†", r"\ddag": "‡", r"\le": "≤", r"\ge": "≥", r"\ldots": "…", r"\textpm": "±", r"\cmark": "✓"}
"""Characters in agrm-study tables, by their LaTeX source."""
_CODE_POINT: Final = re.compile(r"\\agrmchar\{([0-9A-F]{1,6})\}")
_SYMBOL: Final = re.compile(
    "|".join(
        re.escape(latex) + (r"(?![A-Za-z])" if latex[-1].isalpha() else "")
        for latex in sorted(_CHARACTERS, key=len, reverse=True)
        if not (latex.isascii() and len(latex) == 1)
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTable:
    """An agrm-study table in a LaTeX file.

    Attributes:
        study: Name of the study.
        name: Name of the table.
        text: Text of the file, with comments replaced by spaces.
        start: Position of the comment that identifies the table.
        body: Start and end of the tabular's content.
        float: Start and end of the enclosing float, or of the tabular if there is none.
    """

    study: str
    name: str
    text: str
    start: int
    body: tuple[int, int]
    float: tuple[int, int]

    @property
    def line(self) -> int:
        """Line number of the comment, counted from 1."""
        return line_of(self.text, self.start)


@dataclass(frozen=True, slots=True)
class Use:
    r"""One ``\agrm{key}``: the key and its line."""

    key: str
    line: int


def without_comments(text: str) -> str:
    """The text with comments replaced by spaces, so that positions are unchanged."""
    return re.sub(r"(?<!\\)((?:\\\\)*)(%[^\n]*)", lambda m: m.group(1) + " " * len(m.group(2)), text)


def line_of(text: str, position: int) -> int:
    """Line number of a position, counted from 1."""
    return text.count("\n", 0, position) + 1


def find_uses(text: str) -> list[Use]:
    r"""Every ``\agrm{key}`` outside comments, except the definition of the macro."""
    clean = without_comments(text)
    return [Use(m.group(1).strip(), line_of(clean, m.start())) for m in _USE.finditer(clean) if "#" not in m.group(1)]


def find_tables(text: str) -> list[FoundTable]:
    """All tables identified by a comment of the LaTeX renderer; a table whose tabular is missing has an empty body."""
    clean = without_comments(text)
    spans = list(_pairs(_TABULAR, clean))
    floats = list(_pairs(_FLOAT, clean))
    found = []
    for named in _ID.finditer(text):
        at = named.start()
        around = [s for s in spans if s[0] < at < s[3]]
        after = [s for s in spans if s[0] > at]
        span = min(around, key=lambda s: s[3] - s[0], default=None) or min(after, default=None)
        body = (span[1], span[2]) if span else (at, at)
        outside = (span[0], span[3]) if span else (at, at)
        holder = min((f for f in floats if f[0] <= outside[0] and f[3] >= outside[1]), default=None)
        found.append(
            FoundTable(
                study=named.group(1),
                name=named.group(2),
                text=clean,
                start=at,
                body=body,
                float=(holder[0], holder[3]) if holder else outside,
            )
        )
    return found


def grid_of(table: FoundTable, numbers: Callable[[str], str | None] = lambda key: None) -> Grid:
    r"""The grid of a table.

    Args:
        table: The table.
        numbers: Returns the LaTeX source of the value of a key, for cells that use ``\agrm{key}``.
    """
    start, end = table.body
    text = table.text
    start += _arguments(text[start:end])
    first_end = next(iter(_split(text, start, end, "\\\\")))[1]
    head_end = _HEAD_END.search(text, first_end, end)
    lines: list[tuple[bool, tuple[GridCell, ...], bool]] = []
    for row in _split(text, start, end, "\\\\"):
        parts = list(_split(text, *row, "&"))
        cells = tuple(GridCell(plain(text[a:b], numbers), line_of(text, _first(text, a, b))) for a, b in parts)
        if not any(c.text for c in cells):
            continue
        spans = len(parts) == 1 and "\\multicolumn" in text[row[0] : row[1]]
        is_head = head_end is not None and row[1] <= head_end.start()
        lines.append((is_head, cells, spans))
    columns = next((cells for is_head, cells, spans in reversed(lines) if is_head and not spans), ())
    heading, rows = "", []
    for is_head, cells, spans in lines:
        if is_head:
            continue
        if spans and len(columns) > 1:
            heading = cells[0].text
        else:
            rows.append(GridRow(heading, cells))
    return Grid(columns, tuple(rows), tuple(_prose(table, numbers)))


def plain(latex: str, numbers: Callable[[str], str | None] = lambda key: None) -> str:
    """LaTeX source as plain text without fonts, braces and math mode, for comparison."""
    text = _USE.sub(lambda m: numbers(m.group(1).strip()) or m.group(0), latex)
    while inner := re.search(r"\\begin\s*\{tabular\}", text):
        text = text[: inner.start()] + " " + text[inner.end() + _arguments(text[inner.end() :]) :]
    text = re.sub(r"\\end\s*\{tabular\}", " ", text)
    for command, arguments in (("multicolumn", 2), ("multirow", 2)):
        while call := re.search(rf"\\{command}\b", text):
            text = text[: call.start()] + text[_after_arguments(text, call.end(), arguments) :]
    for pattern in (_RULES, _WITHOUT_TEXT, _FONTS):
        text = pattern.sub(" ", text)
    text = _WITH_TEXT.sub("", text)
    text = re.sub(r"\\\\(?:\[[^\]]*\])?", " ", text)
    text = _CODE_POINT.sub(lambda m: chr(int(m[1], 16)), text.replace("−", "-"))
    text = _SYMBOL.sub(lambda m: _CHARACTERS[m.group()], text)
    return " ".join(re.sub(r"[{}$]", "", _SPACES.sub(" ", text)).split())


def _prose(table: FoundTable, numbers: Callable[[str], str | None]) -> Iterator[GridCell]:
    """The caption of the float, and its text after the tabular, split at paragraphs."""
    text = table.text
    caption = re.compile(r"\\caption\*?\s*(?:\[[^\]]*\])?\s*\{").search(text, *table.float)
    if caption is not None:
        end = _closing(text, caption.end())
        yield GridCell(plain(text[caption.end() : end], numbers), line_of(text, caption.start()))
    ended = _TABULAR.search(text, table.body[1])
    at = ended.end() if ended else table.body[1]
    notes = re.sub(
        r"\\(?:begin|end)\s*\{[^{}]*\}(?:\s*\{[^{}]*\})?", lambda m: " " * len(m.group()), text[at : table.float[1]]
    )
    begun = 0
    for pause in [*re.finditer(r"\\par\b|\n[ \t]*\n", notes), None]:
        stop = pause.start() if pause else len(notes)
        if "\\caption" not in notes[begun:stop] and (said := plain(notes[begun:stop], numbers)):
            yield GridCell(said, line_of(text, _first(text, at + begun, at + stop)))
        begun = pause.end() if pause else stop


def _pairs(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int, int, int]]:
    """Start and end of the opening command and of the closing command of each environment."""
    opened: list[re.Match[str]] = []
    for m in pattern.finditer(text):
        if m.group(1) == "begin":
            opened.append(m)
        elif opened:
            start = opened.pop()
            yield start.start(), start.end(), m.start(), m.end()


def _arguments(body: str) -> int:
    """Length of the arguments at the start of a tabular: position, width and columns."""
    at = 0
    while match := re.compile(r"\s*(?:\[[^\]]*\]|\{)").match(body, at):
        at = _closing(body, match.end()) + 1 if match.group().endswith("{") else match.end()
        if match.group().endswith("{") and not re.match(r"\s*\{", body[at:]):
            break
    return at


def _closing(text: str, at: int) -> int:
    """Position of the brace that closes the group whose content starts at the given position."""
    depth = 1
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
        at += 1
    return len(text)


def _after_arguments(text: str, at: int, count: int) -> int:
    """Position after the given number of arguments in braces, and any optional arguments in brackets among them."""
    while count and (match := re.compile(r"\s*(?:\[[^\]]*\]|\{)").match(text, at)):
        in_braces = match.group().endswith("{")
        at = _closing(text, match.end()) + 1 if in_braces else match.end()
        count -= in_braces
    return at


def _split(text: str, start: int, end: int, separator: str) -> Iterator[tuple[int, int]]:
    """Spans between separators outside braces and environments."""
    depth, begun, at = 0, start, start
    while at < end:
        if depth == 0 and text.startswith(separator, at):
            yield begun, at
            at += len(separator)
            option = re.compile(r"\*?\s*\[[^\]]*\]").match(text, at, end) if separator == "\\\\" else None
            at = begun = option.end() if option and not _starts_cell(option.group()) else at
            continue
        if text.startswith("\\begin{", at):
            depth += 1
        elif text.startswith("\\end{", at):
            depth -= 1
        if text[at] == "\\":
            at += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    yield begun, end


def _starts_cell(option: str) -> bool:
    """Whether brackets after a line break contain a number without a unit and are therefore an interval in a cell."""
    return re.search(r"(pt|mm|cm|em|ex|in|skip|height|baselineskip)\s*\]$", option) is None


def _first(text: str, start: int, end: int) -> int:
    """Position of the first non-space character within a span."""
    found = re.compile(r"\S").search(text, start, end)
    return found.start() if found else start
