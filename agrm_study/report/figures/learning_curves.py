"""Learning curves: the validation metric, pseudo-label coverage and pseudo-label accuracy by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agrm_study.report.cells import Cell
from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import TWO_COLUMNS_IN, look, soft_grid, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES
from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.study.tasks import task_title

MAX_NAMED = 10
"""Maximum number of coloured and labelled arms: the reference and the arms with the best final values; the others are
grey."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One quantity of one arm by epoch: mean, lowest and highest seed, and number of training runs still active."""

    arm: str
    position: int
    epochs: Ints
    mean: Floats
    low: Floats
    high: Floats
    n: Ints


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One quantity on one task."""

    task: str
    quantity: str
    title: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, kw_only=True)
class LearningCurvesInfo:
    """Panels by row (quantity) and column (task)."""

    metric: str
    tasks: tuple[str, ...]
    quantities: tuple[str, ...]
    panels: tuple[Panel, ...]
    n_seeds: int
    folds: int
    named: tuple[str, ...]
    unnamed: int

    def panel(self, task: str, quantity: str) -> Panel:
        """The panel of a task and a quantity."""
        return next(p for p in self.panels if p.task == task and p.quantity == quantity)


def curve_of(arm: str, position: int, rows: pd.DataFrame, column: str, cell: Cell) -> Curve | None:
    """Mean and range over seeds at each epoch; the value of a seed is the mean over its folds.

    A training run that stopped early keeps its last value, so that the mean does not change abruptly at its end.
    """
    wide = rows.pivot_table(index="epoch", columns="trial_id", values=column, aggfunc="last").sort_index()
    wide = wide.dropna(axis=0, how="all").dropna(axis=1, how="all")
    if wide.empty:
        return None
    running = wide.notna().sum(axis=1).to_numpy(dtype=np.int64)
    filled = wide.ffill()
    if cell.fold_SN is not None:
        row_of = cell.row_of_trial
        filled = pd.DataFrame(
            {r: filled[[t for t in filled if row_of[str(t)] == r]].mean(axis=1) for r in set(row_of.values())}
        )
    table = filled.to_numpy(dtype=np.float64)
    with np.errstate(all="ignore"):
        return Curve(
            arm=arm,
            position=position,
            epochs=wide.index.to_numpy(dtype=np.int64),
            mean=np.nanmean(table, axis=1),
            low=np.nanmin(table, axis=1),
            high=np.nanmax(table, axis=1),
            n=running,
        )


def deciding(rows: pd.DataFrame, network: str) -> pd.DataFrame:
    """One row per trial and epoch: the reported network, or the student before a teacher exists."""
    preferred = rows.assign(preferred=rows["network"] == network).sort_values("preferred", kind="stable")
    return preferred.drop_duplicates(["trial_id", "epoch"], keep="last")


class LearningCurves(FigureKind[LearningCurvesInfo]):
    """Validation metric, pseudo-label coverage and pseudo-label accuracy by epoch and arm."""

    name: ClassVar[str] = "learning_curves"
    question: ClassVar[str] = "How did training progress?"
    needs: ClassVar[str] = "recorded epochs of a finished trial"

    def info(self, m: Measurements) -> LearningCurvesInfo | None:
        study = m.evidence.study
        epochs = m.evidence.epochs()
        metric = study.primary_metric if study.primary_metric in epochs.columns else "macro_f1"
        wanted = {
            metric: METRIC_TITLES[metric],
            "pseudo_coverage": "Coverage",
            "pseudo_accuracy": "Accuracy",
        }
        panels = []
        for task in study.tasks:
            for quantity, title in wanted.items():
                curves = self._curves(m, epochs, task, quantity)
                if curves:
                    panels.append(Panel(task=task, quantity=quantity, title=title, curves=curves))
        if not panels:
            return None
        arms = [a.name for a in study.arms if any(c.arm == a.name for p in panels for c in p.curves)]
        named = tuple(arms)
        if len(arms) > MAX_NAMED:
            last = {c.arm: c.mean[-1] for p in reversed(panels) if p.quantity == metric for c in p.curves}
            best = sorted(arms, key=lambda a: (a != study.reference, -last.get(a, -np.inf)))[:MAX_NAMED]
            named = tuple(a for a in arms if a in best)
        return LearningCurvesInfo(
            metric=metric,
            tasks=tuple(t for t in study.tasks if any(p.task == t for p in panels)),
            quantities=tuple(q for q in wanted if any(p.quantity == q for p in panels)),
            panels=tuple(panels),
            n_seeds=max(c.planned for c in m.evidence.cells.values()) if m.evidence.cells else 0,
            folds=1 if study.splits is None else study.splits.folds,
            named=named,
            unnamed=len(arms) - len(named),
        )

    def _curves(self, m: Measurements, epochs: pd.DataFrame, task: str, quantity: str) -> tuple[Curve, ...]:
        curves = []
        for position, arm in enumerate(m.evidence.study.arms):
            cell = m.evidence.cells.get((arm.name, task))
            if cell is None or quantity not in epochs.columns:
                continue
            rows = epochs[epochs["trial_id"].isin(cell.trial_ids)]
            if quantity.startswith("pseudo"):
                rows = rows[rows["split"] == "train"]
            else:
                rows = deciding(rows[rows["split"] == "val"], arm.network)
            curve = curve_of(arm.name, position, rows, quantity, cell)
            if curve is not None:
                curves.append(curve)
        return tuple(curves)

    def draw(self, info: LearningCurvesInfo) -> Figure:
        with styled():
            width = TWO_COLUMNS_IN if len(info.tasks) > 1 else TWO_COLUMNS_IN / 2
            figure = Figure(figsize=(width, 1.55 * len(info.quantities) + 0.55), layout="constrained")
            grid: Any = figure.subplots(
                len(info.quantities), len(info.tasks), squeeze=False, sharex="col", sharey="row"
            )
            handles: dict[str, Any] = {}
            for i, quantity in enumerate(info.quantities):
                for j, task in enumerate(info.tasks):
                    axes = grid[i, j]
                    self._panel(axes, info, task, quantity, handles)
                    if i == 0:
                        axes.set_title(task_title(task))
                    if i == len(info.quantities) - 1:
                        axes.set_xlabel("Epoch")
                        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
            figure.align_ylabels(grid[:, 0])
            columns = min(4, max(1, len(handles))) if len(info.tasks) > 1 else min(2, len(handles))
            figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
            return figure

    def _panel(self, axes: Any, info: LearningCurvesInfo, task: str, quantity: str, handles: dict[str, Any]) -> None:
        soft_grid(axes)
        panel = next((p for p in info.panels if p.task == task and p.quantity == quantity), None)
        if panel is None:
            axes.set_axis_off()
            return
        for c in sorted(panel.curves, key=lambda c: c.arm in info.named):  # draw the labelled arms on top
            if c.arm not in info.named:
                rest = axes.plot(c.epochs, 100 * c.mean, color="#BDBDBD", linewidth=0.6)[0]
                handles.setdefault(f"{info.unnamed} more arms", rest)
                continue
            line = axes.plot(c.epochs, 100 * c.mean, **look(info.named.index(c.arm)))[0]
            axes.fill_between(c.epochs, 100 * c.low, 100 * c.high, color=line.get_color(), alpha=0.15, linewidth=0)
            handles.setdefault(c.arm, line)
        if axes.get_subplotspec().is_first_col():
            what = "Validation" if quantity == info.metric else "Pseudo-label"
            axes.set_ylabel(f"{what}\n{panel.title if quantity == info.metric else panel.title.lower()} (%)")

    def caption(self, info: LearningCurvesInfo) -> str:
        rest = (
            f" In colour: the reference and the arms with the best final values; in grey: {info.unnamed} more arms."
            if info.unnamed
            else ""
        )
        folds = f", each the mean of its {info.folds} folds" if info.folds > 1 else ""
        return (
            f"Learning curves: {METRIC_NAMES[info.metric]} on validation data; coverage is the share of unlabelled "
            "clips whose pseudo-label was accepted, and pseudo-label accuracy the share of the accepted ones that "
            f"agree with the hidden label, if there is one. Lines: mean over n = {info.n_seeds} seeds{folds}; bands: "
            f"lowest to highest seed; a seed that stopped early keeps its last value.{rest} Before the teacher starts, "
            "the student is shown."
        )
