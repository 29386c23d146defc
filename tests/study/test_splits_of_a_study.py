"""`splits` in a study file: its expansion, and keys that it conflicts with."""

from __future__ import annotations

from pathlib import Path

import pytest

from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.resolved import read_resolved, study_to_dict, write_resolved

STUDY = """name: s
tasks: [three_class]
seeds: [0, 1]
split_seed: 7
splits: {folds: 5, repeats: 2}
data: {synthetic: {subjects: 60}}
arms: [{name: a}, {name: b, set: {ssl.method: supervised}}]
"""


def study_of(tmp_path: Path, text: str, *options: str):
    file = tmp_path / "s.yaml"
    file.write_text(text, encoding="utf-8")
    return load_study(file, overrides=options)


def message(tmp_path: Path, text: str, *options: str) -> str:
    with pytest.raises(InputError) as caught:
        study_of(tmp_path, text, *options)
    return str(caught.value)


def test_every_repeat_and_fold_has_its_own_split_seed_and_fold(tmp_path: Path) -> None:
    study = study_of(tmp_path, STUDY)
    recipe = study.trial_recipe(study.arms[0], "three_class", 0)
    found = [(f.repeat, f.number, r.split_seed, r.data.folds, r.data.fold) for f, r in study.divided(recipe)]
    assert found == [
        (repeat, fold, 7 + repeat, 5 if fold else 0, fold) for repeat in range(2) for fold in range(5)
    ]  # fold 0 is the split without folds, as the test share is 1/5
    assert all(r.data.first_fold == "split" for f, r in study.divided(recipe) if f.number)


def test_without_an_equal_test_share_every_fold_is_dealt(tmp_path: Path) -> None:
    study = study_of(tmp_path, STUDY.replace("folds: 5", "folds: 4"))
    recipe = study.trial_recipe(study.arms[0], "three_class", 0)
    assert {(r.data.folds, r.data.first_fold) for _, r in study.divided(recipe)} == {(4, "dealt")}


def test_folds_of_sites_are_dealt_even_if_the_test_share_is_that_of_a_fold(tmp_path: Path) -> None:
    sites = STUDY.replace("repeats: 2", "group: site")
    sites = sites.replace("subjects: 60}}", "subjects: 60}, split: {train: 0.7, val: 0.1, test: 0.2}}")
    study = study_of(tmp_path, sites)
    found = [r.data for _, r in study.divided(study.trial_recipe(study.arms[0], "three_class", 0))]
    assert {(d.folds, d.first_fold, d.fold_group) for d in found} == {(5, "dealt", "site")}
    assert [d.fold for d in found] == [0, 1, 2, 3, 4]


def test_a_study_without_splits_is_not_divided(tmp_path: Path) -> None:
    study = study_of(tmp_path, STUDY.replace("splits: {folds: 5, repeats: 2}\n", ""))
    recipe = study.trial_recipe(study.arms[0], "three_class", 0)
    assert list(study.divided(recipe)) == [(None, recipe)]
    assert "splits" not in study_to_dict(study)


def test_the_resolved_study_keeps_its_splits(tmp_path: Path) -> None:
    study = study_of(tmp_path, STUDY)
    write_resolved(study, tmp_path / "study.yaml")
    assert read_resolved(tmp_path / "study.yaml").splits == study.splits


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("splits: {folds: 1}", ["splits.folds", "2"]),
        ("splits: {folds: 1001}", ["splits.folds", "1000"]),
        ("splits: {folds: 5, repeats: 0}", ["splits.repeats", "1"]),
        ("splits: {folds: 5, repeat: 2}", ["splits.repeat", "no such key", "repeats"]),
        ("splits: {repeats: 2}", ["splits.folds"]),
        ("splits: 5", ["splits"]),
        ("splits: {folds: 5, group: hospital}", ["splits.group", "site"]),
        ("splits: {folds: 5, repeats: 2, group: site}", ["splits.repeats", "must be 1 with `group: site`", "seeds"]),
    ],
)
def test_bad_splits_are_one_message(tmp_path: Path, change: str, words: list[str]) -> None:
    text = message(tmp_path, STUDY.replace("splits: {folds: 5, repeats: 2}", change))
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("folds: 3", ["`data.folds`", "cannot be combined with `splits`"]),
        ("folds: 5, fold: 2", ["`data.folds`", "`data.fold`"]),
        ("fold_group: site", ["`data.fold_group`", "cannot be combined with `splits`"]),
        ("split: {train: 0.5, val: 0.2, test: 0.3}", ["`data.split.test`", "1/5", "0.3"]),
        ("split_file: mine.csv", ["`data.split_file`", "cannot be combined with `splits`"]),
        ("subset: balanced", ["`data.subset`", "each repeat"]),
    ],
)
def test_settings_that_splits_makes_itself_are_refused_with_their_line(
    tmp_path: Path, data: str, words: list[str]
) -> None:
    text = message(tmp_path, STUDY.replace("subjects: 60}}", f"subjects: 60}}, {data}}}"))
    assert all(word in text for word in [*words, "s.yaml:6"]), text


def test_an_arm_or_a_grid_that_varies_folds_is_refused(tmp_path: Path) -> None:
    arm = STUDY.replace("{name: a}", "{name: a, set: {data.folds: 5}}")
    assert "`data.folds`" in message(tmp_path, arm)
    grid = STUDY.replace(STUDY.splitlines()[-1], "grid: {data.folds: [0, 3]}")
    assert "`data.folds`" in message(tmp_path, grid)


def test_equal_shares_of_the_test_part_may_be_given(tmp_path: Path) -> None:
    text = STUDY.replace("subjects: 60}}", "subjects: 60}, split: {train: 0.7, val: 0.1, test: 0.2}}")
    assert study_of(tmp_path, text).base.data.split.val == 0.1


def test_a_race_a_search_and_tuning_are_refused_with_the_reason(tmp_path: Path) -> None:
    race = STUDY.replace("seeds: [0, 1]", "seeds: {race: {first: 3, most: 5}}")
    assert "validation subjects of one fold are test subjects of another" in message(tmp_path, race)
    search = STUDY.replace(
        STUDY.splitlines()[-1], "search: {trials: 4, space: {ssl.ema.alpha: {float: [0.9, 0.99]}}, seed: 9}"
    )
    assert "cannot be combined with a search" in message(tmp_path, search)
    tune = STUDY + "tune: {trials: 4, space: {ssl.ema.alpha: {float: [0.9, 0.99]}}}\n"
    assert "cannot be combined with `tune`" in message(tmp_path, tune)


def test_too_many_trials_are_refused_before_they_are_expanded(tmp_path: Path) -> None:
    text = STUDY.replace("seeds: [0, 1]", "seeds: 1000").replace("repeats: 2", "repeats: 100").replace("5,", "1000,")
    assert "100000 folds" in message(tmp_path, text)


def test_the_command_line_sets_and_removes_splits(tmp_path: Path) -> None:
    assert study_of(tmp_path, STUDY, "splits.folds=3").splits.folds == 3
    assert study_of(tmp_path, STUDY, "splits=null").splits is None
