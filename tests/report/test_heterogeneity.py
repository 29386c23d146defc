"""Results by site, sex and age: the numbers, the family of the correction, and groups that are too small."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from statsmodels.stats.multitest import multipletests
from synthetic_records import ABLATION, trial_id, write_results

from agrm_study.records.reader import Ledger
from agrm_study.records.writer import write_subjects
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.tables import table_kind
from agrm_study.report.tables.heterogeneity import attributes

STUDY = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")


def with_sites(root, sites=("north", "south", "tiny")):
    """The results with sources of the subjects in turn: of the last site only three test subjects."""
    people = Ledger(root).subjects()
    columns = ["subject_id", "split_seed", "split", "label", "sex", "age", "source", "clips"]
    rows = people[columns].astype(object).where(people[columns].notna(), None).to_dict("records")
    for number, row in enumerate(row for row in rows if row["split"] == "test"):
        row["source"] = sites[2] if number < 3 else sites[number % 2]
    write_subjects(root, "split-a", rows)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return with_sites(write_results(tmp_path_factory.mktemp("r") / "r", STUDY, subjects=48, epochs=4))


@pytest.fixture(scope="module")
def rows(root):
    table = table_kind("heterogeneity").build(Measurements(collect(root)))
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, row.entries, strict=True)) for row in table.rows]


def of(rows, arm, task, group):
    [row] = [r for r in rows if (r["arm"].text, r["task"].text, r["group"].text) == (arm, task, group)]
    return row


def f1_of(root, arm, task, subjects):
    """Mean over seeds of the macro F1 on some subjects, by pandas and scikit-learn alone."""
    found = []
    for seed in range(3):
        rows = Ledger(root).predictions("test", "teacher", trial_ids=[trial_id(arm, task, seed)])
        logits = np.stack(rows["logits"].to_list()).astype(np.float64)
        probs = pd.DataFrame(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), index=rows["subject_id"])
        mean, labels = probs.groupby(level=0).mean(), rows.groupby("subject_id")["label"].first()
        here = mean.index.isin(subjects)
        found.append(f1_score(labels[here], mean.to_numpy().argmax(axis=1)[here], average="macro"))
    return np.mean(found)


def test_a_difference_is_that_of_the_group_from_the_other_subjects(root, rows):
    people = Ledger(root).subjects()
    test = people[people["split"] == "test"]
    for group, column, value in (("Site: north", "source", "north"), ("Sex: female", "sex", "female")):
        inside = set(test.loc[test[column] == value, "subject_id"])
        row = of(rows, "AGRM", "three_class", group)
        own = f1_of(root, "AGRM", "three_class", inside)
        others = f1_of(root, "AGRM", "three_class", set(test["subject_id"]) - inside)
        assert row["subjects"].value == len(inside)
        assert row["value"].value == pytest.approx(own)
        assert row["difference"].value == pytest.approx(own - others)


def test_p_values_are_holms_over_all_arms_and_attributes_of_a_task(rows):
    for task in ("two_class", "three_class"):
        tested = [r for r in rows if r["task"].text == task and "uncorrected" in r["p"].parts]
        assert len(tested) == 4 * 4  # two sites, sex, age
        adjusted = multipletests([r["p"].parts["uncorrected"] for r in tested], method="holm")[1]
        assert [r["p"].value for r in tested] == pytest.approx(list(adjusted))


def test_small_groups_are_left_out_and_of_two_groups_the_difference_is_shown_once(rows):
    groups = {r["group"].text for r in rows}
    assert "Site: tiny" not in groups
    assert of(rows, "AGRM", "two_class", "Sex: male")["difference"].text == ""
    assert sum(group.startswith("Age") for group in groups) == 2


def test_a_manifest_with_one_source_and_neither_sex_nor_age_has_no_groups():
    people = pd.DataFrame({"subject_id": ["a", "b"], "source": "x", "site": None, "sex": None, "age": np.nan})
    assert attributes(people) == {}
    assert attributes(people.assign(site=["n", "s"])) == {"Site": {"Site: n": {"a"}, "Site: s": {"b"}}}
    people = people.assign(age=[5.0, 7.0])
    assert attributes(people) == {"Age": {"Age: below 6": {"a"}, "Age: from 6": {"b"}}}
    assert attributes(people.assign(age=5.0)) == {}


def test_pooled_folds_give_the_same_groups_with_intervals(tmp_path):
    text = STUDY.replace("[two_class, three_class]", "[two_class]") + "splits: {folds: 4}\n"
    root = write_results(tmp_path / "r", text, subjects=48, epochs=3)
    table = table_kind("heterogeneity").build(Measurements(collect(root)))
    keys = [column.key for column in table.columns]
    rows = [dict(zip(keys, row.entries, strict=True)) for row in table.rows]
    female = of(rows, "AGRM", "two_class", "Sex: female")
    assert female["difference"].parts["low"] < female["difference"].value < female["difference"].parts["high"]
    assert female["difference"].parts["n"] == 3
