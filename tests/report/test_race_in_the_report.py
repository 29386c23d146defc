"""A report of a race lists the stopped arms and marks the study as complete."""

from pathlib import Path

import pytest
from synthetic_records import trial_id, write_results

from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.renderers import RENDERERS
from agrm_study.report.tables import table_kind
from agrm_study.study.seeds import Stopped

RACE = """
name: backbones
tasks: [three_class]
seeds: {race: {first: 3, most: 5}}
data: {synthetic: {subjects: 60, unlabelled: 20}}
arms:
  - {name: A}
  - {name: B, set: {ssl.method: supervised}}
  - {name: C, set: {model.pooling.name: average}}
reference: A
"""
SPARED = [("C", "three_class", 3), ("C", "three_class", 4)]
STOPPED = Stopped(arm="C", task="three_class", n=3, rival="B", pairs=3, difference=0.12, p=0.0001, limit=0.01)


def write(root: Path, stopped=(STOPPED,), skip=SPARED) -> Measurements:
    write_results(root, RACE, subjects=18, epochs=5, skip=skip)
    log = RaceLog(
        study="backbones",
        metric="macro_f1",
        first=3,
        most=5,
        step=1,
        level=0.05,
        looked={"three_class": 4},
        stopped=stopped,
    )
    log.write(Location.of(root))
    return Measurements(collect(root))


def test_an_arm_that_the_race_stopped_is_complete_with_its_n(tmp_path):
    m = write(tmp_path / "r")
    assert m.evidence.partial is None
    cell = m.evidence.cells["C", "three_class"]
    assert (len(cell.seeds), cell.planned, cell.marks) == (3, 3, ())


def test_every_comparing_table_shows_n_and_why_an_arm_was_stopped(tmp_path):
    table = table_kind("arms").build(write(tmp_path / "r"))
    place = [c.title for c in table.columns].index("n")
    shown = {row.entries[1].text: row.entries[place] for row in table.rows}
    assert {arm: (e.text, e.marks) for arm, e in shown.items()} == {"A": ("5", ()), "B": ("5", ()), "C": ("3", ("‡",))}
    [note] = [n for n in table.notes if n.startswith("‡")]
    assert "C after 3 seeds, behind B by 12.0 points on validation data (3 pairs, p = 0.0001 against 0.01)" in note
    assert "must not be read as estimates at equal n" in note
    assert {e.style for row in table.rows if row.entries[1].text == "C" for e in row.entries} == {"plain"}
    assert "best" in {e.style for row in table.rows for e in row.entries}
    for render in RENDERERS.values():
        assert render(table)


def test_the_table_of_the_race_tells_the_test_that_stopped_an_arm(tmp_path):
    table = table_kind("race").build(write(tmp_path / "r"))
    states = {row.entries[1].text: [e.text for e in row.entries[2:4]] for row in table.rows}
    assert states == {"A": ["5", "not stopped"], "B": ["5", "not stopped"], "C": ["3", "stopped after 3 seeds"]}
    [row] = [row for row in table.rows if row.entries[1].text == "C"]
    assert [e.text for e in row.entries[5:]] == ["B", "+12.0", "0.0001", "0.01"]
    assert row.entries[7].value == pytest.approx(0.0001)


def test_a_stopped_arm_with_more_records_than_it_was_asked_for_keeps_them(tmp_path):
    m = write(tmp_path / "r", skip=SPARED[1:])
    cell = m.evidence.cells["C", "three_class"]
    assert cell.seeds == (0, 1, 2, 3)
    assert cell.complete
    assert trial_id("C", "three_class", 3) in cell.trial_ids


def test_a_race_that_was_cut_short_is_partial_and_says_so(tmp_path):
    m = write(tmp_path / "r", stopped=())
    assert m.evidence.partial == "PARTIAL: 13 of 15 planned trials are finished"
    table = table_kind("race").build(m)
    [row] = [row for row in table.rows if row.entries[1].text == "C"]
    assert row.entries[3].text == "not stopped, 3 of at most 5 seeds so far"


def test_what_needs_all_arms_at_equal_seeds_is_refused(tmp_path):
    m = write(tmp_path / "r")
    assert "uses a race" in table_kind("ablation").unfit(m)
    assert "uses a race" in table_kind("factor_response").unfit(m)
