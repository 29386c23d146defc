"""An arm that only averages its weights, in the ablation and where a network is named."""

from __future__ import annotations

from synthetic_records import write_results

from agrm_study.report.build import make_report

ABLATION = """\
name: ablation
tasks: [three_class]
seeds: [0, 1, 2]
data: {synthetic: {subjects: 12, unlabelled: 12}}
arms:
  - {name: AGRM}
  - {name: w/o MTM, set: {ssl.method: supervised}}
  - {name: w/o SHPM, set: {model.pooling.name: average}}
  - {name: w/o both, set: {ssl.method: supervised, model.pooling.name: average}}
EMA
reference: AGRM
primary_metric: macro_f1
"""
EMA = "  - {name: EMA only, set: {ssl.method: supervised, evaluate.ema: true}}"


def table(tmp_path, name, extra):
    root = write_results(
        tmp_path / name, ABLATION.replace("EMA\n", f"{extra}\n" if extra else ""), subjects=18, epochs=3
    )
    return make_report([root], tables=["ablation"], figures=[], formats=["md"], page=False).tables[str(root)][
        "ablation"
    ]


def test_the_ablation_marks_it_and_keeps_its_interaction(tmp_path):
    with_arm, without = table(tmp_path, "with", EMA), table(tmp_path, "without", "")
    rows = {row.entries[1].text: row for row in with_arm.rows}
    assert [entry.text for entry in rows["EMA only"].entries[2:4]] == ["EMA only", "✓"]
    before = {row.entries[1].text: row for row in without.rows}
    assert [e.text for e in rows["Interaction"].entries] == [e.text for e in before["Interaction"].entries]


def test_the_note_names_the_networks_that_are_reported(tmp_path):
    [note] = [note for note in table(tmp_path, "with", EMA).notes if "network:" in note]
    assert "network: teacher or ema where there is one, else student" in note
