"""Smallest detectable differences for a study, with the planned and other numbers of seeds, test subjects and folds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.statistics.comparison import ALPHA
from agrm_study.statistics.power import POWER, assumed, power_of, smallest_detectable
from agrm_study.statistics.two_way import Components

FACTORS: Final = (1, 2, 4)
"""Multiples of the planned seeds and test subjects in the table."""
OTHER_FOLDS: Final = 5
"""Number of folds shown for a study with one split."""
MOST: Final = 1_000_000
"""Maximum number of seeds or test subjects; a difference that requires more is reported as not detectable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variances:
    """Variance of a difference by source.

    Attributes:
        of: Description of the difference.
        task: The task.
        components: Variance by source, at the planned numbers.
        comparisons: Number of comparisons in the Holm family.
        assumed: Whether the variances are assumptions rather than estimates.
    """

    of: str
    task: str
    components: Components
    comparisons: int
    assumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Numbers of seeds, test subjects and folds, with the resulting precision, power and cost.

    Attributes:
        seeds: Number of seeds per arm.
        subjects: Number of test subjects; with folds, in all folds together.
        folds: Number of folds; 1 for a single split.
        half_width: Expected half-width of the 95% interval of a difference.
        detectable: Smallest difference that is detected with 80% probability.
        power: Probability of detecting the given difference.
        hours: Slot-hours for all arms and tasks with these seeds and folds; None if no trial was measured.
    """

    seeds: int
    subjects: int
    folds: int
    half_width: float
    detectable: float
    power: float
    hours: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Differences that a study can detect on one task.

    Attributes:
        task: The task.
        of: The difference whose variances are used.
        assumed: Whether the variances are assumptions rather than estimates.
        delta: The difference to detect, as a fraction.
        level: Significance level of a comparison, α divided by the number of comparisons.
        designs: The planned design first, then multiples of it, then designs with folds over the same subjects, or with
            one split if the study has folds.
        subjects_needed: Test subjects needed to detect `delta` with the planned seeds; None if no number suffices.
        seeds_needed: Seeds needed to detect `delta` with the planned test subjects; None if no number suffices.
        folds_known: Whether the variances include the effect shared by the training runs of a fold.
    """

    task: str
    of: str
    assumed: bool
    delta: float
    level: float
    designs: tuple[Design, ...]
    subjects_needed: int | None
    seeds_needed: int | None
    folds_known: bool

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dictionary of JSON-serializable values."""
        return asdict(self)


def estimated(results: Path) -> tuple[list[Variances], float | None]:
    """Variances of the difference from the reference with the widest interval, for each task, and the slot-hours of one
    seed for all arms and tasks (of one fold if the study has folds).

    The list is empty if the study has no reference, or if no difference has finished trials for at least two seeds.
    """
    evidence = collect(results)
    m = Measurements(evidence, families=evidence.study.families)
    reference = evidence.study.reference
    found = []
    for task in evidence.study.tasks:
        known = {
            arm: c.difference.components
            for (arm, t), c in m.compared().items()
            if t == task and c.difference is not None and c.difference.components is not None
        }
        widest = max(known, key=lambda arm: float(known[arm].half_width()), default=None)
        if widest is not None:
            sizes = m.family_sizes(task)
            found.append(
                Variances(
                    of=f"{widest} − {reference}, the widest of {len(known)}",
                    task=task,
                    components=known[widest],
                    comparisons=max(sizes.values(), default=1),
                )
            )
    finished = evidence.trials[evidence.trials["status"] == "finished"]
    cells = len(evidence.study.arms) * len(evidence.study.tasks)
    hours = float(finished["wall_s"].mean()) / 3600 * cells if len(finished) else None
    return found, hours


def stated(
    tasks: Sequence[str], *, seed_sd: float, disagreement: float, seeds: int, subjects: int, comparisons: int
) -> list[Variances]:
    """Variances of a difference in accuracy from assumptions, for each task."""
    components = assumed(seed_sd, disagreement, seeds=seeds, subjects=subjects)
    words = (
        f"assumptions: {100 * seed_sd:g} points between seeds, "
        f"{100 * disagreement:g}% of subjects classified differently"
    )
    return [
        Variances(of=words, task=task, components=components, comparisons=comparisons, assumed=True) for task in tasks
    ]


def detection(
    v: Variances,
    delta: float,
    *,
    seeds: int,
    hours_per_seed: float | None,
    folds: int = 1,
    test_share: float = 0.2,
) -> Detection:
    """Detectable differences for the planned and other numbers of seeds, test subjects and folds.

    Args:
        v: Variances of the difference.
        delta: The difference to detect, as a fraction.
        seeds: Planned seeds; the estimate may be based on fewer.
        hours_per_seed: Slot-hours per seed for all arms and tasks; per fold of a seed if there are folds.
        folds: Planned folds; 1 for a single split.
        test_share: Share of the labelled subjects in the test part of a single split.
    """
    level, known = ALPHA / max(v.comparisons, 1), v.components.n_subjects
    from_one_split = folds > 1 and v.components.n_folds == 1 and not v.assumed
    subjects = round(known / test_share) if from_one_split else known  # with folds, all labelled subjects are tested

    def at(n_seeds: int, n_subjects: int) -> Components:
        return v.components.projected(seeds=n_seeds / v.components.n_seeds, subjects=n_subjects / known)

    def design(n_seeds: int, n_subjects: int, n_folds: int) -> Design:
        c = at(n_seeds, n_subjects)
        if n_folds == 1:  # the training set of a single split is fixed
            c = replace(c, folds=0.0, between_folds=0.0, n_folds=1)
        return Design(
            seeds=n_seeds,
            subjects=n_subjects,
            folds=n_folds,
            half_width=float(c.half_width()),
            detectable=smallest_detectable(c, level=level),
            power=power_of(delta, c, level),
            hours=None if hours_per_seed is None else hours_per_seed * n_seeds * n_folds,
        )

    other = (OTHER_FOLDS, round(subjects / test_share)) if folds == 1 else (1, max(round(subjects * test_share), 2))
    return Detection(
        task=v.task,
        of=v.of,
        assumed=v.assumed,
        delta=delta,
        level=level,
        designs=(
            *(design(seeds * a, subjects * b, folds) for a in FACTORS for b in FACTORS),
            *(design(seeds * a, other[1], other[0]) for a in FACTORS),
        ),
        folds_known=v.components.n_folds > 1,
        subjects_needed=_least(lambda n: power_of(delta, at(seeds, n), level), 2),
        seeds_needed=_least(lambda n: power_of(delta, at(n, subjects), level), 2),
    )


def _least(power: Any, low: int) -> int | None:
    """Smallest number for which the power reaches `POWER`, by bisection; None if `MOST` does not suffice."""
    if not power(MOST) >= POWER:
        return None
    high = MOST
    while low < high:
        middle = math.isqrt(low * high) if high > 4 * low else (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle + 1, high)
    return high
