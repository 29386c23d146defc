import pytest
from synthetic_records import ABLATION, write_results

from agrm_study.report.build import make_report
from agrm_study.report.collect import collect
from agrm_study.report.compare import compare, folder_labels
from agrm_study.report.measure import Measurements
from agrm_study.report.tables import table_kind
from agrm_study.study.errors import InputError

STUDY = ABLATION.replace("[two_class, three_class]", "[two_class]").replace("[0, 1, 2, 3, 4]", "[0, 1]")


def folder(root, *, split="split-a", skill=None):
    def change(trial, blocks, rows):
        trial["split_fingerprint"] = split

    made = write_results(root, STUDY, subjects=18, epochs=3, skill=skill, change=change)
    subjects = made / "records" / "subjects" / "split-a.parquet"
    if split != "split-a":
        subjects.unlink()
    return made


def test_folders_of_one_study_name_are_told_apart_by_path_with_the_numbers_of_each(tmp_path):
    good = folder(tmp_path / "runs" / "good", skill={"AGRM": 9.0, "w/o MTM": 9.0})
    poor = folder(tmp_path / "runs" / "poor", skill={"AGRM": 0.0, "w/o MTM": 0.0})
    table = compare([good, poor], "ssl.method")
    accuracy = [c.key for c in table.columns].index("accuracy")
    found = {row.entries[1].text: row.entries[accuracy].value for row in table.rows}
    assert len(found) == 8
    for root, label in ((good, "good"), (poor, "poor")):
        alone = collect(root).cells["AGRM", "two_class"]
        expected = (alone.predicted_SN == alone.labels_N).mean()
        assert found[f"AGRM ({label})"] == pytest.approx(expected)
    assert found["AGRM (good)"] > found["AGRM (poor)"]


def test_folders_of_one_study_name_and_other_splits_are_refused(tmp_path):
    a, b = folder(tmp_path / "x" / "r"), folder(tmp_path / "y" / "r", split="split-b")
    with pytest.raises(InputError, match=r"differ in split.*x/r: split-a; y/r: split-b.*--allow split"):
        compare([a, b], "ssl.method")
    assert len(compare([a, b], "ssl.method", allow=["split"]).rows) == 8


def test_a_folder_is_compared_with_others_and_not_with_itself(tmp_path):
    a = folder(tmp_path / "r")
    with pytest.raises(InputError, match="must be given only once"):
        folder_labels([collect(a), collect(a)])


def test_a_report_of_two_folders_of_one_study_name_makes_the_tables_of_each(tmp_path):
    a, b = folder(tmp_path / "a"), folder(tmp_path / "b")
    summary = make_report([a, b], tables=["arms"], figures=[], formats=["md"], page=False)
    assert set(summary.tables) == {str(a), str(b)}


FOLDS = """
name: folds
tasks: [two_class]
seeds: [0, 1]
data: {synthetic: {subjects: 60, unlabelled: 20}, folds: 3}
grid: {data.fold: [0, 1]}
primary_metric: macro_f1
resources: {cpu: 1, gpu: 0}
"""


def test_arms_that_are_tested_on_different_subjects_are_not_ranked(tmp_path):
    def change(trial, blocks, rows):
        fold = trial["arm"][-1]
        trial["split_fingerprint"] = f"fold-{fold}"
        for block in blocks:
            block["subject_id"] = [f"{fold}-{s}" for s in block["subject_id"]]
            block["clip_id"] = [f"{fold}-{s}" for s in block["clip_id"]]

    root = write_results(tmp_path / "r", FOLDS, subjects=18, epochs=3, change=change)
    m = Measurements(collect(root))
    table = table_kind("arms").build(m)
    assert {e.style for row in table.rows for e in row.entries} == {"plain"}
    assert any("Not ranked on the two-class task" in n for n in table.notes)
    make_report([root], tables=["arms"], figures=[], formats=["md"])
    assert "tested on different subjects and are not ranked" in (root / "report.html").read_text()
