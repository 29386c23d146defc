"""Summary of a study's folds for `plan`."""

from __future__ import annotations

from collections.abc import Sequence, Set

from agrm_study.execution.data.prepared import Prepared, source_key
from agrm_study.plan.plan import Cell
from agrm_study.plan.summary import FoldsSummary
from agrm_study.study.splits import first_fold
from agrm_study.study.study import Study


def folds_summary(study: Study, prepared: Prepared, cells: Sequence[Cell], finished: Set[str]) -> FoldsSummary | None:
    """The folds of a study; None for a study with a single split.

    Args:
        study: The study.
        prepared: Prepared data of the study.
        cells: Cells of the study's plan.
        finished: Finished trials in the results folder or in a sibling folder.
    """
    if study.splits is None or not study.arms:
        return None
    whole = study.trial_recipe(study.arms[0], study.first_task, study.seeds[0])
    tested = [
        prepared.split(recipe).subjects("test")
        for fold, recipe in study.divided(whole)
        if fold is not None and fold.repeat == 0
    ]
    sizes = [len(subjects) for subjects in tested]
    site_of = prepared.manifests[source_key(whole.data)].site_of
    sites = tuple(tuple(sorted({site_of[s] for s in subjects})) for subjects in tested if study.splits.group == "site")
    of_first = {cell.trial_id for cell in cells if (cell.repeat, cell.fold) == (0, 0)}
    return FoldsSummary(
        folds=study.splits.folds,
        repeats=study.splits.repeats,
        subjects=sum(sizes),
        per_fold=(min(sizes), max(sizes)),
        sites=sites or None,
        reused=all(first_fold(study.splits, arm.recipe.data.split) == "split" for arm in study.arms),
        reused_finished=len(of_first & finished),
    )
