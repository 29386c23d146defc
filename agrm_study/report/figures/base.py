"""Base class of figures, which first compute an info value and then draw it."""

from __future__ import annotations

import datetime
import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from matplotlib.figure import Figure

from agrm_study.report.figures.style import styled
from agrm_study.report.measure import Measurements

FORMATS = ("pdf", "svg", "png")
Info = TypeVar("Info")
_MARGIN_IN = 0.03
_DATE = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


class FigureKind(ABC, Generic[Info]):
    """Base class of figures.

    Attributes:
        name: Name in a study file, and stem of the output files.
        question: The question that the figure answers.
        needs: Requirement on the study, shown if the figure cannot be drawn.
    """

    name: ClassVar[str]
    question: ClassVar[str]
    needs: ClassVar[str]

    @abstractmethod
    def info(self, m: Measurements) -> Info | None:
        """All numbers and names in the figure, as a frozen value; None if the figure does not apply to the study."""

    @abstractmethod
    def draw(self, info: Info) -> Figure:
        """Draw the info value, using no other data."""

    @abstractmethod
    def caption(self, info: Info) -> str:
        """Caption that describes the content, n, N, and the meaning of bands and brackets."""


def images(figure: Figure, formats: Iterable[str]) -> dict[str, bytes]:
    """Render a figure in several formats with one layout; dates and ids are fixed, so identical figures produce
    identical bytes."""
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": _DATE, "ModDate": _DATE, "Creator": "agrm-study", "Producer": None},
        "svg": {"Date": None, "Creator": "agrm-study"},
        "png": {"Software": None},
    }
    out = {}
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        box = figure.get_tightbbox().padded(_MARGIN_IN)
        for suffix in formats:
            written = io.BytesIO()
            figure.savefig(written, format=suffix, metadata=metadata[suffix], bbox_inches=box)
            out[suffix] = written.getvalue()
    return out


def save(pictures: Mapping[str, bytes], folder: Path, name: str) -> list[Path]:
    """Write each format of a figure atomically: a reader sees either the old or the new file."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for suffix, content in pictures.items():
        path = folder / f"{name}.{suffix}"
        temporary = path.with_name(f".{path.name}")
        temporary.write_bytes(content)
        temporary.replace(path)
        paths.append(path)
    return paths
