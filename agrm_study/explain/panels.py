"""Figures of explained clips: one panel per clip, and a grid of all clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

COLOUR_MAP: Final = "plasma"
OPACITY: Final = 0.5
"""Colour map and opacity are the same for all classes and clips. The lightness of plasma increases monotonically, so
strong and weak positions stay distinguishable in greyscale and for colour-blind readers."""
MOST_COLUMNS: Final = 8
_SHARPER: Final = 240
"""Minimum side of a drawn frame in pixels; smaller crops are enlarged once, by cubic interpolation."""

_GREEN, _RED, _GREY = "#00724F", "#C0392B", "#555555"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One clip with its map.

    Attributes:
        subject_id, clip_id: Ids of the subject and the clip.
        label, decided: Names of the true and the predicted class.
        probability: Probability of the predicted class, for the subject.
        reason: Reason for the selection.
        frames_THWC: Frames, uint8 RGB.
        map_THW: Map with values in [0, 1].
        seconds_T: Time of each frame in the video, in seconds.
    """

    subject_id: str
    clip_id: str
    label: str
    decided: str
    probability: float
    reason: str
    frames_THWC: NDArray[np.uint8]
    map_THW: NDArray[np.float32]
    seconds_T: NDArray[np.float64]

    @property
    def correct(self) -> bool:
        """Whether the predicted class is the true class."""
        return self.label == self.decided


def overlay(frames_THWC: NDArray[np.uint8], map_THW: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Frames blended with their map in `COLOUR_MAP` at a constant `OPACITY`, (T, H, W, 3) uint8."""
    from matplotlib import colormaps

    colours = colormaps[COLOUR_MAP](map_THW)[..., :3] * 255.0
    return np.asarray(np.rint((1 - OPACITY) * frames_THWC + OPACITY * colours), dtype=np.uint8)


def enlarged(explained: Explained, side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Frames and overlays (T, side, side, 3); frames and map are resized separately, before the map is coloured."""
    frames = np.stack([_resize(frame, side) for frame in explained.frames_THWC])
    maps = np.stack([cv2.resize(each, (side, side), interpolation=cv2.INTER_LINEAR) for each in explained.map_THW])
    return frames, overlay(frames, maps.astype(np.float32))


def draw_panel(explained: Explained, path: Path) -> None:
    """Draw one clip, with its frames above and the overlays below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    frames, maps = enlarged(explained, max(_SHARPER, explained.frames_THWC.shape[1]))
    columns = np.unique(np.linspace(0, len(frames) - 1, min(MOST_COLUMNS, len(frames))).round().astype(int))
    with _style():
        width = 7.0 if len(columns) > 4 else 1.3 * len(columns) + 0.9
        side = (width - 0.75) / len(columns)
        figure = Figure(figsize=(width, 2 * side + 0.55))
        FigureCanvasAgg(figure)
        axes = figure.subplots(
            2, len(columns), squeeze=False,
            gridspec_kw={
                "left": 0.2 / width, "right": 1 - 0.55 / width, "wspace": 0.04, "hspace": 0.04,
                "bottom": 0.05 / figure.get_figheight(), "top": 1 - 0.47 / figure.get_figheight(),
            },
        )  # fmt: skip
        for place, at in enumerate(columns.tolist()):
            for line, picture in zip(axes[:, place], (frames[at], maps[at]), strict=True):
                _show(line, picture)
            axes[0, place].set_title(f"{explained.seconds_T[at]:.2f} s", fontsize=6.5, pad=2, color=_GREY, loc="center")
        axes[0, 0].set_ylabel("frames", fontsize=7)
        axes[1, 0].set_ylabel("Grad-CAM", fontsize=7)
        _headline(figure, explained)
        _colour_bar(figure, axes)
        figure.savefig(path, dpi=300)


def draw_grid(clips: Sequence[Explained], title: str, path: Path) -> None:
    """Draw all clips, one row per true class, each at the first frame with the largest mean map value."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes = list(dict.fromkeys(each.label for each in clips))
    rows = [[each for each in clips if each.label == label] for label in classes]
    columns = max(len(row) for row in rows)
    with _style():
        unit, gap, left, right, top = 1.02, 0.16, 0.25, 0.55, 0.22
        width = left + right + columns * (2 * unit + gap)
        height = top + len(rows) * (unit + 0.36) + 0.08
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        figure.text(left / width, 1 - 0.08 / height, title, fontsize=8, weight="bold", va="top")
        for line, row in enumerate(rows):
            bottom = height - top - (line + 1) * (unit + 0.36) + 0.02
            for place, each in enumerate(row):
                frames, maps = enlarged(each, max(_SHARPER, each.frames_THWC.shape[1]))
                strongest = int(np.argmax(each.map_THW.mean(axis=(1, 2)).round(4)))
                x = left + place * (2 * unit + gap)
                for offset, picture in enumerate((frames[strongest], maps[strongest])):
                    box = ((x + offset * unit) / width, bottom / height, 0.985 * unit / width, 0.985 * unit / height)
                    axis: Any = figure.add_axes(box)
                    _show(axis, picture)
                    if place == offset == 0:
                        axis.set_ylabel(_words(each.label), fontsize=7.5, weight="bold")
                colour = _GREEN if each.correct else _RED
                above = (bottom + unit + 0.03) / height
                verdict = f"→ {_words(each.decided)}, p = {each.probability:.2f}"
                figure.text(x / width, above, verdict, fontsize=6.5, color=colour, va="bottom")
                figure.text(x / width, above + 0.115 / height, each.reason, fontsize=6, color=_GREY, va="bottom")
        bar: Any = figure.add_axes(((width - 0.42) / width, 0.15, 0.07 / width, 0.6))
        _fill_bar(figure, bar)
        figure.savefig(path, dpi=300)


def _headline(figure: Any, explained: Explained) -> None:
    width, height = figure.get_size_inches()
    colour = _GREEN if explained.correct else _RED
    verdict = f"{_words(explained.label)} → {_words(explained.decided)}, p = {explained.probability:.2f}"
    figure.text(0.2 / width, 1 - 0.05 / height, verdict, fontsize=8, weight="bold", color=colour, va="top")
    below = f"{explained.subject_id}, {explained.reason}"
    figure.text(0.2 / width, 1 - 0.2 / height, below, fontsize=6.5, color=_GREY, va="top")


def _colour_bar(figure: Any, axes: Any) -> None:
    box = axes[1, -1].get_position()
    upper = axes[0, -1].get_position()
    width = figure.get_figwidth()
    middle, span = (box.y0 + upper.y1) / 2, 0.8 * (upper.y1 - box.y0)
    _fill_bar(figure, figure.add_axes((box.x1 + 0.08 / width, middle - span / 2, 0.07 / width, span)))


def _fill_bar(figure: Any, axis: Any) -> None:
    from matplotlib.cm import ScalarMappable

    bar = figure.colorbar(ScalarMappable(cmap=COLOUR_MAP), cax=axis, ticks=[0, 0.5, 1])
    bar.ax.tick_params(labelsize=6, length=1.5, width=0.4, pad=1.5)
    bar.outline.set_linewidth(0.4)
    bar.set_label("importance in the clip", fontsize=6, labelpad=3)


def _show(axis: Any, picture: NDArray[np.uint8]) -> None:
    axis.imshow(picture, interpolation="antialiased")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _resize(frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    way = cv2.INTER_CUBIC if side > frame.shape[0] else cv2.INTER_AREA
    return np.asarray(cv2.resize(frame, (side, side), interpolation=way), dtype=np.uint8)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _style() -> Any:
    import matplotlib as mpl

    settings: dict[Any, Any] = {**dict(mpl.rcParamsDefault), "font.family": "sans-serif", "text.parse_math": False}
    settings |= {"font.sans-serif": ["DejaVu Sans"], "pdf.fonttype": 42}
    settings.pop("backend", None)
    return mpl.rc_context(settings)
