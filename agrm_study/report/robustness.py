"""Primary metric of each arm on corrupted copies of the test part, by severity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from agrm_study.report.cells import Cell
from agrm_study.report.external import metric_of
from agrm_study.report.measure import Measured, Measurements, scores
from agrm_study.statistics.comparison import Difference, Scored, contrast
from agrm_study.study.spec import has_metric

NOTHING: Final = "no corrupted copies have been evaluated (`agrm-study evaluate RESULTS --corrupt all`)"
TITLES: Final[Mapping[str, str]] = {
    "occlusion": "Occlusion",
    "blur": "Blur",
    "low_light": "Low light",
    "frame_drop": "Dropped frames",
    "jitter": "Temporal jitter",
    "compression": "Compression",
}
MEANINGS: Final[Mapping[str, str]] = {
    "occlusion": "a grey rectangle over 5, 10, 20, 30, 40 % of the frame, at the same position in all frames of a clip",
    "blur": "Gaussian blur with a standard deviation of 1, 2, 3, 4, 6 pixels for a short side of 224 pixels (Hendrycks "
    "& Dietterich 2019)",
    "low_light": "50, 30, 20, 12, 7 % of the light, with photon noise for at most 2000 photons per pixel",
    "frame_drop": "10, 20, 30, 40, 50 % of the frames dropped, each replaced by the frame before it",
    "jitter": "each frame displaced in time by up to 1, 2, 3, 4, 5 frames",
    "compression": "H.264 at constant rate factors of 28, 33, 38, 43, 48",
}
"""Meaning of severities 1 to 5, by corruption."""


@dataclass(frozen=True, kw_only=True)
class RobustnessResult:
    """One arm on one task under one corruption.

    Attributes:
        clean: Primary metric on the unmodified test part.
        by_severity: The metric at each evaluated severity.
        change: Mean over the severities minus `clean`, over the same seeds and subjects; None if the subjects differ.
        to_reference: Mean over the severities minus the same mean for the reference arm; None for the reference itself,
            without a reference, or if the subjects differ.
        cell: Predictions at the first severity.
    """

    arm: str
    task: str
    kind: str
    clean: Measured | None
    by_severity: Mapping[int, Measured | None]
    change: Difference | None
    to_reference: Difference | None
    cell: Cell


def title_of(kind: str) -> str:
    """Heading of a corruption."""
    return TITLES.get(kind, kind.replace("_", " "))


def robustness_results(m: Measurements) -> Iterator[RobustnessResult]:
    """Results by task, corruption and arm in the order of the study; excluded cells are omitted."""
    found, study = m.corrupted, m.evidence.study
    if found is None:
        return
    kinds = [kind for kind in (*TITLES, *found.severities) if kind in found.severities]
    for task in study.tasks:
        for kind in dict.fromkeys(kinds):
            base = None if study.reference is None else _cells(m, study.reference, task, kind)
            for arm in (a.name for a in study.arms):
                cells = _cells(m, arm, task, kind)
                if not cells:
                    continue
                yield RobustnessResult(
                    arm=arm,
                    task=task,
                    kind=kind,
                    clean=m.metric(arm, task, study.primary_metric),
                    by_severity={s: metric_of(cell, study.primary_metric) for s, cell in cells.items()},
                    change=_change(m, m.cell(arm, task), cells),
                    to_reference=None if arm == study.reference else _difference(m, task, cells, base or {}),
                    cell=next(iter(cells.values())),
                )


def _cells(m: Measurements, arm: str, task: str, kind: str) -> dict[int, Cell]:
    """Cells of an arm by severity."""
    assert m.corrupted is not None
    found = {}
    for severity in m.corrupted.severities.get(kind, ()):
        cell = m.corrupted.cells[kind, severity].get((arm, task))
        if cell is not None and not cell.refused:
            found[severity] = cell
    return found


def _scored(m: Measurements, cell: Cell) -> Scored:
    metric = m.evidence.study.primary_metric
    return scores(cell, (metric,))[metric]


def _change(m: Measurements, clean: Cell | None, cells: Mapping[int, Cell]) -> Difference | None:
    every = list(cells.values())
    if clean is None or any(c.subjects != clean.subjects for c in every) or not _defined(m, clean):
        return None
    k = len(every)
    return contrast([_scored(m, c) for c in (*every, clean)], [*[1 / k] * k, -1.0], paired=True)


def _difference(m: Measurements, task: str, ours: Mapping[int, Cell], theirs: Mapping[int, Cell]) -> Difference | None:
    """Difference of the means over the severities between two arms."""
    if ours.keys() != theirs.keys() or not theirs:
        return None
    every = [*ours.values(), *theirs.values()]
    if any(c.subjects != every[0].subjects for c in every) or not _defined(m, every[0]):
        return None
    one, other = (_mean([_scored(m, c) for c in side.values()]) for side in (ours, theirs))
    if one is None or other is None:
        return None
    return contrast([one, other], [1.0, -1.0], paired=m.paired(task))


def _mean(arms: list[Scored]) -> Scored | None:
    """Mean of a metric over severities for each seed; None unless all have the same seeds."""
    if any(a.seeds != arms[0].seeds for a in arms):
        return None
    return Scored(
        seeds=arms[0].seeds,
        values_S=np.mean([a.values_S for a in arms], axis=0),
        influence_SN=np.mean([a.influence_SN for a in arms], axis=0),
        fold_SN=arms[0].fold_SN,
    )


def _defined(m: Measurements, cell: Cell) -> bool:
    return has_metric(cell.definition, m.evidence.study.primary_metric)
