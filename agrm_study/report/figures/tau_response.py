"""Effect of the confidence threshold τ on the metric and on the accepted pseudo-labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.learning_curves import curve_of
from agrm_study.report.figures.style import COLOURS, DASHES, MARKERS, TWO_COLUMNS_IN, name_lines, soft_grid, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.study_info import ArmInfo
from agrm_study.report.tables.thresholds import rule_of
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.estimators import Interval
from agrm_study.study.ssl_settings import Threshold
from agrm_study.study.tasks import task_title

MOST_IN_A_ROW: Final = 8
"""Maximum number of points whose names fit side by side below the axis and in one line of the legend."""
COLUMNS: Final = 4
"""Number of legend columns if there are more points."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One policy on one task: the metric for each seed, its interval, and coverage and purity by epoch."""

    arm: str
    policy: str
    tau: float | None
    values_S: Floats
    mean: float
    interval: Interval
    coverage: Floats
    purity: Floats


@dataclass(frozen=True, kw_only=True)
class TauResponseInfo:
    """Points by task: fixed thresholds in increasing order, then adaptive policies, then arms that differ in other
    settings."""

    metric: str
    tasks: tuple[str, ...]
    points: dict[str, tuple[Point, ...]]


def _alike(arms: Sequence[ArmInfo]) -> list[ArmInfo]:
    """The arms whose recipes differ only in `ssl.threshold`: fixed thresholds in increasing order, then policies.

    Empty if there is no such group of arms or no unique one (groups with several fixed thresholds take precedence), or
    if two arms of the group have the same rule.
    """
    groups: dict[str, list[ArmInfo]] = {}
    for arm in arms:
        if arm.accepts:
            ssl = arm.recipe.ssl.model_copy(update={"threshold": Threshold()})
            key = arm.recipe.model_copy(update={"ssl": ssl}).model_dump_json()
            groups.setdefault(key, []).append(arm)
    several = [group for group in groups.values() if len(group) > 1]
    along = [group for group in several if sum(rule_of(arm)[0] == "fixed" for arm in group) > 1]
    chosen = along if along else several
    if len(chosen) != 1 or len({rule_of(arm) for arm in chosen[0]}) < len(chosen[0]):
        return []
    return sorted(
        chosen[0], key=lambda a: (rule_of(a)[0] != "fixed", rule_of(a)[1] if rule_of(a)[0] == "fixed" else 0.0)
    )


class TauResponse(FigureKind[TauResponseInfo]):
    """The metric by τ, one point per seed, and coverage and purity over training; other arms are shown on the right."""

    name: ClassVar[str] = "tau_response"
    question: ClassVar[str] = "How does the threshold affect the result and the accepted pseudo-labels?"
    needs: ClassVar[str] = "one group of arms that differ only in their threshold or its policy"

    def info(self, m: Measurements) -> TauResponseInfo | None:
        study = m.evidence.study
        alike = _alike(study.arms)
        arms = [*alike, *(a for a in study.arms if a.accepts and a not in alike)]
        if not alike:
            return None
        epochs = m.evidence.epochs()
        epochs = epochs[epochs["split"] == "train"]
        found: dict[str, tuple[Point, ...]] = {}
        for task in study.tasks:
            points = []
            for arm in arms:
                x, cell = m.metric(arm.name, task, study.primary_metric), m.cell(arm.name, task)
                if x is None or cell is None:
                    continue
                rows = epochs[epochs["trial_id"].isin(cell.trial_ids)]
                coverage, purity = (
                    curve_of(arm.name, 0, rows, c, cell) for c in ("pseudo_coverage", "pseudo_accuracy")
                )
                both = coverage is not None and purity is not None
                shared = np.intersect1d(coverage.epochs, purity.epochs) if both and coverage and purity else np.empty(0)
                policy, tau = rule_of(arm)
                points.append(
                    Point(
                        arm=arm.name,
                        policy=policy,
                        tau=tau if policy == "fixed" and arm in alike else None,
                        values_S=x.values_S,
                        mean=x.summary.mean,
                        interval=x.interval,
                        coverage=coverage.mean[np.isin(coverage.epochs, shared)] if coverage else np.empty(0),
                        purity=purity.mean[np.isin(purity.epochs, shared)] if purity else np.empty(0),
                    )
                )
            if points:
                found[task] = tuple(points)
        if not found:
            return None
        return TauResponseInfo(metric=study.primary_metric, tasks=tuple(found), points=found)

    def draw(self, info: TauResponseInfo) -> Figure:
        with styled():
            most = max(len(points) for points in info.points.values())
            height = 2.35 * len(info.tasks) + (0.35 if most <= MOST_IN_A_ROW else 1.5)
            figure = Figure(figsize=(TWO_COLUMNS_IN, height), layout="constrained")
            grid: Any = figure.subplots(len(info.tasks), 2, squeeze=False, width_ratios=[1.3, 1])
            handles: dict[str, Any] = {}
            for i, task in enumerate(info.tasks):
                self._response(grid[i, 0], info, task)
                self._trajectory(grid[i, 1], info.points[task], handles)
            if handles:
                columns = len(handles) if len(handles) <= MOST_IN_A_ROW else COLUMNS
                figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
            return figure

    def _response(self, axes: Any, info: TauResponseInfo, task: str) -> None:
        soft_grid(axes)
        points = info.points[task]
        fixed = [p for p in points if p.tau is not None]
        others = [p for p in points if p.tau is None]
        if len(fixed) > 1:
            taus = [p.tau for p in fixed]
            axes.plot(taus, [100 * p.mean for p in fixed], "-", color=COLOURS[0])
            low, high = [100 * p.values_S.min() for p in fixed], [100 * p.values_S.max() for p in fixed]
            axes.fill_between(taus, low, high, color=COLOURS[0], alpha=0.13, linewidth=0)
        known = [p.tau for p in fixed if p.tau is not None]
        last = max(known, default=0.0)
        step = (last - min(known)) / max(1, len(known) - 1) if len(known) > 1 else 0.1
        apart = max(step, 0.38 * (last - min(known, default=last)))
        positions = [*known, *(last + (k + 1.0) * apart for k in range(len(others)))]
        for k, (x, p) in enumerate(zip(positions, [*fixed, *others], strict=True)):
            colour = COLOURS[k % len(COLOURS)]
            axes.plot([x] * p.values_S.size, 100 * p.values_S, ".", color=colour, markersize=3, alpha=0.6)
            if p.interval.defined:
                axes.plot([x, x], [100 * p.interval.low, 100 * p.interval.high], "-", color=colour, linewidth=1)
            axes.plot(x, 100 * p.mean, _marker(k), color=colour, markersize=4.5)
        if others and fixed:
            axes.axvline(last + 0.5 * apart, color="#B0B0B0", linewidth=0.6)
        if len(points) <= MOST_IN_A_ROW:
            axes.set_xticks(positions, [*(f"{t:g}" for t in known), *name_lines([p.arm for p in others], 9)])
        else:
            names = [*(f"{t:g}" for t in known), *(p.arm for p in others)]
            axes.set_xticks(positions, names, rotation=55, ha="right", rotation_mode="anchor")
        axes.set_xlabel("Threshold τ" + (" | other rules" if others else ""))
        axes.set_ylabel(f"Test {METRIC_TITLES[info.metric]} (%)")
        axes.set_title(task_title(task))

    def _trajectory(self, axes: Any, points: tuple[Point, ...], handles: dict[str, Any]) -> None:
        soft_grid(axes, "both")
        few = len(points) <= MOST_IN_A_ROW
        for k, p in enumerate(points):
            if not p.coverage.size:
                continue
            look = {"color": COLOURS[k % len(COLOURS)], "linestyle": DASHES[(k + k // len(COLOURS)) % len(DASHES)]}
            line = axes.plot(
                100 * p.coverage, 100 * p.purity, linewidth=1 if few else 0.6, alpha=1 if few else 0.5, **look
            )[0]
            end = _marker(k)
            axes.plot(100 * p.coverage[-1], 100 * p.purity[-1], end, color=look["color"], markersize=4.5)
            handles.setdefault(p.arm, line)
        axes.set_xlabel("Coverage (%)")
        axes.set_ylabel("Accuracy of accepted (%)")
        if not any(p.coverage.size for p in points):
            axes.text(0.5, 0.5, "no hidden labels recorded", ha="center", va="center", transform=axes.transAxes)

    def caption(self, info: TauResponseInfo) -> str:
        return (
            f"Left: {METRIC_NAMES[info.metric]} on test data by threshold; large markers: mean over seeds, bars: "
            "95% intervals over seeds and subjects, dots: single seeds, band: lowest to highest seed. Right: share of "
            "unlabelled clips accepted and share of these that agree with the hidden label, mean over seeds, epoch by "
            "epoch; markers: last epoch."
        )


def _marker(k: int) -> str:
    """The marker of a point; points of the same colour have different markers."""
    return MARKERS[(k + k // len(COLOURS)) % len(MARKERS)]
