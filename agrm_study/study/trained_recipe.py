"""Restoring the recipe of a recorded trial from its `trials` record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agrm_study.study.merge import with_values
from agrm_study.study.parts.use import as_trained
from agrm_study.study.recipe import Recipe
from agrm_study.study.splits import in_fold
from agrm_study.study.study import Study
from agrm_study.study.tasks import task_to_plain


def trained_recipe(study: Study, row: Mapping[str, Any]) -> Recipe:
    """All settings of a recorded trial: the base recipe of the study, modified by the factors in the record.

    Args:
        study: The study as it was run.
        row: Columns ``task``, ``seed``, ``split_seed``, ``fold`` and ``params`` of the `trials` record.
    """
    tree = with_values(study.base.settings(), json.loads(row["params"]))
    tree |= {
        "task": task_to_plain(study.task(str(row["task"]))),
        "seed": int(row["seed"]),
        "split_seed": int(row["split_seed"]),
    }
    known = row["fold"] is not None and row["fold"] == row["fold"]  # pandas reads null as NaN
    recipe = Recipe.model_validate_json(json.dumps(tree), strict=True)
    return as_trained(in_fold(recipe, study.splits, int(row["fold"]) if known else None), study.parts)
