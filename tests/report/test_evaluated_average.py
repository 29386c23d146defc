"""An arm that only averages its weights, in the ablation and wherever a network is specified."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special
from synthetic_records import write_results

from agrm_study.records.reader import Ledger
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
    assert "network: teacher or ema if there is one, else student" in note


def test_the_table_of_networks_compares_every_average_with_its_student(tmp_path):
    root = write_results(tmp_path / "with", ABLATION.replace("EMA", EMA), subjects=18, epochs=3)
    made = make_report([root], tables=["networks"], figures=[], formats=["md"], page=False)
    table = made.tables[str(root)]["networks"]
    shown = {(row.entries[1].text, row.entries[2].text): row.entries for row in table.rows}
    assert set(shown) == {
        *(("AGRM", "student"), ("AGRM", "teacher"), ("w/o SHPM", "student"), ("w/o SHPM", "teacher")),
        *(("EMA only", "student"), ("EMA only", "ema")),
    }
    ledger = Ledger(root)
    trials = ledger.trials()
    mine = trials[trials["arm"] == "EMA only"]["trial_id"]
    rows = ledger.predictions()
    rows = rows[rows["trial_id"].isin(mine) & (rows["split"] == "test") & (rows["network"] == "ema")]
    probs = special.softmax(np.stack(rows["logits"].tolist()).astype(float), axis=1)
    decided = pd.DataFrame(probs).groupby([rows["trial_id"].values, rows["subject_id"].values]).mean()
    labels = rows.groupby(["trial_id", "subject_id"])["label"].first()
    right = (decided.to_numpy().argmax(axis=1) == labels.loc[decided.index].to_numpy()).astype(float)
    accuracy = pd.Series(right, index=decided.index).groupby(level=0).mean()
    title = [column.title for column in table.columns].index("Accuracy")
    assert shown["EMA only", "ema"][title].text.startswith(f"{100 * accuracy.mean():.1f}")
    assert shown["EMA only", "ema"][-1].text
    assert not shown["EMA only", "student"][-1].text
    assert "Student and teacher or average at the best epoch; test part." in table.caption
