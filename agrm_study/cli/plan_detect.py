"""Output of `plan --detect`: smallest detectable differences by numbers of seeds, test subjects and folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agrm_study.study.counted import counted
from agrm_study.study.errors import InputError

if TYPE_CHECKING:
    from agrm_study.report.detect import Detection
    from agrm_study.study.study import Study


def detections(results: str | Path, study: Study, points: float, assumptions: Sequence[float]) -> list[Detection]:
    """Detectable differences of the study, estimated from its finished trials or from assumptions.

    Args:
        results: Results folder.
        study: The study.
        points: Difference to detect, in percentage points.
        assumptions: Empty, or standard deviation over seeds (percentage points), disagreement (%) and number of test
            subjects.

    Raises:
        InputError: If there are no assumptions and fewer than two finished seeds of two arms.
    """
    from agrm_study.records.local_copy import local_copy
    from agrm_study.report.detect import detection, estimated, stated

    repeats = 1 if study.splits is None else study.splits.repeats
    seeds = max(len(study.seeds) * repeats, 2)
    if assumptions:
        seed_sd, disagreement, subjects = assumptions
        found = stated(
            tuple(study.tasks), seed_sd=seed_sd / 100, disagreement=disagreement / 100,
            seeds=seeds, subjects=int(subjects), comparisons=max(len(study.arms) - 1, 1),
        )  # fmt: skip
        hours = None
    else:
        try:
            with local_copy(results) as folder:
                found, hours = estimated(folder)
        except InputError:
            found, hours = [], None
    if not found:
        raise InputError(
            "the variances are unknown: no arm has two finished seeds that can be compared with the reference",
            field="--detect",
            where=str(results),
            hint="Specify them: --assume SEED_SD DISAGREEMENT SUBJECTS, for example --assume 3 15 172.",
        )
    folds = 1 if study.splits is None else study.splits.folds
    share = study.base.data.split.test
    return [detection(v, points / 100, seeds=seeds, hours_per_seed=hours, folds=folds, test_share=share) for v in found]


def show(found: Sequence[Detection]) -> None:
    """Print the designs as a table for each task, and the number of seeds or subjects needed to detect the
    difference."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from agrm_study.report.wording import percent
    from agrm_study.study.tasks import task_title

    console = Console(highlight=False)
    for d in found:
        planned = d.designs[0]
        console.print(
            f"\n[bold]{escape(task_title(d.task))}[/]: variances from {escape(d.of)}; level "
            f"{d.level:.3g} (first step of Holm's method), power 80%",
            soft_wrap=True,
        )
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in (
            "seeds",
            "test subjects",
            "folds",
            "± points",
            "detects",
            f"power for {percent(d.delta)}",
            "slot-hours",
        ):
            table.add_column(title, justify="right")
        for x in d.designs:
            cells = (
                str(x.seeds),
                str(x.subjects),
                str(x.folds),
                percent(x.half_width),
                percent(x.detectable),
                f"{x.power:.0%}",
            )
            table.add_row(*cells, "–" if x.hours is None else f"{x.hours:.3g}", style="bold" if x is planned else None)
        console.print(table)
        console.print(escape(_settles(d)), soft_wrap=True)
        console.print(_OF_ONE_SPLIT if d.folds_known else _OF_FOLDS, soft_wrap=True)


_OF_FOLDS = (
    "With folds (`splits`), all labelled subjects are tested. The variance shared by the training runs of a fold "
    "cannot be estimated from one split and is assumed to be 0."
)
_OF_ONE_SPLIT = (
    "With 1 fold, the interval is for one given training set: it excludes the variance shared by the training runs of "
    "a fold."
)


def _settles(d: Detection) -> str:
    from agrm_study.report.wording import percent

    planned = d.designs[0]
    if planned.detectable <= d.delta:
        return f"the planned design detects {percent(d.delta)} points with a power of at least 80%"
    subjects = "no number of test subjects" if d.subjects_needed is None else f"{d.subjects_needed:,} test subjects"
    seeds = "no number of seeds" if d.seeds_needed is None else counted(f"{d.seeds_needed:,}", "seed")
    return (
        f"{percent(d.delta)} points are detected with {subjects} and {counted(planned.seeds, 'seed')}, and with "
        f"{seeds} and {planned.subjects} test subjects, if the variances are as assumed"
    )
