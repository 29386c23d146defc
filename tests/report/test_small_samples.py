"""Content of a report for few seeds and few test subjects."""

import pytest
from synthetic_records import ABLATION, write_results

from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.tables import table_kind


def ablation(tmp_path, seeds, subjects):
    text = ABLATION.replace("[0, 1, 2, 3, 4]", str(seeds)).replace(
        "tasks: [two_class, three_class]", "tasks: [two_class]"
    )
    m = Measurements(collect(write_results(tmp_path / "r", text, subjects=subjects, epochs=2)))
    return m, table_kind("ablation").build(m)


def said(table, text):
    return sum(text in note for note in table.notes)


def test_fewer_than_ten_test_subjects_give_means_without_intervals_and_p(tmp_path):
    m, table = ablation(tmp_path, [0, 1, 2], 9)
    assert said(table, "Fewer than 10 test subjects (9 on the two-class task): no interval or p-value.") == 1
    assert not m.metric("AGRM", "two_class", "macro_f1").interval.defined
    assert all(row.entries[-1].text in ("–", "") for row in table.rows)
    assert table.rows[1].entries[-2].text[0] in "+−0"


def test_fewer_than_twenty_test_subjects_are_cautioned_about(tmp_path):
    m, table = ablation(tmp_path, [0, 1, 2], 15)
    assert said(table, "Caution: fewer than 20 test subjects (15 on the two-class task)") == 1
    assert m.metric("w/o both", "two_class", "macro_f1").interval.defined


@pytest.mark.parametrize(
    ("seeds", "caution"), [([0, 1], "Caution: 2 seeds; intervals are"), ([0, 1, 2], "Caution: 3 seeds;")]
)
def test_few_seeds_are_cautioned_about_and_two_are_never_paired(tmp_path, seeds, caution):
    m, table = ablation(tmp_path, seeds, 30)
    assert said(table, caution) == 1
    if len(seeds) == 2:
        assert not m.paired("two_class")
        assert m.compared()["w/o both", "two_class"].difference.interval.defined


def test_areas_under_curves_have_no_interval_with_fewer_than_ten_subjects_of_a_class(tmp_path):
    m, _ = ablation(tmp_path, [0, 1, 2], 24)  # a third is normal
    table = table_kind("discrimination").build(m)
    assert said(table, "none for areas under curves with fewer than 10 subjects of a class") == 1
    assert not m.metric("AGRM", "two_class", "roc_auc").interval.defined
    assert m.metric("AGRM", "two_class", "accuracy").interval.defined
    assert table.rows[0].entries[1].text.replace(".", "").isdigit()
