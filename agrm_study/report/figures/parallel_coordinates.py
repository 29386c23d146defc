"""Parallel coordinates of the tried settings, coloured by validation score."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.searching import MIN_TRIALS, as_numbers, tried
from agrm_study.report.figures.style import TWO_COLUMNS_IN, name_lines, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES
from agrm_study.study.tasks import task_title

WIDE: Final = 10.0
MOST_TICKS: Final = 6
GAP: Final = 0.18
"""Fraction of an axis reserved below its values for trials in which the setting is inactive."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One setting: position of each trial in [0, 1], and the tick labels."""

    title: str
    positions: NDArray[np.floating]
    ticks: tuple[float, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ParallelTask:
    """Trials of one task: one axis per setting, and the validation score as the last axis."""

    task: str
    axes: tuple[Axis, ...]
    scores: NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class ParallelInfo:
    """Trials of each task that has enough of them."""

    metric: str
    tasks: tuple[ParallelTask, ...]


def axis_of(title: str, values: NDArray[np.floating], names: list[str] | None) -> Axis:
    """Map values to positions on an axis.

    The scale is logit if the distances of the values from 1 span a factor of 10 or more, otherwise logarithmic if the
    values span such a factor, otherwise linear. NaN, which means that the setting is inactive, is placed below the
    other values.
    """
    if names is not None:
        top = max(len(names) - 1, 1)
        ticks = tuple(i / top for i in range(len(names)))
        return Axis(title=title, positions=values / top, ticks=ticks, labels=tuple(names))
    known = values[~np.isnan(values)]
    low, high = float(known.min()), float(known.max())
    scale = scale_of(low, high)
    bottom, span = float(scale(low)), float(scale(high) - scale(low)) or 1.0
    floor = 0.0 if known.size == values.size else GAP
    distinct = np.unique(known)
    shown = distinct if distinct.size <= MOST_TICKS and known.size > distinct.size else ticks_of(low, high)

    def place(value: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.asarray(floor + (1 - floor) * (scale(value) - bottom) / span)

    unset = ("not set",) * (floor > 0)
    return Axis(
        title=title,
        positions=np.where(np.isnan(values), 0.0, place(values)),
        ticks=tuple(float(p) for p in place(shown)) + (0.0,) * len(unset),
        labels=tuple(f"{v:.6g}" for v in shown) + unset,
    )


def ticks_of(low: float, high: float) -> NDArray[np.floating]:
    """At most six round tick values between two limits, on the scale of an axis; the limits if fewer than two exist."""
    if _is_logit(low, high):
        near_0 = _decades(low, 0.1) if low < 0.1 else np.empty(0)
        found = np.concatenate([near_0, 1 - _decades(1 - high, min(1 - low, 0.5))[::-1]])
        found = found[:: math.ceil(found.size / MOST_TICKS)]
    elif _is_logarithmic(low, high):
        found = _decades(low, high)
    else:
        found = np.asarray(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    margin = 1e-9 * (high - low)
    found = found[(found >= low - margin) & (found <= high + margin)]
    return found if found.size >= 2 else np.unique([low, high])


def _decades(low: float, high: float) -> NDArray[np.floating]:
    """Powers of ten between two values, with their multiples by 2 and 5 if there is space."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps, every in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3)):
        found = np.array([float(f"{m}e{k}") for k in range(first, last + 1, every) for m in steps])
        found = found[(found >= low * (1 - 1e-9)) & (found <= high * (1 + 1e-9))]
        if found.size <= MOST_TICKS:
            break
    return found


def _is_logit(low: float, high: float) -> bool:
    return 0 < low < high < 1 and (1 - low) / (1 - high) >= WIDE


def _is_logarithmic(low: float, high: float) -> bool:
    return low > 0 and high / low >= WIDE


def scale_of(low: float, high: float) -> Callable[[Any], Any]:
    """The transform from values to axis coordinates."""
    if _is_logit(low, high):
        return lambda v: np.log(v) - np.log1p(-v)
    return np.log if _is_logarithmic(low, high) else lambda v: v


class ParallelCoordinates(FigureKind[ParallelInfo]):
    """One line per trial across its settings, coloured by the validation metric."""

    name: ClassVar[str] = "parallel_coordinates"
    question: ClassVar[str] = "Which combinations of settings perform well on validation data?"
    needs: ClassVar[str] = f"{MIN_TRIALS} completed trials in which at least two settings vary"

    def info(self, m: Measurements) -> ParallelInfo | None:
        found, metric = [], "macro_f1"
        for task in m.evidence.study.tasks:
            known = tried(m, task)
            if known is None or known[0].shape[1] < 2:
                continue
            factors, scores, column = known
            metric = column.removeprefix("val_")
            axes = []
            for name in factors.columns:
                numbers, names = as_numbers(factors[name])
                axes.append(axis_of(str(name), numbers.to_numpy(dtype=np.float64), names))
            found.append(ParallelTask(task=task, axes=tuple(axes), scores=scores.to_numpy(dtype=np.float64)))
        return ParallelInfo(metric=metric, tasks=tuple(found)) if found else None

    def draw(self, info: ParallelInfo) -> Figure:
        with styled():
            figure = Figure(figsize=(TWO_COLUMNS_IN, 2.5 * len(info.tasks)), layout="constrained")
            grid: Any = figure.subplots(len(info.tasks), 1, squeeze=False)[:, 0]
            for axes, task in zip(grid, info.tasks, strict=True):
                self._panel(figure, axes, info, task)
            return figure

    def _panel(self, figure: Figure, axes: Any, info: ParallelInfo, task: ParallelTask) -> None:
        percent = info.metric != "loss"
        scale = 100.0 if percent else 1.0
        norm = mpl.colors.Normalize(scale * task.scores.min(), scale * task.scores.max())
        colours = mpl.colormaps["cividis"]
        rng = np.random.default_rng(0)
        best_last = np.argsort(task.scores if percent else -task.scores, kind="stable")
        nudges = rng.uniform(-0.012, 0.012, size=(len(task.scores), len(task.axes)))
        for rank, i in enumerate(best_last):
            heights = [a.positions[i] + d for a, d in zip(task.axes, nudges[i], strict=True)]
            strength = 0.25 + 0.65 * rank / max(1, len(best_last) - 1)
            colour = colours(norm(scale * task.scores[i]))
            axes.plot(range(len(heights)), heights, color=colour, alpha=strength, linewidth=1)
        paper = {"facecolor": "white", "alpha": 0.8, "pad": 0.4, "linewidth": 0}
        for x, a in enumerate(task.axes):
            axes.axvline(x, color="#444444", linewidth=0.7)
            for place, label in zip(a.ticks, a.labels, strict=True):
                axes.plot([x - 0.012, x], [place, place], color="#444444", linewidth=0.7)
                axes.text(x + 0.02, place, label, fontsize=6, va="center", ha="left", bbox=paper)
        titles = name_lines([a.title.replace(".", ". ") for a in task.axes], 14)
        axes.set_xticks(range(len(task.axes)), [t.replace(". ", ".") for t in titles])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xlim(-0.08, len(task.axes) - 1 + 0.25)
        axes.set_title(f"{task_title(task.task)} ({len(task.scores)} trials)")
        bar = figure.colorbar(mpl.cm.ScalarMappable(norm, colours), ax=axes, pad=0.01, fraction=0.025)
        bar.outline.set_visible(False)
        bar.set_label(f"Validation {METRIC_TITLES[info.metric]}{' (%)' if percent else ''}")

    def caption(self, info: ParallelInfo) -> str:
        return (
            f"Settings of each trial and its {METRIC_NAMES[info.metric]} on validation data (never on test data); "
            "one line per completed trial, the best drawn last; lines are shifted slightly to separate identical ones."
        )
