"""Reports of a study with folds: the folds of a seed form one set of subjects, and missing folds are reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from synthetic_records import ABLATION, trial_id, write_results

from agrm_study.conformance.made_records import Change
from agrm_study.records.reader import Ledger
from agrm_study.records.writer import write_subjects
from agrm_study.report.build import make_report
from agrm_study.report.collect import collect
from agrm_study.report.collect_cells import cells_of_part
from agrm_study.report.measure import Measurements
from agrm_study.report.tables.agrm import Agrm
from agrm_study.report.tables.arms import Arms
from agrm_study.report.tables.calibration import CalibrationTable
from agrm_study.report.tables.failures import Failures
from agrm_study.report.tables.heterogeneity import Heterogeneity
from agrm_study.report.tables.operating_points import OperatingPoints, decided_at, thresholds
from agrm_study.report.tables.splits import Splits
from agrm_study.report.tables.thresholds import Thresholds
from agrm_study.report.tables.variance import Variance
from agrm_study.statistics.probabilities import softmax
from agrm_study.statistics.two_way import components
from agrm_study.submission.checklists.shared import clusters
from agrm_study.submission.facts import Facts

ONE_TASK = ABLATION.replace("[two_class, three_class]", "[two_class]").replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")
STUDY = ONE_TASK + "splits: {folds: 4}\nreport: {operating_points: [{sensitivity: 0.9}]}\n"
SUBJECTS = 60 + 180 + 30


def folder(tmp_path: Path, text: str = STUDY, **more) -> Path:
    return write_results(tmp_path / "r", text, **({"subjects": 60, "epochs": 4} | more))


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return folder(tmp_path_factory.mktemp("folds"))


@pytest.fixture(scope="module")
def m(results: Path) -> Measurements:
    return Measurements(collect(results))


def predictions(results: Path, arm: str, seed: int, part: str = "test") -> pd.DataFrame:
    """Averaged probabilities of each subject, from the records alone."""
    ids = {trial_id(arm, "two_class", seed, 0, fold): fold for fold in range(4)}
    rows = Ledger(results).predictions(part, "student" if "MTM" in arm or "both" in arm else "teacher")
    rows = rows[rows["trial_id"].isin(list(ids))]
    rows = rows.assign(p=[softmax(np.asarray(x))[1] for x in rows["logits"]], fold=rows["trial_id"].map(ids))
    return rows.groupby(["fold", "subject_id"], as_index=False).agg(p=("p", "mean"), label=("label", "first"))


def test_a_row_has_every_subject_once_and_the_metric_is_that_of_all_of_them(m: Measurements, results: Path) -> None:
    cell = m.cell("w/o MTM", "two_class")
    assert cell.seeds == (0, 1, 2)
    assert cell.planned == 3
    assert cell.n_subjects == len(cell.subjects) == SUBJECTS
    for s, seed in enumerate(cell.seeds):
        found = predictions(results, "w/o MTM", seed)
        assert len(found) == found["subject_id"].nunique() == SUBJECTS
        wanted = f1_score(found["label"], found["p"] >= 0.5, average="macro")
        assert cell.values("macro_f1")[s] == pytest.approx(wanted, abs=1e-12)


def test_the_interval_has_the_variance_of_folds(m: Measurements) -> None:
    cell, x = m.cell("AGRM", "two_class"), m.metric("AGRM", "two_class", "accuracy")
    hits = (cell.predicted_SN == cell.labels_N).astype(float)
    alone = components(hits.mean(axis=1), hits)
    assert float(x.components.subjects) == pytest.approx(float(alone.subjects), rel=1e-9)
    assert x.components.n_folds == 4
    assert float(x.components.variance) == pytest.approx(float(alone.variance + x.components.folds), rel=1e-9)


def test_tables_say_that_folds_are_pooled(m: Measurements) -> None:
    notes = " ".join(Arms().build(m).notes)
    assert f"N = {SUBJECTS} subjects, pooled over 4 folds, so that each is tested once per seed" in notes
    assert "the variance shared by the training runs of a fold" in notes
    assert "n = 3 training seeds" in notes


def test_a_seed_that_lacks_a_fold_is_left_out_and_named(tmp_path: Path) -> None:
    root = folder(tmp_path, skip=[("AGRM", "two_class", 1, 0, 2)])
    evidence = collect(root)
    assert evidence.cells["AGRM", "two_class"].seeds == (0, 2)
    assert evidence.cells["AGRM", "two_class"].marks == ("2/3",)
    [found] = [f for f in evidence.problems if f.arm == "AGRM"]
    assert "seed 1: 3 of 4 folds" in found.rule
    table = Arms().build(Measurements(evidence))
    row = next(r for r in table.rows if r.entries[1].text == "AGRM")
    assert row.entries[2].marks == ("2/3",)
    assert "only k of n planned seeds have all their folds" in " ".join(table.notes)
    failures = Failures().build(Measurements(evidence))
    keys = [c.key for c in failures.columns]
    assert [(r.entries[keys.index("seed")].value, r.entries[keys.index("fold")].value) for r in failures.rows] == [
        (1, 2)
    ]


def test_an_arm_without_a_complete_seed_has_no_numbers(tmp_path: Path) -> None:
    lost = [("w/o MTM", "two_class", seed, 0, seed) for seed in range(3)]
    evidence = collect(folder(tmp_path, skip=lost))
    assert ("w/o MTM", "two_class") not in evidence.cells
    assert any("3 of 4 folds" in f.rule for f in evidence.problems if f.arm == "w/o MTM")


def test_a_study_without_a_complete_seed_says_so(tmp_path: Path) -> None:
    arms = ("AGRM", "w/o MTM", "w/o SHPM", "w/o both")
    lost = [(arm, "two_class", seed, 0, seed) for arm in arms for seed in range(3)]
    notes = " ".join(Arms().build(Measurements(collect(folder(tmp_path, skip=lost)))).notes)
    assert "No seed has all its folds finished." in notes


def test_a_subject_that_two_folds_test_is_refused(tmp_path: Path) -> None:
    first = []

    def change(trial, blocks, rows):
        if trial["trial_id"] == trial_id("AGRM", "two_class", 0, 0, 0):
            first.extend(blocks)
        if trial["trial_id"] == trial_id("AGRM", "two_class", 0, 0, 1):
            blocks[:] = first
            trial["split_fingerprint"] = "split-0-0"

    cell = collect(folder(tmp_path, change=change)).cells["AGRM", "two_class"]
    assert "tested in two folds of one seed" in cell.refused


def with_columns(seed: int, fold: int, /, **columns: object) -> Change:
    """A change of columns in the record of one trial of AGRM."""

    def change(trial, blocks, rows):
        if trial["trial_id"] == trial_id("AGRM", "two_class", seed, 0, fold):
            trial.update(columns)

    return change


def test_a_trial_of_another_fold_than_the_plans_is_not_used(tmp_path: Path) -> None:
    evidence = collect(folder(tmp_path, change=with_columns(0, 1, fold=2)))
    assert any("recorded with fold 2" in f.rule for f in evidence.problems)
    assert evidence.cells["AGRM", "two_class"].seeds == (1, 2)


def test_folds_of_other_settings_are_refused_within_a_fold_only(tmp_path: Path) -> None:
    cell = collect(folder(tmp_path, change=with_columns(1, 3, config_id="other"))).cells["AGRM", "two_class"]
    assert "different settings" in cell.refused


def test_mixed_splits_of_one_fold_are_refused(tmp_path: Path) -> None:
    evidence = collect(folder(tmp_path, change=with_columns(1, 3, split_fingerprint="split-0-2")))
    assert any("not in the test part of its split" in f.rule for f in evidence.problems)
    assert evidence.cells["AGRM", "two_class"].seeds == (0, 2)


def test_an_operating_point_decides_each_subject_by_its_own_networks_threshold(m: Measurements, results: Path) -> None:
    point = m.evidence.study.operating_points[0]
    cell = m.cell("w/o MTM", "two_class")
    validation = cells_of_part(m.evidence, "val").cells["w/o MTM", "two_class"]
    found = thresholds(cell, validation, point)
    assert found.shape == (3, 4)
    decided = decided_at(cell, found).predicted_SN
    for s in range(3):
        val, test = (predictions(results, "w/o MTM", s, part) for part in ("val", "test"))
        for fold in range(4):
            own = val[val["fold"] == fold]
            reaching = [t for t in own["p"] if (own["p"][own["label"] == 1] >= t).mean() >= 0.9 - 1e-12]
            assert found[s, fold] == pytest.approx(max(reaching), abs=1e-12)
            mine = test[test["fold"] == fold].set_index("subject_id")["p"]
            at = [cell.subjects.index(name) for name in mine.index]
            assert (decided[s, at] == (mine.to_numpy() >= found[s, fold])).all()
    assert OperatingPoints().build(m).rows


def test_calibration_scales_each_fold_by_its_own_temperature(m: Measurements) -> None:
    table = CalibrationTable().build(m)
    keys = [c.key for c in table.columns]
    assert all(np.isfinite(r.entries[keys.index("ece_scaled")].value) for r in table.rows)


def test_validation_rows_are_means_over_folds_without_an_interval(m: Measurements) -> None:
    table = Agrm().build(m)
    keys = [c.key for c in table.columns]
    rows = {r.entries[keys.index("part")].text: r for r in table.rows}
    validation = cells_of_part(m.evidence, "val").cells["AGRM", "two_class"]
    assert len(validation.seeds) == 12
    by_trial = validation.values("accuracy").reshape(3, 4)
    assert rows["Validation"].entries[keys.index("accuracy")].value == pytest.approx(by_trial.mean())
    assert rows["Validation"].entries[keys.index("accuracy")].parts["n"] == 3
    assert rows["Validation"].entries[keys.index("macro_f1_interval")].text == "–"
    assert rows["Test"].entries[keys.index("macro_f1_interval")].text != "–"


def test_the_table_of_variance_has_a_share_of_folds(m: Measurements) -> None:
    table = Variance().build(m)
    keys = [c.key for c in table.columns]
    for row in table.rows:
        shares = [row.entries[keys.index(k)].value for k in ("seeds", "subjects", "interaction", "folds")]
        assert sum(shares) == pytest.approx(1.0)


def test_facts_of_trainings_are_means_over_the_folds_of_a_seed(m: Measurements) -> None:
    from agrm_study.report.facts import of_arm, trial_facts

    facts = trial_facts(m.evidence, m.evidence.trials)
    found = of_arm(m.evidence, facts, "AGRM", "two_class")
    assert len(found) == 3
    ids = [trial_id("AGRM", "two_class", 1, 0, fold) for fold in range(4)]
    assert found["val_macro_f1"].iloc[1] == pytest.approx(facts.loc[ids, "val_macro_f1"].mean())
    assert Thresholds().unfit(m) is not None


def test_counts_are_those_of_one_fold_and_say_so(m: Measurements) -> None:
    assert "each labelled subject is in the test part of one of its folds" in " ".join(Splits().build(m).notes)


def test_folds_of_sites_are_named_with_what_intervals_hold_for(tmp_path: Path) -> None:
    root = folder(tmp_path, STUDY.replace("folds: 4}", "folds: 4, group: site}"))
    people = Ledger(root).subjects()
    tested = people[people["split"] == "test"]
    assert tested.groupby("site")["split_fingerprint"].nunique().tolist() == [1] * 8
    m = Measurements(collect(root))
    notes = " ".join(Arms().build(m).notes)
    assert "pooled over 4 folds" in notes
    assert "and between its sites (8 sites in total), so that they also apply to similar sites" in notes
    assert "folds of sites" not in notes  # a caution about fewer than four
    assert "and between sites, which is assumed" in " ".join(Variance().build(m).notes)
    by_site = Heterogeneity().build(m)
    assert "Each site is tested with the networks of one fold" in " ".join(by_site.notes)
    rows = [row.entries[2].text for row in by_site.rows]
    assert [f"Site: site {n}" for n in range(8)] == [text for text in dict.fromkeys(rows) if text.startswith("Site")]
    assert "no site is in both the test part and another part of a fold" in " ".join(Splits().build(m).notes)
    text = Facts(m).split().text
    assert "to 4 folds of whole sites, stratified by label; each fold is the test part once" in text
    sizes = tested.groupby("site")["subject_id"].nunique()
    text = clusters(Facts(m)).text
    assert f"by site: site 0 {sizes['site 0']}, site 1 {sizes['site 1']}" in text
    assert "Folds consist of whole sites" in text


def test_without_sites_the_authors_are_asked_for_clusters(m: Measurements) -> None:
    assert clusters(Facts(m)).text == "For the authors. The records contain no sites."


def test_a_site_that_a_fold_tests_and_trains_on_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path, STUDY.replace("folds: 4}", "folds: 4, group: site}"))
    people = Ledger(root).subjects()
    rows = people[people["split_fingerprint"] == "split-0-1"].drop(columns=["split_fingerprint", "rows_digest"])
    moved = (rows["split"] == "train") & (rows["site"] == "site 0")
    rows.loc[rows.index[moved][0], "site"] = "site 1"
    rows = rows.astype(object).where(rows.notna(), None)
    write_subjects(root, "split-0-1", rows.to_dict("records"))
    said = " ".join(Splits().build(Measurements(collect(root))).notes)
    assert "another part of a fold, although the study requests folds by site: site 1." in said


def test_fewer_than_four_folds_of_sites_are_cautioned_about(tmp_path: Path) -> None:
    m = Measurements(collect(folder(tmp_path, STUDY.replace("folds: 4}", "folds: 2, group: site}"))))
    assert "Caution: 2 folds of sites; with fewer than 4, differences" in " ".join(Arms().build(m).notes)


def test_repeats_are_further_rows(tmp_path: Path) -> None:
    text = STUDY.replace("{folds: 4}", "{folds: 4, repeats: 2}")
    m = Measurements(collect(folder(tmp_path, text)))
    cell = m.cell("AGRM", "two_class")
    assert cell.seeds == tuple((seed, repeat) for repeat in range(2) for seed in range(3)) or set(cell.seeds) == {
        (seed, repeat) for repeat in range(2) for seed in range(3)
    }
    assert cell.planned == 6
    assert m.compared()["w/o MTM", "two_class"].difference.n == 6
    assert "2 repeats" in " ".join(Arms().build(m).notes)


def test_a_plan_that_lacks_a_fold_is_noticed(tmp_path: Path) -> None:
    root = folder(tmp_path)
    file = root / "plan.json"
    plan = json.loads(file.read_text(encoding="utf-8"))
    plan["cells"] = [c for c in plan["cells"] if (c["arm"], c["seed"], c["fold"]) != ("AGRM", 2, 3)]
    file.write_text(json.dumps(plan), encoding="utf-8")
    evidence = collect(root)
    assert any("lacks 1 of the 48 replicates" in f.rule and "fold 3" in f.rule for f in evidence.problems)


def test_without_plan_json_the_folds_are_taken_from_the_records(tmp_path: Path) -> None:
    root = folder(tmp_path)
    with_plan = Measurements(collect(root)).metric("AGRM", "two_class", "macro_f1")
    (root / "plan.json").unlink()
    without = Measurements(collect(root)).metric("AGRM", "two_class", "macro_f1")
    assert sorted(without.values_S) == pytest.approx(sorted(with_plan.values_S))


def test_the_whole_report_is_made(results: Path) -> None:
    make_report([results])
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "pooled over 4 folds" in page
    assert (results / "figures").is_dir()


def test_folds_that_are_planned_after_one_split_test_all_labelled_subjects() -> None:
    from agrm_study.report.detect import Variances, detection
    from agrm_study.statistics.power import assumed

    of_one_split = assumed(0.04, 0.2, seeds=5, subjects=48)
    v = Variances(of="A − B", task="two_class", components=of_one_split, comparisons=1)
    found = detection(v, 0.05, seeds=5, hours_per_seed=0.1, folds=5, test_share=0.2)
    planned, single = found.designs[0], found.designs[-3]
    assert (planned.seeds, planned.subjects, planned.folds) == (5, 240, 5)
    assert (single.seeds, single.subjects, single.folds) == (5, 48, 1)
    assert (planned.hours, single.hours) == (pytest.approx(2.5), pytest.approx(0.5))
    assert planned.half_width < single.half_width
    assert not found.folds_known
