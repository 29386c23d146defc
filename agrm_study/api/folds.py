"""Information of `plan` about the folds of a study."""

from __future__ import annotations

from collections.abc import Sequence, Set

from agrm_study.execution.data.prepared import Prepared
from agrm_study.plan.plan import Cell
from agrm_study.plan.summary import FoldsSummary
from agrm_study.study.splits import first_fold
from agrm_study.study.study import Study


def folds_summary(study: Study, prepared: Prepared, cells: Sequence[Cell], finished: Set[str]) -> FoldsSummary | None:
    """The folds of a study; None for a study with a single split.

    Args:
        study: The study.
        prepared: Its data.
        cells: The cells of its plan.
        finished: Trials that are finished, in the results folder or next to it.
    """
    if study.splits is None or not study.arms:
        return None
    whole = study.trial_recipe(study.arms[0], study.first_task, study.seeds[0])
    sizes = [
        len(prepared.split(recipe).subjects("test"))
        for fold, recipe in study.divided(whole)
        if fold is not None and fold.repeat == 0
    ]
    of_first = {cell.trial_id for cell in cells if (cell.repeat, cell.fold) == (0, 0)}
    return FoldsSummary(
        folds=study.splits.folds,
        repeats=study.splits.repeats,
        subjects=sum(sizes),
        per_fold=(min(sizes), max(sizes)),
        reused=all(first_fold(study.splits, arm.recipe.data.split) == "split" for arm in study.arms),
        reused_finished=len(of_first & finished),
    )
