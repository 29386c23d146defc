"""Participant flow diagram: from the labelled subjects in the study to the tested subjects."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from agrm_study.report.figures.style import styled
from agrm_study.submission.facts import PART_TITLES, Facts

WRAP = 34
_BOX_W, _LINE_H, _PAD = 2.15, 0.145, 0.09


@dataclass(frozen=True, slots=True)
class Flow:
    """Texts of the diagram, one per box, each a tuple of lines.

    Attributes:
        total: All subjects of the study.
        excluded: Excluded subjects, with the reason.
        parts: Training, validation and test.
        tested: Tested subjects and trials.
    """

    total: tuple[str, ...]
    excluded: tuple[str, ...]
    parts: tuple[tuple[str, ...], ...]
    tested: tuple[str, ...]


def flow(facts: Facts) -> Flow:
    """The texts of the diagram, with numbers from the records."""
    counts = facts.counts
    total = sum(sum(by.values()) for by in counts.values())
    clips = {part: c for part, (_, c) in facts.unlabelled.items()}
    parts = []
    for part, by in counts.items():
        lines = [f"{PART_TITLES[part].capitalize()}: {sum(by.values())} subjects"]
        lines += [f"{label.replace('_', ' ')}: {n}" for label, n in by.items()]
        lines += [f"unlabelled clips: {clips[part]}"] if clips.get(part) else []
        parts.append(tuple(lines))
    e = facts.m.evidence
    splits = e.study.splits
    if splits is not None:
        parts = [("In one fold, " + lines[0][0].lower() + lines[0][1:], *lines[1:]) for lines in parts]
    n_finished = int((e.trials["status"] == "finished").sum())
    tested = (
        f"Tested: {facts.tested} subjects" + (f" in {splits.folds} folds" if splits is not None else ""),
        f"by {n_finished} of {len({p.trial_id for p in e.planned})} planned trials",
        *([f"{len(e.refused)} trials excluded"] if e.refused else []),
    )
    unlabelled = sum(clips.values())
    return Flow(
        total=(
            f"Labelled subjects in the study: {total}",
            *([f"Unlabelled clips: {unlabelled}"] if unlabelled else []),
        ),
        excluded=("Excluded:", *textwrap.wrap(facts.exclusions().text, WRAP + 8)),
        parts=tuple(parts),
        tested=tested,
    )


def draw(f: Flow) -> Figure:
    """Draw the diagram at page width."""
    with styled():
        heights = [_height(lines) for lines in (f.total, f.excluded, f.tested)]
        parts_h = max(_height(lines) for lines in f.parts)
        width = 7.0
        side = heights[1] + 0.5
        height = heights[0] + max(side, 0.9) + parts_h + 0.4 + heights[2] + 0.1
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, width)
        axes.set_ylim(0, height)
        axes.axis("off")
        centre = width / 2
        top = height - 0.05
        _box(axes, centre, top, f.total, _BOX_W)
        y = top - heights[0]
        excluded_x = width - 1.35
        _box(axes, excluded_x, y - 0.2, f.excluded, 2.6)
        fork = y - max(side, 0.9) + 0.18
        _line(axes, (centre, y), (centre, fork))
        _arrow(axes, (centre, y - 0.2 - heights[1] / 2), (excluded_x - 1.3, y - 0.2 - heights[1] / 2))
        xs = [centre + (i - (len(f.parts) - 1) / 2) * (_BOX_W + 0.15) for i in range(len(f.parts))]
        _line(axes, (xs[0], fork), (xs[-1], fork))
        for x, lines in zip(xs, f.parts, strict=True):
            _arrow(axes, (x, fork), (x, fork - 0.18))
            _box(axes, x, fork - 0.18, lines, _BOX_W, parts_h)
        bottom = fork - 0.18 - parts_h
        _arrow(axes, (xs[-1], bottom), (xs[-1], bottom - 0.3))
        _box(axes, xs[-1], bottom - 0.3, f.tested, _BOX_W)
    return figure


def _height(lines: tuple[str, ...]) -> float:
    return len(lines) * _LINE_H + 2 * _PAD


def _box(axes: Axes, x: float, top: float, lines: tuple[str, ...], width: float, height: float | None = None) -> None:
    height = _height(lines) if height is None else height
    axes.add_patch(Rectangle((x - width / 2, top - height), width, height, fill=False, linewidth=0.8))
    for i, line in enumerate(lines):
        axes.text(
            x - width / 2 + _PAD, top - _PAD - (i + 0.5) * _LINE_H, line, va="center", ha="left", fontsize=7.5,
            fontweight="bold" if i == 0 and len(lines) > 1 and ":" in line else "normal",
        )  # fmt: skip


def _line(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.plot([start[0], end[0]], [start[1], end[1]], color="black", linewidth=0.8)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=8, linewidth=0.8, color="black"))


CAPTION = (
    "Flow of subjects through the study. Subjects that were left out before the manifest was created "
    "are not in the records; "
    "`agrm-study data index --json` lists them with the reasons."
)
