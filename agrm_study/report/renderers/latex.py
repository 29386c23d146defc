r"""How is a table written in LaTeX? Plain booktabs that compiles on its own and can be \input into a paper as it is."""

from __future__ import annotations

import unicodedata

from agrm_study.report.table import Entry, Table

_SYMBOLS = {
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
_SYMBOLS |= {chr(0x3B1 + i): rf"\ensuremath{{\{name}}}" for i, name in enumerate(_GREEK) if name != "omicron"}
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

TEXT_WIDTH_PT = 506
_SIZES = ((r"\small", 9, 5.0), (r"\footnotesize", 8, 3.0), (r"\scriptsize", 7, 1.2))
"""LaTeX's sizes below 10 pt: name, points, gap between columns in points."""

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


def escape(text: str) -> str:
    """Text that LaTeX sets as it stands; a character it has no sign for becomes its code point in brackets."""
    return "".join(_character(c) for c in text)


def _character(c: str) -> str:
    if c in _SYMBOLS:
        return _SYMBOLS[c]
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
    return f"[U+{ord(c):04X}]"


def _entry(entry: Entry) -> str:
    text = escape(entry.text)
    if entry.style == "best":
        text = rf"\textbf{{{text}}}"
    elif entry.style == "second":
        text = rf"\underline{{{text}}}"
    return text + "".join(rf"\textsuperscript{{{escape(mark)}}}" for mark in entry.marks)


def _fitting(table: Table) -> tuple[str, str]:
    """The largest type (and gap between columns) in which the longest cells fit a text width of 178 mm."""
    characters = sum(
        max(len(table.columns[i].title), *(_shown(row.entries[i]) for row in table.rows), 0) for i in table.visible
    )

    def width(points: int, gap: float) -> float:
        return characters * 0.485 * points + 2 * gap * (len(table.visible) - 1)

    fitting = (choice for choice in _SIZES if width(*choice[1:]) <= TEXT_WIDTH_PT)
    size, _, gap = next(fitting, _SIZES[-1])
    return size, f"{gap}pt"


def _shown(entry: Entry) -> float:
    """Length of an entry in characters; raised marks are smaller."""
    return len(entry.text) + 0.7 * len("".join(entry.marks))


def render(table: Table) -> str:
    """A float with caption, tabular and notes; a wide one spans both columns of a two-column paper."""
    columns = [table.columns[i] for i in table.visible]
    wide = len(columns) > 5
    environment = "table*" if wide else "table"
    alignment = "".join({"left": "l", "right": "r", "center": "c"}[c.align] for c in columns)
    size, gap = _fitting(table)
    lines = [
        _HEAD.format(caption=" ".join(table.heading.split())),
        rf"\begin{{{environment}}}[htbp]",
        r"\centering",
        rf"\caption{{{escape(table.heading)}}}",
        rf"\label{{tab:{''.join(c for c in table.name if c.isalnum() or c in '-:')}}}",
        size,
        rf"\setlength{{\tabcolsep}}{{{gap}}}",
        r"\renewcommand{\arraystretch}{1.12}",
        rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
        r"\toprule",
        " & ".join(escape(c.title) for c in columns) + r" \\",
        r"\midrule",
    ]
    for number, row in enumerate(table.rows):
        if row.heading is not None:
            lines += [r"\midrule"] if number else []
            lines.append(rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\textit{{{escape(row.heading)}}}}} \\")
        # A row that begins with a bracket would be taken for the optional argument of the line before.
        cells = " & ".join(_entry(row.entries[i]) for i in table.visible)
        lines.append(("{}" if cells.startswith(("[", "*")) else "") + cells + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        width = r"\textwidth" if wide else r"\linewidth"
        lines += [r"\par\smallskip", rf"\begin{{minipage}}{{{width}}}\scriptsize\raggedright"]
        lines += [escape(n) + r"\par" for n in table.notes]
        lines += [r"\end{minipage}"]
    lines += [rf"\end{{{environment}}}", r"\agrmtableend"]
    return "\n".join(lines) + "\n"
