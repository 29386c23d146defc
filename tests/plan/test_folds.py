"""Trials of a study with folds: one per fold; those of fold 0 equal those of the study without folds."""

from __future__ import annotations

from pathlib import Path

from agrm_study.plan.expand import expand
from agrm_study.plan.plan import read_cells, write_cells
from agrm_study.study.load import load_study
from agrm_study.study.recipe import Recipe

STUDY = {
    "name": "s",
    "tasks": ["two_class", "three_class"],
    "seeds": [0, 1],
    "data": {"synthetic": {"subjects": 60}},
    "arms": [{"name": "a"}, {"name": "b", "set": {"ssl.method": "supervised"}}],
}


def fingerprints(recipe: Recipe) -> tuple[str, str]:
    data = recipe.data
    return "data", f"split {recipe.split_seed}, fold {data.fold} of {data.folds}"


def ids(splits: dict | None):
    study = load_study(STUDY if splits is None else STUDY | {"splits": splits})
    return expand(study, fingerprints)


def test_a_fold_is_a_trial_of_its_own() -> None:
    plan = ids({"folds": 5, "repeats": 2})
    assert len(plan.trials) == len(plan.cells) == 2 * 2 * 2 * 5 * 2
    assert len({(c.arm, c.task, c.seed, c.repeat, c.fold) for c in plan.cells}) == len(plan.cells)
    assert {(c.fold, c.repeat) for c in plan.cells} == {(fold, repeat) for fold in range(5) for repeat in range(2)}
    assert all(plan.by_id[c.trial_id].fold == c.fold for c in plan.cells)
    assert all(plan.by_id[c.trial_id].recipe.split_seed == c.repeat for c in plan.cells)


def test_fold_0_has_the_trials_of_the_study_without_folds() -> None:
    before = {(c.arm, c.task, c.seed): c.trial_id for c in ids(None).cells}
    pooled = ids({"folds": 5}).cells
    assert {(c.arm, c.task, c.seed): c.trial_id for c in pooled if c.fold == 0} == before
    assert not {c.trial_id for c in pooled if c.fold} & set(before.values())


def test_with_another_test_share_no_trial_is_that_of_the_study_without_folds() -> None:
    before = {c.trial_id for c in ids(None).cells}
    assert not {c.trial_id for c in ids({"folds": 4}).cells} & before


def test_with_folds_of_sites_no_trial_is_that_of_the_study_without_folds_or_with_folds_of_subjects() -> None:
    before = {c.trial_id for c in (*ids(None).cells, *ids({"folds": 5}).cells)}
    assert not {c.trial_id for c in ids({"folds": 5, "group": "site"}).cells} & before
    assert ids({"folds": 5, "group": "subject"}).cells == ids({"folds": 5}).cells


def test_a_seed_runs_all_its_folds_before_the_next_seed_starts() -> None:
    seeds = [trial.seed for trial in ids({"folds": 5}).trials]
    assert seeds == sorted(seeds)


def test_the_plan_file_names_fold_and_repeat(tmp_path: Path) -> None:
    plan = ids({"folds": 5, "repeats": 2})
    write_cells(plan, tmp_path / "plan.json")
    assert read_cells(tmp_path / "plan.json") == plan.cells
    write_cells(ids(None), tmp_path / "plan.json")
    assert "fold" not in (tmp_path / "plan.json").read_text(encoding="utf-8")
