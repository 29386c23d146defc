r"""LaTeX renderer of a table: booktabs source that compiles standalone and can be included unchanged by \input."""

from __future__ import annotations

import textwrap
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from agrm_study.report.table import Entry, Table

SYMBOLS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    '"': "''",
    "'": "'",
    "`": r"\`{}",
    "\u00a0": "~",
    "–": "--",
    "—": "---",
    "−": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "·": r"\ensuremath{\cdot}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "≈": r"\ensuremath{\approx}",
    "→": r"\ensuremath{\rightarrow}",
    "∞": r"\ensuremath{\infty}",
    "✓": r"\ensuremath{\checkmark}",
    "†": r"\ensuremath{\dagger}",
    "‡": r"\ensuremath{\ddagger}",
    "§": r"\S{}",
    "°": r"\ensuremath{^{\circ}}",
    "²": r"\ensuremath{^{2}}",
    "³": r"\ensuremath{^{3}}",
    "…": r"\dots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "Δ": r"\ensuremath{\Delta}",
    "Σ": r"\ensuremath{\Sigma}",
    "Ω": r"\ensuremath{\Omega}",
}
_GREEK = (
    *("alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"),
    *("xi", "omicron", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "varphi", "chi", "psi", "omega"),
)
SYMBOLS |= {chr(0x3B1 + i): rf"\ensuremath{{\{name}}}" for i, name in enumerate(_GREEK) if name != "omicron"}
"""LaTeX source of characters that cannot be written literally."""
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
_LETTERS = {"ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}"}
_LETTERS |= {"œ": r"\oe{}", "Œ": r"\OE{}", "ı": r"\i{}"}

TEXT_WIDTH_PT, COLUMN_WIDTH_PT = 345.0, 200.0
"""Text width of the article class at 10 pt with one column, and column width with two columns."""
_SIZES = (
    (r"\small", 9, 1.03, 5.0),
    (r"\footnotesize", 8, 1.07, 3.0),
    (r"\scriptsize", 7, 1.14, 1.5),
)
"""LaTeX font sizes below 10 pt: name, points, relative width of Computer Modern at that size, column gap."""
_TINY = (r"\tiny", 5, 1.36, 1.0)
_EM = (
    dict.fromkeys("0123456789–/†‡§", 0.5)
    | dict.fromkeys(".,:;'[]ijl|!()", 0.28)
    | dict.fromkeys("tfrs-†I", 0.39)
    | dict.fromkeys("±−+=<>×≥≤mwGDNOQMWA", 0.78)
    | {"%": 0.83, "Δ": 0.83, " ": 0.33}
)
"""Widths of the characters of Computer Modern, in em."""
_WRAP = 16
"""Characters per line at which names and headings are wrapped in a table that is too wide."""

TABLE_ID = "% agrm-study table "
"""Start of the comment that identifies the study and the table of a tabular, so that `agrm-study verify` can find
it."""

_HEAD = r"""% {caption}
% Compiles on its own; or \input it where booktabs and amssymb are loaded.
\expandafter\ifx\csname @nodocument\endcsname\relax
  \def\agrmtableend{{}}
\else
  \documentclass[10pt]{{article}}
  \usepackage[a4paper,margin=12mm]{{geometry}}
  \usepackage{{booktabs,amssymb}}
  \pagestyle{{empty}}
  \begin{{document}}
  \def\agrmtableend{{\end{{document}}}}
\fi
"""
_CHAR = r"""\ifdefined\agrmchar\else
  % Prints the character of a code point under lualatex and xelatex with a font that has it, else [U+code point].
  \def\agrmchar#1{%
    \ifdefined\Uchar
      \ifdefined\xeCJKsetup \Uchar"#1 \else\ifdefined\ltjsetparameter \Uchar"#1 \else
      \iffontchar\font"#1 \Uchar"#1 \else[U+#1]\fi\fi\fi
    \else[U+#1]\fi}
\fi
"""


def escape(text: str) -> str:
    r"""Escape text for LaTeX; a character that pdflatex cannot print becomes ``\agrmchar`` with its code point."""
    return "".join(_character(c) for c in text)


def _character(c: str) -> str:
    if c in SYMBOLS:
        return SYMBOLS[c]
    if c in _LETTERS:
        return _LETTERS[c]
    if c.isspace():
        return " "
    if " " <= c <= "~":
        return c
    parts = unicodedata.normalize("NFD", c)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        base = {"i": r"\i", "j": r"\j"}.get(parts[0], parts[0]) if parts[1] != "\u0327" else parts[0]
        return rf"\{_ACCENTS[parts[1]]}{{{base}}}"
    return rf"\agrmchar{{{ord(c):04X}}}"


@lru_cache(maxsize=4096)
def _em(text: str) -> float:
    """Width of a text in em; characters that pdflatex cannot print have the width of their code points."""
    return sum(_EM.get(c, 0.72 if c.isupper() else 0.52 if _printable(c) else 4.5) for c in text)


def _printable(c: str) -> bool:
    return c.isascii() or not _character(c).startswith(r"\agrmchar")


def _lines(text: str) -> list[str]:
    """Split the text of a cell into lines: interval below number, spread below mean, names at spaces."""
    for sign in (" [", " ± "):
        if sign in text:
            first, rest = text.split(sign, 1)
            return [first, sign.strip() + (" " if sign == " ± " else "") + rest]
    if text.count(" / ") == 3:
        parts = text.split(" / ")
        return [" / ".join(parts[:2]) + " /", " / ".join(parts[2:])]
    return textwrap.wrap(text, _WRAP, break_long_words=False) or [text]


def _cell(entry: Entry, align: str, *, broken: bool) -> str:
    """An entry as LaTeX, on several lines if ``broken``."""

    def styled(text: str) -> str:
        text = escape(text)
        if entry.style == "best":
            return rf"\textbf{{{text}}}"
        return rf"\underline{{{text}}}" if entry.style == "second" else text

    marks = "".join(rf"\textsuperscript{{{escape(mark)}}}" for mark in entry.marks)
    lines = _lines(entry.text) if broken else [entry.text]
    if len(lines) == 1:
        return styled(lines[0]) + marks
    # LaTeX would parse a leading bracket as the optional argument of the preceding line break.
    body = r" \\ ".join(("{}" if x.startswith(("[", "*")) else "") + styled(x) for x in lines)
    return rf"\begin{{tabular}}[t]{{@{{}}{align}@{{}}}}{body}{marks}\end{{tabular}}"


@dataclass(frozen=True)
class Layout:
    """Font size, gap between columns, and whether cells are broken into lines."""

    size: str
    gap: float
    broken: bool
    width: float


def layout(table: Table) -> Layout:
    """The largest font size at which the table fits the text width, with cells on one line if possible."""

    def ems(*, broken: bool) -> float:
        """Sum of the columns' widths in em."""
        total = 0.0
        for i in table.visible:
            cells = [Entry(text=table.columns[i].title), *(row.entries[i] for row in table.rows)]
            total += max(
                max(_em(x) for x in (_lines(c.text) if broken else [c.text])) * (1.15 if c.style == "best" else 1.0)
                + 0.7 * _em("".join(c.marks))
                for c in cells
            )
        return total

    width = {broken: ems(broken=broken) for broken in (False, True)}
    gaps = 2 * (len(table.visible) - 1)
    choices = [(s, False) for s in _SIZES] + [(s, True) for s in (*_SIZES[1:], _TINY)]
    found = [
        Layout(name, gap, broken, width[broken] * points * wider + gaps * gap)
        for (name, points, wider, gap), broken in choices
    ]
    return next((x for x in found if x.width <= TEXT_WIDTH_PT), found[-1])


def render(table: Table) -> str:
    """A float with caption, tabular and notes; a wide table spans both columns of a two-column paper."""
    columns = [table.columns[i] for i in table.visible]
    found = layout(table)
    wide = found.width > COLUMN_WIDTH_PT
    environment = "table*" if wide else "table"
    alignments = {"left": "l", "right": "r", "center": "c"}
    alignment = "".join(alignments[c.align] for c in columns)
    lines = [
        _HEAD.format(caption=" ".join(table.heading.split())),
        rf"\begin{{{environment}}}[htbp]",
        r"\centering",
        rf"\caption{{{escape(table.heading)}}}",
        rf"\label{{tab:{''.join(c for c in table.name if c.isalnum() or c in '-:')}}}",
        found.size,
        rf"\setlength{{\tabcolsep}}{{{found.gap}pt}}",
        r"\renewcommand{\arraystretch}{1.12}",
        rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
        *([f"{TABLE_ID}{table.study}/{table.name}"] if table.study else []),
        r"\toprule",
        " & ".join(_cell(Entry(text=c.title), alignments[c.align], broken=found.broken) for c in columns) + r" \\",
        r"\midrule",
    ]
    for number, row in enumerate(table.rows):
        if row.heading is not None:
            lines += [r"\midrule"] if number else []
            lines.append(rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\textit{{{escape(row.heading)}}}}} \\")
        # LaTeX would parse a leading bracket as the optional argument of the preceding row end.
        cells = " & ".join(
            _cell(row.entries[i], alignments[table.columns[i].align], broken=found.broken) for i in table.visible
        )
        lines.append(("{}" if cells.startswith(("[", "*")) else "") + cells + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        width = r"\textwidth" if wide else r"\linewidth"
        lines += [r"\par\smallskip", rf"\begin{{minipage}}{{{width}}}\scriptsize\raggedright"]
        lines += [escape(n) + r"\par" for n in table.notes]
        lines += [r"\end{minipage}"]
    lines += [rf"\end{{{environment}}}", r"\agrmtableend"]
    body = "\n".join(lines[1:]) + "\n"
    return lines[0] + "\n" + (_CHAR if r"\agrmchar" in body else "") + body
