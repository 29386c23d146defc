"""The table of agreement: when it is created, and for which tasks it shows kappa and mean absolute error."""

from dataclasses import replace

import pytest
from synthetic_records import ABLATION, write_results

from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.tables import table_kind

BOTH = ("two_class", "three_class")


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    text = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1]")
    return collect(write_results(tmp_path_factory.mktemp("agreement") / "r", text, subjects=18, epochs=2))


def with_tasks(evidence, *names, ordered=()):
    """Measurements of some tasks of the study, some of them ordered."""
    tasks = {n: replace(evidence.study.tasks[n], ordered=n in ordered) for n in names}
    return Measurements(replace(evidence, study=replace(evidence.study, tasks=tasks)))


def test_a_task_without_order_shows_matthews_correlation_only(evidence):
    table = table_kind("agreement").build(with_tasks(evidence, *BOTH))
    assert [c.key for c in table.columns] == ["task", "arm", "mcc"]
    assert {r.entries[0].text for r in table.rows} == {"three_class"}
    assert not any("kappa" in n for n in table.notes)


def test_ordered_tasks_show_kappa_and_error_and_others_beside_them_do_not(evidence):
    table = table_kind("agreement").build(with_tasks(evidence, *BOTH, ordered=("two_class",)))
    shown = {r.entries[0].text: [e.text for e in r.entries[3:]] for r in table.rows}
    assert shown["three_class"] == ["–", "–"]
    assert "–" not in shown["two_class"]
    assert any("Cohen's kappa" in n for n in table.notes)


def test_a_study_of_two_classes_without_order_has_no_such_table(evidence):
    kind = table_kind("agreement")
    assert kind.unfit(with_tasks(evidence, "two_class")) is not None
    assert kind.unfit(with_tasks(evidence, *BOTH)) is None
