"""Detection of characters that none of a figure's fonts can display."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Final

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from agrm_study.report.figures.style import font_families

MOST_NAMED: Final = 5
"""Maximum number of characters listed in a note."""


def missing_glyphs(figure: Figure) -> frozenset[str]:
    """Characters in the figure's texts that appear as empty boxes."""
    texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_visible()]
    characters = {c for t in texts for c in t.get_text() if c.isprintable()}
    return frozenset(c for c in characters if not c.isascii() and not _has_glyph(c))


def glyph_note(missing: Collection[str]) -> str | None:
    """One-line note about characters that appear as empty boxes, with the font to install; None if there are none."""
    if not missing:
        return None
    named = sorted(missing)
    shown = ", ".join(named[:MOST_NAMED]) + (", …" if len(named) > MOST_NAMED else "")
    plural = "s" if len(named) > 1 else ""
    return (
        f"figures show empty boxes for {len(named)} character{plural} ({shown}) that no installed font contains; "
        "install a font that contains them, such as Noto Sans CJK, and rerun the report"
    )


@cache
def _has_glyph(character: str) -> bool:
    return any(ord(character) in _characters(name) for name in font_families())


@cache
def _characters(family: str) -> frozenset[int]:
    """Code points of a font family's regular face."""
    return frozenset(FT2Font(font_manager.findfont(family)).get_charmap())
