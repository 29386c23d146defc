"""Common style of all figures: colour-blind safe, readable at column width, and deterministic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import matplotlib as mpl

ONE_COLUMN_IN = 3.4
"""Width of one column of a two-column paper, in inches."""
TWO_COLUMNS_IN = 7.0
"""Width of the two columns, in inches."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
"""The Okabe–Ito palette without yellow (too light on white), plus a brown."""
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GREY = "#6E6E6E"

MOST_SIDE_BY_SIDE = 2
"""Maximum number of task panels per row."""

RC: dict[str, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "patch.linewidth": 0.6,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "figure.facecolor": "white",
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "agrm-study",
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
    "text.usetex": False,
    "text.parse_math": False,
}


CJK_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "SimHei"),
)
"""Fonts for Chinese, Japanese and Korean names; installed ones are used for glyphs that DejaVu Sans lacks."""


@cache
def font_families() -> tuple[str, ...]:
    """DejaVu Sans, which ships with matplotlib, and the installed fonts of `CJK_FONTS`."""
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return ("DejaVu Sans", *(name for name in CJK_FONTS if name in installed))


def styled() -> Any:
    """Context manager that applies this project's matplotlib style and ignores the user's matplotlibrc."""
    mpl.use("agg", force=False)
    settings: dict[Any, Any] = {**dict(mpl.rcParamsDefault), **RC, "font.family": list(font_families())}
    settings.pop("backend", None)
    return mpl.rc_context(settings)


def look(position: int) -> dict[str, Any]:
    """Colour and dash pattern of the arm at a position; both vary, so that arms remain distinguishable in greyscale."""
    dash = position + position // len(COLOURS)  # the marker shifts by one each time the colours repeat
    return {"color": COLOURS[position % len(COLOURS)], "linestyle": DASHES[dash % len(DASHES)]}


def marker(position: int) -> str:
    """Marker of the arm at a position."""
    return MARKERS[position % len(MARKERS)]


def task_grid(tasks: int) -> tuple[int, int]:
    """Rows and columns of the panels of several tasks: at most two side by side."""
    return math.ceil(tasks / MOST_SIDE_BY_SIDE), min(tasks, MOST_SIDE_BY_SIDE)


def soft_grid(axes: Any, which: str = "y") -> None:
    """Draw a light grid behind the data."""
    axes.grid(True, axis=which, color="#E3E3E3", linewidth=0.5)


def name_lines(names: Sequence[str], width: int = 22) -> list[str]:
    """Names wrapped to lines of at most ``width`` characters, at spaces where possible."""
    import textwrap

    return ["\n".join(textwrap.wrap(n, width)) or n for n in names]
