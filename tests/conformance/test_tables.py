"""Every table is created from complete and from sparse records, in every format, identical each time."""

import re

import pytest
from synthetic_records import ABLATION, write_external, write_results, write_robustness

from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.renderers import RENDERERS
from agrm_study.report.table import Table
from agrm_study.report.tables import TABLES, table_kind

SMALL = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")


@pytest.fixture(scope="module", params=["complete", "sparse", "empty"])
def measurements(request, tmp_path_factory):
    arms, tasks = ("AGRM", "w/o MTM", "w/o SHPM", "w/o both"), ("two_class", "three_class")
    skip = {
        "complete": [],
        "sparse": [("AGRM", "two_class", 0), *[("w/o both", t, s) for t in tasks for s in range(3)]],
        "empty": [(a, t, s) for a in arms for t in tasks for s in range(3)],
    }[request.param]
    failed = [("w/o MTM", "three_class", 1)] if request.param == "sparse" else []
    root = tmp_path_factory.mktemp(request.param) / "r"
    write_results(root, SMALL, subjects=18, epochs=5, skip=skip, failed=failed, parts=("test", "val", "train"))
    write_external(root)
    write_robustness(root)
    return Measurements(collect(root))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_why_it_cannot_be_made_or_is_made_in_every_format(measurements, name):
    kind = table_kind(name)
    assert kind.name == name
    assert kind.question.endswith("?")
    reason = kind.unfit(measurements)
    if reason is not None:
        assert reason
        return
    table = kind.build(measurements)
    assert isinstance(table, Table)
    assert table.name == name
    assert table.partial == measurements.evidence.partial
    assert table.caption.strip()
    for row in table.rows:
        for entry in row.entries:
            assert "nan" not in entry.text.lower()
            assert not re.search(r"n\.s\.", entry.text)
    again = kind.build(measurements)
    for suffix, render in RENDERERS.items():
        content = render(table)
        assert content, suffix
        assert content == render(again), suffix
