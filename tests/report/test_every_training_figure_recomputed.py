"""Tables other than test metrics, recomputed: accepted pseudo-labels, costs, factors, searches and races."""

import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from recomputed import SEEDS, Study, cell, check, covered, decided, interval, scored
from scipy import stats
from synthetic_records import trial_id, write_results

from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.records.writer import write_trial
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.renderers import csv as csv_renderer
from agrm_study.report.tables import table_kind
from agrm_study.study.seeds import Stopped

TASK = "three_class"
HEAD = """
name: figures
tasks: [three_class]
seeds: [0, 1, 2]
data: {synthetic: {subjects: 60, unlabelled: 20}}
primary_metric: macro_f1
"""
THRESHOLDS = (
    HEAD
    + """
arms:
  - {name: τ=0.6, set: {ssl.threshold.tau: 0.6}}
  - {name: τ=0.9, set: {ssl.threshold.tau: 0.9}}
  - {name: FlexMatch, set: {ssl.threshold.policy: flexmatch}}
reference: τ=0.6
"""
)
BACKBONES = (
    HEAD
    + """
arms:
  - {name: AGRM}
  - {name: C3D, set: {model.backbone: c3d}}
reference: AGRM
"""
)
PROMOTED = (
    HEAD
    + """
arms:
  - {name: base}
  - {name: "search 1", set: {ssl.threshold.tau: 0.7, ssl.ema.alpha: 0.9}}
  - {name: "search 2", set: {ssl.threshold.tau: 0.9, ssl.ema.alpha: 0.99}}
reference: base
"""
)
RACE = (
    HEAD.replace("[0, 1, 2]", "{race: {first: 3, most: 4}}")
    + """
arms:
  - {name: A}
  - {name: Worse, set: {ssl.threshold.tau: 0.7}}
reference: A
"""
)
UNASKED = [("A", TASK, 3), ("Worse", TASK, 3)]
GRID = HEAD + "grid: {ssl.threshold.tau: [0.6, 0.8], ssl.ema.alpha: [0.9, 0.99, 0.999]}\n"


def rows_of(root, name):
    table = table_kind(name).build(Measurements(collect(root)))
    return list(csv.DictReader(io.StringIO(csv_renderer.render(table))))


def records(root, kind, trial):
    return pq.read_table(root / "records" / kind / f"{trial}.parquet").to_pylist()


def at_best(root, arm, split, column, network="student"):
    """A column of the epoch of the best score, for each seed."""
    out = []
    for seed in SEEDS:
        name = trial_id(arm, TASK, seed)
        (trial,) = records(root, "trials", name)
        (value,) = [
            row[column]
            for row in records(root, "epochs", name)
            if (row["epoch"], row["split"], row["network"]) == (trial["best_epoch"], split, network)
        ]
        out.append(value)
    return np.array(out)


def spread(values):
    return {"": np.mean(values), "_std": np.std(values, ddof=1), "_n": len(values)}


def check_metrics(root, row, arm):
    for metric, function in decided(3).items():
        check(row, metric, cell(*scored(function, *Study(root).decisions(arm, TASK))))


def test_every_number_of_the_table_of_thresholds(tmp_path):
    root = write_results(tmp_path / "r", THRESHOLDS, subjects=30, epochs=6)
    rows = rows_of(root, "thresholds")
    assert [row["arm"] for row in rows] == ["τ=0.6", "τ=0.9", "FlexMatch"]
    for row in rows:
        check(row, "coverage", spread(at_best(root, row["arm"], "train", "pseudo_coverage")))
        check(row, "purity", spread(at_best(root, row["arm"], "train", "pseudo_accuracy")))
        check(row, "epochs", spread([6.0, 6.0, 6.0]))
        check_metrics(root, row, row["arm"])
        covered(row, "coverage", "purity", "epochs", "accuracy", "macro_", "delta", "p")


def test_every_number_of_the_table_of_baselines(tmp_path):
    def costs(trial, blocks, rows):
        trial["n_params"] = 27_000_000 if trial["backbone"] == "c3d" else 33_167_811
        trial["gflops"] = 38.5 if trial["backbone"] == "c3d" else 40.7
        trial["clips_per_s"] = 100.0 + 10 * trial["seed"] ** 2

    root = write_results(tmp_path / "r", BACKBONES, subjects=30, epochs=5, change=costs)
    rows = rows_of(root, "baselines")
    assert [(row["arm"], float(row["parameters"]), float(row["gflops"])) for row in rows] == [
        ("AGRM", 33_167_811, 40.7),
        ("C3D", 27_000_000, 38.5),
    ]
    for row in rows:
        assert float(row["clips_per_s"]) == 110  # the median of 100, 110 and 140
        check_metrics(root, row, row["arm"])
        covered(row, "parameters", "gflops", "clips_per_s", "accuracy", "macro_", "delta", "p")


def test_every_number_of_the_table_of_factors(tmp_path):
    skill = {f"{tau}/{alpha}": 1.0 + tau + alpha for tau in (0.6, 0.8) for alpha in (0.9, 0.99, 0.999)}
    root = write_results(tmp_path / "r", GRID, skill=skill, subjects=30, epochs=5)
    evidence = collect(root)
    study = Study(root)
    arms = {arm.name: dict(arm.settings) for arm in evidence.study.arms}
    f1 = {arm: scored(decided(3)["macro_f1"], *study.decisions(arm, TASK)) for arm in arms}
    rows = rows_of(root, "factor_response")
    assert len(rows) == 5
    for row in rows:
        level = float(row["level"])
        mine = [arm for arm, settings in arms.items() if settings[row["factor"]] == level]
        assert int(row["arms"]) == len(mine)
        check(row, "validation", spread(np.concatenate([at_best(root, a, "val", "macro_f1", "teacher") for a in mine])))
        values, u = np.mean([f1[a][0] for a in mine], axis=0), np.mean([f1[a][1] for a in mine], axis=0)
        low, high = interval(values, u)
        check(row, "macro_f1", {"": values.mean(), "_low": low, "_high": high, "_n": 3})
        covered(row, "level", "arms", "validation", "macro_f1")


def test_every_number_of_the_table_of_promoted_settings(tmp_path):
    root = write_results(tmp_path / "r", PROMOTED, subjects=30, epochs=5)
    found = {(0.7, 0.9): 0.625, (0.9, 0.99): 0.5, (0.8, 0.95): 0.375}
    for number, ((tau, alpha), score) in enumerate(found.items()):
        settings = {"ssl.ema.alpha": alpha, "ssl.threshold.tau": tau}
        (trial,) = records(root, "trials", trial_id("base", TASK, 0))
        trial |= {"trial_id": f"{number:016x}", "phase": "search", "arm": "search", "params": json.dumps(settings)}
        trial |= {"best_epoch": 2, "epochs": 3, "row_digest": None, "epochs_digest": None, "predictions_digest": None}
        rows = [
            {"epoch": epoch, "split": "val", "network": network, "loss": 1.0, "macro_f1": score * (epoch == 2)}
            for epoch in (1, 2, 3)
            for network in ("student", "teacher")
        ]
        write_trial(root, trial, epochs=rows)
    rows = rows_of(root, "promoted")
    assert [row["search_val_macro_f1"] for row in rows] == ["–", "0.625", "0.5"]
    for row in rows:
        check(row, "val_macro_f1", spread(at_best(root, row["arm"], "val", "macro_f1", "teacher")))
        check_metrics(root, row, row["arm"])
        covered(row, "search_val_macro_f1", "val_macro_f1", "accuracy", "macro_", "delta", "p")


def test_every_number_of_the_table_of_a_race(tmp_path):
    root = write_results(tmp_path / "r", RACE, subjects=30, epochs=5, skill={"A": 1.3, "Worse": 1.2}, skip=UNASKED)
    scores = {arm: at_best(root, arm, "val", "macro_f1", "teacher") for arm in ("A", "Worse")}
    test = stats.ttest_rel(scores["A"], scores["Worse"], alternative="greater")
    better = float(np.mean(scores["A"] - scores["Worse"]))
    out = Stopped(arm="Worse", task=TASK, n=3, rival="A", pairs=3, difference=better, p=float(test.pvalue), limit=0.025)
    log = RaceLog(
        study="figures", metric="macro_f1", first=3, most=4, step=1, level=0.05, looked={TASK: 3}, stopped=(out,)
    )
    log.write(Location.of(root))
    a, b = rows_of(root, "race")
    assert (a["difference"], a["p"], a["limit"]) == ("", "", "")
    assert (float(b["p"]), float(b["limit"]), b["rival"]) == (pytest.approx(test.pvalue, rel=1e-5), 0.025, "A")
    check(b, "difference", {"": better, "_n": 3})
    for row in (a, b):
        assert int(row["seeds"]) == 3
        check(row, "val_macro_f1", spread(scores[row["arm"]]))
        covered(row, "seeds", "val_macro_f1", "difference", "p", "limit")
