"""What is a kind of figure? An info value that is computed first, and a drawing of it."""

from __future__ import annotations

import datetime
import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from matplotlib.figure import Figure

from agrm_study.report.figures.style import styled
from agrm_study.report.measure import Measurements

FORMATS = ("pdf", "svg", "png")
Info = TypeVar("Info")
_DATE = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


class FigureKind(ABC, Generic[Info]):
    """One kind of figure.

    Attributes:
        name: Its name in a study file, and of its files.
        question: The one question it answers.
    """

    name: ClassVar[str]
    question: ClassVar[str]

    @abstractmethod
    def info(self, m: Measurements) -> Info | None:
        """Everything that is drawn, as a frozen value of numbers and names; None when the study has no such thing."""

    @abstractmethod
    def draw(self, info: Info) -> Figure:
        """Draws the info value, and nothing but it."""

    @abstractmethod
    def caption(self, info: Info) -> str:
        """What is seen, with n, N and what bands and brackets are."""


def image_bytes(figure: Figure, suffix: str) -> bytes:
    """A figure in one format; equal figures give equal bytes (fixed dates and ids)."""
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": _DATE, "ModDate": _DATE, "Creator": "agrm-study", "Producer": None},
        "svg": {"Date": None, "Creator": "agrm-study"},
        "png": {"Software": None},
    }
    out = io.BytesIO()
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(out, format=suffix, metadata=metadata[suffix], bbox_inches="tight", pad_inches=0.03)
    return out.getvalue()


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str]) -> list[Path]:
    """Writes a figure in each format, so that a reader sees the old picture or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for suffix in formats:
        path = folder / f"{name}.{suffix}"
        temporary = path.with_name(f".{path.name}")
        temporary.write_bytes(image_bytes(figure, suffix))
        temporary.replace(path)
        paths.append(path)
    return paths
