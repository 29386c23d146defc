"""Reports of user-defined tasks: many classes, several positive classes, labels that a task ignores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from synthetic_records import write_results

from agrm_study.report.build import make_report
from agrm_study.report.collect import collect
from agrm_study.report.compare import merge
from agrm_study.report.figures import figure_kind
from agrm_study.report.figures.confusion import size_for
from agrm_study.report.measure import Measurements
from agrm_study.report.tables import table_kind
from agrm_study.study.errors import InputError

HEAD = """\
name: own
seeds: [0, 1]
data: {synthetic: {subjects: 60}}
arms: [{name: AGRM}, {name: w/o MTM, set: {ssl.method: supervised}}]
reference: AGRM
tasks:
"""
SEVERITY = "  severity: {classes: {healthy: [h], mild: [m1, m2], severe: [s]}, ordered: true}\n"
SCREENING = "  screening: {classes: {ill: [m1, m2, s], well: [h]}, positive: ill}\n"
GRADES = "  grades: {classes: {low: [m1], high: [m2, s]}, positive: high}\n"


def measurements(folder: Path, tasks: str, subjects: int = 24) -> Measurements:
    return Measurements(collect(write_results(folder, HEAD + tasks, subjects=subjects, epochs=3)))


def grades(count: int) -> str:
    classes = ", ".join(f"grade_{i:02d}: [l{i}]" for i in range(count))
    return f"  many: {{classes: {{{classes}}}}}\n"


def test_subjects_whose_label_a_task_ignores_are_not_missed(tmp_path: Path) -> None:
    m = measurements(tmp_path, SEVERITY + GRADES)
    assert not m.evidence.problems
    cell = m.cell("AGRM", "grades")
    assert cell is not None
    assert (cell.n_subjects, m.cell("AGRM", "severity").n_subjects) == (18, 24)  # type: ignore[union-attr]
    assert m.evidence.study.tasks["severity"].ordered


def test_one_vs_rest_has_scikit_learns_areas_of_every_class(tmp_path: Path) -> None:
    m = measurements(tmp_path, SEVERITY)
    table = table_kind("one_vs_rest").build(m)
    assert len(table.rows) == 2 * 3
    for row in table.rows:
        arm, title = row.entries[1].text, row.entries[2].text
        cell = m.cell(arm, "severity")
        assert cell is not None
        k = cell.classes.index(title)
        for entry, score in ((row.entries[4], roc_auc_score), (row.entries[5], average_precision_score)):
            wanted = np.mean([score(cell.labels_N == k, probs[:, k]) for probs in cell.probs_SNK])
            assert entry.value == pytest.approx(wanted, abs=1e-12)
        assert row.entries[3].value == (cell.labels_N == k).sum()


def test_every_task_with_a_positive_class_has_its_rows_and_panels(tmp_path: Path) -> None:
    m = measurements(tmp_path, SCREENING + SEVERITY + GRADES)
    table = table_kind("screening").build(m)
    assert [row.heading for row in table.rows] == ["Screening", None, "Grades", None]
    assert table.caption == (
        "Screening and Grades decision as a screening test; ill and high are positive, decided at p ≥ 0.5."
    )
    for name in ("roc", "pr"):
        kind = figure_kind(name)
        info = kind.info(m)
        assert [arm.arm for arm in info.arms] == [
            "AGRM (screening)", "w/o MTM (screening)", "AGRM (grades)", "w/o MTM (grades)",
        ]  # fmt: skip
        assert "ill and high are positive" in kind.caption(info)
    decision = figure_kind("decision_curve")
    assert "Not shown: the task grades." in decision.caption(decision.info(m))


def test_the_positive_class_is_counted_as_positive_wherever_it_is_written(tmp_path: Path) -> None:
    first = measurements(tmp_path / "a", SCREENING)
    last = measurements(tmp_path / "b", "  screening: {classes: {well: [h], ill: [m1, m2, s]}, positive: ill}\n")
    cell = first.cell("AGRM", "screening")
    assert cell is not None
    assert cell.classes == ("well", "ill")
    assert (cell.labels_N == 1).sum() == 18
    rows = [table_kind("screening").build(m).rows for m in (first, last)]
    assert [[e.text for e in row.entries] for row in rows[0]] == [[e.text for e in row.entries] for row in rows[1]]


def test_two_classes_without_a_positive_one_have_no_screening(tmp_path: Path) -> None:
    m = measurements(tmp_path, "  sides: {classes: {left: [h, m1], right: [m2, s]}}\n")
    for name in ("screening", "discrimination", "predictive_values"):
        assert table_kind(name).unfit(m) == "no task of the study has a positive class"
    for name in ("roc", "pr", "decision_curve"):
        assert figure_kind(name).info(m) is None
    assert m.metric("AGRM", "sides", "sensitivity") is None
    assert m.metric("AGRM", "sides", "macro_f1") is not None


def test_labels_are_counted_with_their_class_in_each_task(tmp_path: Path) -> None:
    table = table_kind("class_counts").build(measurements(tmp_path, SEVERITY + GRADES))
    assert [column.title for column in table.columns][:3] == ["Class", "Severity label", "Grades label"]
    wanted = [("h", "healthy", "–"), ("m1", "mild", "low"), ("m2", "mild", "high"), ("s", "severe", "high")]
    assert [tuple(e.text for e in row.entries[:3]) for row in table.rows] == [*wanted, ("Total", "", "")]


@pytest.mark.parametrize(("classes", "arms", "numbers"), [(4, 6, True), (6, 6, True), (10, 4, True), (13, 2, False)])
def test_confusion_matrices_of_many_classes_get_fewer_and_larger_panels(classes: int, arms: int, numbers: bool) -> None:
    size = size_for(classes)
    assert (size.arms, size.font is not None) == (arms, numbers)


@pytest.mark.parametrize("count", [10, 50])
def test_tables_and_figures_are_made_for_many_classes(tmp_path: Path, count: int) -> None:
    m = measurements(tmp_path, grades(count), subjects=4 * count)
    for name in ("arms", "per_class", "one_vs_rest", "class_counts", "splits"):
        assert table_kind(name).unfit(m) is None
        assert table_kind(name).build(m).rows
    for name in ("confusion", "one_vs_rest", "reliability"):
        kind = figure_kind(name)
        info = kind.info(m)
        figure = kind.draw(info)
        figure.canvas.draw() if count == 10 else None
        assert kind.caption(info)
    info = figure_kind("one_vs_rest").info(m)
    assert len(info.tasks[0].classes) == 10
    assert info.tasks[0].left_out == count - 10
    drawn = {curves.roc_auc for curves in info.tasks[0].classes}
    table = table_kind("one_vs_rest").build(m)
    others = [row.entries[4].value for row in table.rows[:count] if row.entries[4].value not in drawn]
    assert all(value >= max(drawn) - 1e-12 for value in others)


def test_results_are_reported_without_the_study_file(tmp_path: Path) -> None:
    root = write_results(tmp_path / "results", HEAD + SEVERITY, subjects=24, epochs=3)
    (root / "given.yaml").unlink()
    moved = root.rename(tmp_path / "elsewhere")
    report = make_report([moved], tables=["arms", "per_class"], figures=[], page=False)
    assert [row.entries[2].text for row in report.tables[str(moved)]["per_class"].rows][:3] == [
        "healthy",
        "mild",
        "severe",
    ]
    assert not report.problems


def test_studies_that_define_a_task_differently_are_not_compared(tmp_path: Path) -> None:
    one = measurements(tmp_path / "a", SEVERITY).evidence
    other = measurements(tmp_path / "b", SEVERITY.replace("[m1, m2], severe: [s]", "[m1], severe: [m2, s]")).evidence
    with pytest.raises(
        InputError, match=r"`tasks\.severity`: the studies define the task severity with different classes"
    ):
        merge([one, other], "model.width", ())
