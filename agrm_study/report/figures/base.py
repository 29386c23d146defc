"""What is a kind of figure? An info value that is computed first, and a drawing of it."""

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
    """One kind of figure.

    Attributes:
        name: Its name in a study file, and of its files.
        question: The one question it answers.
        needs: What a study must have for it; said where nothing can be drawn.
    """

    name: ClassVar[str]
    question: ClassVar[str]
    needs: ClassVar[str]

    @abstractmethod
    def info(self, m: Measurements) -> Info | None:
        """Everything that is drawn, as a frozen value of numbers and names; None when the study has no such thing."""

    @abstractmethod
    def draw(self, info: Info) -> Figure:
        """Draws the info value, and nothing but it."""

    @abstractmethod
    def caption(self, info: Info) -> str:
        """What is seen, with n, N and what bands and brackets are."""


def images(figure: Figure, formats: Iterable[str]) -> dict[str, bytes]:
    """A figure in several formats, laid out once; equal figures give equal bytes (fixed dates and ids)."""
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
    """Writes the formats of a figure, so that a reader sees the old picture or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for suffix, content in pictures.items():
        path = folder / f"{name}.{suffix}"
        temporary = path.with_name(f".{path.name}")
        temporary.write_bytes(content)
        temporary.replace(path)
        paths.append(path)
    return paths
