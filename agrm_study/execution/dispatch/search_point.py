"""A point of a search: its trials, one per seed and run sequentially, and the rule that ends unpromising points
early.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from agrm_study.execution.dispatch.judged import Judged, mean_of
from agrm_study.execution.dispatch.sampler import Draw, End
from agrm_study.execution.dispatch.search_history import Past, PastRun
from agrm_study.plan.promotion import Candidate
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.reader import TrialState
from agrm_study.study.search_space import SearchSettings

MIN_EARLIER: Final = 4
"""Minimum number of earlier points, with at least as many seeds, that are required for their median to end a point."""


@dataclass(slots=True)
class Point:
    """One point of a search: every draw of its settings, its trials, and their outcomes.

    Attributes:
        specs: Its trials, one per seed.
        draws: Draws of its settings without a reported result yet.
        trials: Scores of its finished trials, in the order of the seeds.
        end: Outcome; None while trials are missing. ``dropped`` points were unpromising.
        best: Best value of the first objective so far, for the running trial that the pruner evaluates.
        judged: Last epoch that the pruner evaluated.
        pruned: Whether its trial was asked to end early.
        running: Whether one of its trials was handed out and has not ended.
        started: Number of its trials that were handed out or had ended before.
        repeats: For a finished trial that lost records and is rerun, the state that it must reach again.
        later: Outcomes in earlier runs of the trials after the next one.
    """

    specs: tuple[TrialSpec, ...]
    draws: list[Draw] = field(default_factory=list)
    trials: list[Judged] = field(default_factory=list)
    end: End | None = None
    best: float | None = None
    judged: int = 0
    pruned: bool = False
    running: bool = False
    started: int = 0
    repeats: TrialState | None = None
    later: list[PastRun] = field(default_factory=list)

    @property
    def spec(self) -> TrialSpec:
        """The trial with its first seed, whose identity also identifies the point."""
        return self.specs[0]

    @property
    def next(self) -> TrialSpec:
        """Its first trial without a result."""
        return self.specs[len(self.trials)]

    @property
    def result(self) -> Judged | None:
        """The means over its finished seeds; None before the first has finished."""
        return mean_of(self.trials) if self.trials else None

    @property
    def to_come(self) -> int:
        """Number of its trials that have not been handed out yet, assuming that all its seeds are trained."""
        if self.end is not None:
            return 0
        return len(self.specs) - max(self.started, len(self.trials)) - sum(run.end is not None for run in self.later)

    def add(self, run: PastRun, settings: SearchSettings) -> End | None:
        """Adds the outcome of its next trial; returns the outcome of the point if that trial determines it."""
        if run.end != "finished":
            return run.end
        undefined = Judged((math.nan,) * len(settings.metric), (math.nan,) * len(settings.constraints))
        self.trials.append(run.judged or undefined)
        return "finished" if len(self.trials) == len(self.specs) else None

    def mean(self, seeds: int) -> float:
        """Mean of the first objective over the given number of initial seeds."""
        return mean_of(self.trials[:seeds]).values[0]


def hopeless(point: Point, earlier: Iterable[Point], *, maximize: bool) -> bool | None:
    """Whether a point ends before it has all its seeds; None while undecided.

    After k seeds a point ends early if its mean is worse than the median, over the points sampled before it, of the
    means over the first k seeds (a median stopping rule, Golovin et al. 2017). Points with fewer seeds do not count, at
    least `MIN_EARLIER` earlier points are required, and the decision waits until each has k seeds or has ended: it
    depends only on the records and the order of the draws, not on which trial ended first.

    Args:
        point: A point with results for some of its seeds.
        earlier: The points sampled before it, in order.
        maximize: Whether larger values are better.
    """
    seeds = len(point.trials)
    means = []
    for other in earlier:
        if len(other.trials) >= seeds:
            means.append(other.mean(seeds))
        elif other.end is None:
            return None
    means = [mean for mean in means if mean == mean]
    own = point.mean(seeds)
    if own != own:
        return True  # an undefined objective stays undefined
    if len(means) < MIN_EARLIER:
        return False
    return own < median(means) if maximize else own > median(means)


def ended_points(past: Iterable[Past], settings: SearchSettings) -> list[Point]:
    """The points of earlier runs in sampling order, with their outcomes; unpromising points are dropped."""
    points: dict[str, Point] = {}
    for item in past:
        if not item.specs or item.specs[0].trial_id in points:
            continue
        point = points[item.specs[0].trial_id] = Point(item.specs)
        for run in item.runs:
            if run.end is None or point.end is not None:
                break
            point.end = point.add(run, settings)
    earlier: list[Point] = []
    for point in points.values():
        if point.end is None and point.trials:
            point.end = "dropped" if hopeless(point, earlier, maximize=settings.directions[0] == "maximize") else None
        earlier.append(point)
    return earlier


def candidates_of(points: Iterable[Point], space: Mapping[str, Any]) -> list[Candidate]:
    """The points that can be chosen: those that were measured with all their seeds."""
    return [
        Candidate(drawn_settings(point, space), point.result.values, point.result.excess)
        for point in points
        if point.end == "finished" and point.result is not None
    ]


def drawn_settings(point: Point, space: Mapping[str, Any]) -> dict[str, Any]:
    """The sampled values of a point, in the order of the space, without the settings of a tuned arm."""
    params = point.spec.params
    return {name: params[name] for name in space if name in params}
