import numpy as np
from synthetic_records import ABLATION, write_results

from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.tables import table_kind

STUDY = ABLATION.replace("[two_class, three_class]", "[two_class]").replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")
GRID = """
name: grid
tasks: [two_class]
seeds: [0, 1, 2]
data: {synthetic: {subjects: 60, unlabelled: 20}}
grid: {ssl.threshold.tau: [0.6, 0.8], ssl.ema.alpha: [0.9, 0.99]}
reference: τ=0.6, α=0.9
primary_metric: macro_f1
resources: {cpu: 1, gpu: 0}
"""


def table(root, name):
    return table_kind(name).build(Measurements(collect(root)))


def entries(made, key):
    place = [c.key for c in made.columns].index(key)
    return [row.entries[place] for row in made.rows]


def test_an_interaction_and_a_difference_of_fewer_seeds_than_planned_say_so(tmp_path):
    root = write_results(tmp_path / "r", STUDY, subjects=18, epochs=4, skip=[("w/o both", "two_class", 1)])
    delta = entries(table(root, "ablation"), "delta")
    assert [e.marks for e in delta] == [(), (), (), ("2/3",), ("2/3",)]


def test_the_mean_of_a_factor_level_says_how_many_seeds_all_its_arms_have(tmp_path):
    root = write_results(tmp_path / "r", GRID, subjects=18, epochs=4, skip=[("τ=0.6, α=0.9", "two_class", 2)])
    marks = [e.marks for e in entries(table(root, "factor_response"), "macro_f1")]
    assert marks == [("2/3",), (), ("2/3",), ()]


def test_subjects_in_no_subgroup_are_counted(tmp_path):
    root = write_results(tmp_path / "r", STUDY, subjects=18, epochs=4)
    evidence = collect(root)
    rows = evidence.people.rows
    rows.loc[rows["subject_id"].isin(["test000", "test001"]), "sex"] = None
    notes = table_kind("subgroups").build(Measurements(evidence)).notes
    assert "Sex unknown: 2 of 18 subjects, not in any of these subgroups." in notes


def test_a_temperature_that_validation_does_not_identify_is_said_to_be_so_and_1_is_used(tmp_path):
    def certain(trial, blocks, rows):
        if trial["arm"] == "AGRM":
            for block in blocks:
                if block["split"] == "val":
                    block["logits"] = (40 * np.eye(2)[block["label"]]).astype(np.float32)

    root = write_results(tmp_path / "r", STUDY, subjects=18, epochs=4, change=certain)
    made = table(root, "calibration")
    row = next(r for r in made.rows if r.entries[1].text == "AGRM")
    by_key = dict(zip((c.key for c in made.columns), row.entries, strict=True))
    assert by_key["temperature"].text == "not identifiable"
    assert by_key["ece_scaled"].value == by_key["ece"].value
