"""Evaluations on external sets and corrupted copies in the report: numbers, gaps, damage, and studies without any."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from synthetic_records import ABLATION, trial_id, write_external, write_results, write_robustness

from agrm_study.records.evaluations import EvaluatedSet, external_folder
from agrm_study.records.reader import Ledger
from agrm_study.records.whole import check_results
from agrm_study.report.build import make_report
from agrm_study.report.collect import collect
from agrm_study.report.figures import figure_kind
from agrm_study.report.measure import Measurements
from agrm_study.report.own import wanted_names
from agrm_study.report.tables import table_kind
from agrm_study.submission.bundle import opened_bundle, write_bundle
from agrm_study.submission.verify import Verification, verify_folder

STUDY = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]") + "report: {tables: [ablation], figures: [forest]}\n"
CELL = ("AGRM", "three_class")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = write_results(tmp_path_factory.mktemp("r") / "ablation", STUDY, subjects=24, epochs=4)
    write_external(root)
    write_robustness(root)
    return root


@pytest.fixture
def root(written, tmp_path):
    return shutil.copytree(written, tmp_path / "ablation")


def measure(root):
    return Measurements(collect(root))


def rows_of(root, name):
    table = table_kind(name).build(measure(root))
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, row.entries, strict=True)) for row in table.rows], table


def accuracy_of(folder, arm, task, part):
    """Accuracy of each seed by pandas alone."""
    found = []
    for seed in (0, 1, 2):
        rows = Ledger(folder).predictions(part, trial_ids=[trial_id(arm, task, seed)])
        rows = rows[rows["network"] == ("teacher" if arm in ("AGRM", "w/o SHPM") else "student")]
        logits = np.stack(rows["logits"].to_list()).astype(np.float64)
        probs = pd.DataFrame(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
        mean = probs.groupby(rows["subject_id"].to_numpy()).mean().to_numpy()
        right = mean.argmax(axis=1) == rows.groupby("subject_id")["label"].first().to_numpy()
        found.append(right.mean())
    return np.array(found)


def test_the_change_is_external_minus_internal_at_the_same_seeds(written):
    rows, _ = rows_of(written, "external")
    [row] = [r for r in rows if (r["arm"].text, r["task"].text) == CELL]
    outside = accuracy_of(written / "external" / "clinic_b", *CELL, "external:clinic_b")
    assert row["accuracy"].value == pytest.approx(outside.mean())
    assert row["accuracy"].parts["std"] == pytest.approx(outside.std(ddof=1))
    m = measure(written)
    internal = m.metric(*CELL, "macro_f1")
    assert row["internal"].value == pytest.approx(internal.summary.mean)
    assert row["change"].value == pytest.approx(row["macro_f1"].value - internal.summary.mean)
    assert row["change"].parts["low"] < row["change"].value < row["change"].parts["high"]
    assert len(rows) == 8


def test_the_change_from_clean_is_paired_and_the_severities_are_in_their_columns(written):
    rows, table = rows_of(written, "robustness")
    [row] = [r for r in rows if (r["arm"].text, r["task"].text, r["corruption"].text) == (*CELL, "blur")]
    folder = written / "robustness"
    m = measure(written)
    means = []
    for severity in (1, 3, 5):
        cell = m.corrupted.cells["blur", severity][CELL]
        means.append(cell.values("macro_f1"))
        assert row[f"severity_{severity}"].value == pytest.approx(means[-1].mean())
        assert cell.values("accuracy") == pytest.approx(accuracy_of(folder, *CELL, f"corrupt:blur:{severity}"))
    assert row["severity_2"].text == "–"
    clean = m.cell(*CELL).values("macro_f1")
    assert row["change"].value == pytest.approx(np.mean(means) - clean.mean())
    assert row["delta"].text == ""
    [other] = [
        r for r in rows if (r["arm"].text, r["task"].text, r["corruption"].text) == ("w/o both", *CELL[1:], "blur")
    ]
    reference = np.mean([row[f"severity_{s}"].value for s in (1, 3, 5)])
    own = np.mean([other[f"severity_{s}"].value for s in (1, 3, 5)])
    assert other["delta"].value == pytest.approx(own - reference)
    assert any("Gaussian blur" in note for note in table.notes)


def test_refitting_shows_no_interval_and_is_left_out_for_few_subjects_of_a_class(written, root):
    rows, _ = rows_of(written, "external_calibration")
    assert all(r["ece"].text.count("[") == 1 for r in rows)
    assert all("[" not in r["ece_refitted"].text for r in rows)
    write_external(root, "tiny", subjects=12)
    rows, _ = rows_of(root, "external_calibration")
    assert {r["ece_refitted"].text for r in rows if r["set"].text == "tiny" and r["task"].text == "three_class"} == {
        "–"
    }


def test_evaluations_are_reported_whatever_the_study_lists_and_nothing_speaks_of_them_without_any(root):
    study = collect(root).study
    assert wanted_names("table", None, study) == ["ablation", "external", "external_calibration", "robustness"]
    assert wanted_names("figure", None, study) == ["forest", "external", "robustness"]
    shutil.rmtree(root / "external")
    shutil.rmtree(root / "robustness")
    study = collect(root).study
    assert wanted_names("table", None, study) == ["ablation"]
    file = root / "study.yaml"
    assert file.exists()
    made = make_report([root], tables=None, figures=None, formats=["csv"], figure_formats=["svg"])
    assert not any("external" in reason or "robustness" in reason for reason in made.skipped)
    assert "no external set has been evaluated" in table_kind("external").unfit(measure(root))
    assert figure_kind("robustness").info(measure(root)) is None


def test_a_seed_that_is_missing_is_marked_and_an_arm_without_seeds_is_left_out(root):
    shutil.rmtree(root / "external")
    skip = [
        trial_id("AGRM", "three_class", 1),
        *(trial_id("w/o both", t, s) for t in ("two_class", "three_class") for s in range(3)),
    ]
    write_external(root, skip=skip)
    rows, table = rows_of(root, "external")
    [row] = [r for r in rows if (r["arm"].text, r["task"].text) == CELL]
    assert row["accuracy"].marks == ("2/3",)
    assert row["change"].parts["n"] == 2
    assert "w/o both" not in {r["arm"].text for r in rows}
    assert any("Superscript k/n" in note for note in table.notes)


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"data_fingerprint": "older"}, "was evaluated on a different version of the set"),
        ({"status": "failed", "error": "InputError: no\nat x"}, "its evaluation failed (InputError: no)"),
    ],
)
def test_what_was_evaluated_on_other_data_or_failed_is_left_out_and_named(root, columns, rule):
    shutil.rmtree(root / "external")
    write_external(root, columns=columns)
    rows, table = rows_of(root, "external")
    assert rows == []
    assert any(rule in note for note in table.notes)


def test_evaluations_of_other_weights_are_left_out(root):
    weights = {"weights_digest": "a" * 32}
    shutil.rmtree(root / "external")
    other = write_results(root.parent / "other", STUDY, subjects=24, epochs=4, change=lambda t, *_: t.update(weights))
    write_external(other, columns={"weights_digest": "b" * 32})
    rows, table = rows_of(other, "external")
    assert rows == []
    assert any("with weights that differ from its record" in note for note in table.notes)


def test_changed_rows_are_left_out_of_the_table_and_fail_verification(root):
    make_report([root], formats=["csv"], figure_formats=["svg"])
    out = Verification()
    verify_folder(root, out)
    assert out.passed, out.differences
    assert out.checked["evaluations"] == 48
    file = root / "external" / "clinic_b" / "records" / "predictions" / f"{trial_id(*CELL, 0)}.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(bytes(data))
    rows, table = rows_of(root, "external")
    [row] = [r for r in rows if (r["arm"].text, r["task"].text) == CELL]
    assert row["accuracy"].marks == ("2/3",)
    assert any("Left out: " in note for note in table.notes)
    out = Verification()
    verify_folder(root, out)
    assert any(re.search(r"external/clinic_b/records/predictions", line) for line in out.differences)
    assert any("external/clinic_b" in fault for fault in check_results(root))


def test_a_bundle_holds_the_evaluations_and_verifies(root, tmp_path):
    make_report([root], formats=["csv"], figure_formats=["svg"])
    (root / "external" / "clinic_b" / "checkpoints" / "x").mkdir(parents=True)
    (root / "external" / "clinic_b" / "checkpoints" / "x" / "rolling.pt").write_bytes(b"unfinished")
    write_bundle(root, tmp_path / "b.zip")
    with opened_bundle(tmp_path / "b.zip") as (folder, faults):
        assert faults == []
        assert not (folder / "external" / "clinic_b" / "checkpoints").exists()
        out = Verification()
        verify_folder(folder, out, weights=False)
        assert out.passed, out.differences


def test_an_unreadable_description_leaves_the_set_out_with_the_reason(root):
    (root / "external" / "clinic_b" / "set.json").write_text("{")
    rows, table = rows_of(root, "external")
    assert rows == []
    assert any("external/clinic_b/set.json: cannot be read" in note for note in table.notes)


def test_a_class_without_a_subject_leaves_metrics_over_all_classes_undefined(root):
    write_external(root, "knock_knees_only", labels=("normal", "genu_valgum"))
    notes = ["The set has no subject of the class genu_varum of the task three_class."]
    about = EvaluatedSet(name="knock_knees_only", manifest="", data_fingerprint="external-data", notes=notes)
    about.write(external_folder(root, "knock_knees_only"))
    rows, table = rows_of(root, "external")
    mine = [r for r in rows if r["set"].text == "knock_knees_only"]
    undefined = [r for r in mine if r["task"].text == "three_class"]
    assert {r["macro_f1"].text for r in undefined} == {"–"}
    assert {r["change"].text for r in undefined} == {"–"}
    assert all(r["accuracy"].value is not None for r in undefined)
    assert all(r["macro_f1"].value is not None for r in mine if r["task"].text == "two_class")
    assert any(notes[0] in note for note in table.notes)


def test_the_figures_show_every_arm_corruption_and_set(written):
    m = measure(written)
    outside = figure_kind("external").info(m)
    assert outside.places == ("internal test", "clinic_b")
    assert all(len(arms) == 4 for arms in outside.panels.values())
    curves = figure_kind("robustness").info(m)
    assert set(curves.panels) == {(t, k) for t in ("two_class", "three_class") for k in ("blur", "jitter")}
    assert all(curve.severities == (0, 1, 3, 5) for panel in curves.panels.values() for curve in panel)
