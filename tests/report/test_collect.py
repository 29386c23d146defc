import json

import numpy as np
import pytest
from synthetic_records import ABLATION, trial_id, write_results

from agrm_study.report.build import make_report
from agrm_study.report.collect import collect
from agrm_study.report.facts import trial_facts
from agrm_study.report.measure import Measurements
from agrm_study.statistics.probabilities import softmax
from agrm_study.study.errors import InputError

SMALL = ABLATION.replace("[two_class, three_class]", "[three_class]").replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")


def results(tmp_path, **more):
    return write_results(tmp_path / "r", SMALL, **({"subjects": 18, "epochs": 4} | more))


def test_window_probabilities_are_averaged_per_subject_in_float64(tmp_path):
    root = results(tmp_path)
    evidence = collect(root)
    cell = evidence.cells["AGRM", "three_class"]
    from agrm_study.records.reader import Ledger

    rows = Ledger(root).predictions("test", "teacher", trial_ids=[cell.trial_ids[1]])
    for i, subject in enumerate(cell.subjects):
        mine = rows[rows["subject_id"] == subject]
        expected = np.mean([softmax(np.asarray(x, dtype=np.float64)) for x in mine["logits"]], axis=0)
        np.testing.assert_allclose(cell.probs_SNK[1, i], expected, rtol=1e-12)
        assert (mine["label"] == cell.labels_N[i]).all()
    assert (cell.seeds, cell.planned, cell.complete, cell.n_subjects) == ((0, 1, 2), 3, True, 18)


def test_the_teacher_is_reported_where_there_is_one_and_the_student_elsewhere(tmp_path):
    cells = collect(results(tmp_path)).cells
    assert cells["AGRM", "three_class"].network == "teacher"
    assert cells["w/o MTM", "three_class"].network == "student"


def test_arms_of_one_method_have_each_the_validation_score_of_their_own_network(tmp_path):
    study = SMALL.replace("w/o MTM, set: {ssl.method: supervised}", "student, set: {evaluate.network: student}")
    assert study != SMALL
    evidence = collect(write_results(tmp_path / "r", study, subjects=18, epochs=4))
    facts = trial_facts(evidence, evidence.trials)
    epochs = evidence.epochs().set_index(["trial_id", "split", "network", "epoch"])["macro_f1"]
    for arm, network, other in (("AGRM", "teacher", "student"), ("student", "student", "teacher")):
        for planned in evidence.replicates[arm, "three_class"]:
            at = int(facts.at[planned.trial_id, "best_epoch"])
            assert facts.at[planned.trial_id, "val_macro_f1"] == epochs[planned.trial_id, "val", network, at]
            assert epochs[planned.trial_id, "val", network, at] != epochs[planned.trial_id, "val", other, at]


def test_an_incomplete_study_is_partial_and_says_how_much_is_there(tmp_path):
    gone = [("AGRM", "three_class", 1)]
    evidence = collect(results(tmp_path, skip=gone, failed=[("w/o MTM", "three_class", 0)]))
    assert evidence.partial == "PARTIAL: 10 of 12 planned trials are finished"
    assert evidence.cells["AGRM", "three_class"].seeds == (0, 2)
    assert not evidence.cells["AGRM", "three_class"].complete


def test_a_folder_without_a_study_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"results folder.*study\.yaml"):
        collect(tmp_path)


def test_unknown_names_list_what_exists(tmp_path):
    write_results(tmp_path, subjects=6, epochs=2)
    with pytest.raises(InputError, match=r"ablatoin.*allowed: .*ablation.*Did you mean `ablation`"):
        make_report([tmp_path], tables=["ablatoin"])


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        (lambda b: b.__setitem__("logits", b["logits"][:, :2]), "every logits list must have 3 values"),
        (lambda b: b["logits"].__setitem__((0, 0), np.nan), "logits must be finite"),
        (lambda b: b["label"].__setitem__(0, 7), "label must be a class index below 3"),
        (lambda b: b["clip_id"].__setitem__(1, b["clip_id"][0]), "duplicated predictions"),
    ],
)
def test_bad_predictions_are_a_problem_and_a_gap_and_the_rest_is_made(tmp_path, fault, rule):
    def change(trial, blocks, rows):
        if trial["trial_id"] == trial_id("AGRM", "three_class", 1):
            for b in blocks:
                fault(b)

    evidence = collect(results(tmp_path, change=change))
    assert any(rule in p.rule and trial_id("AGRM", "three_class", 1) in p.where for p in evidence.problems)
    assert evidence.cells["AGRM", "three_class"].seeds == (0, 2)
    assert evidence.cells["w/o MTM", "three_class"].seeds == (0, 1, 2)


def test_a_truncated_record_is_a_problem_and_the_rest_is_made(tmp_path):
    root = results(tmp_path)
    victim = root / "records" / "predictions" / f"{trial_id('w/o SHPM', 'three_class', 2)}.parquet"
    victim.write_bytes(victim.read_bytes()[:200])
    summary = make_report([root], figures=[], formats=["md"], tables=["ablation"])
    assert any(victim.name in p.where for p in summary.problems)
    text = (root / "tables" / "ablation.md").read_text()
    assert "<sup>2/3</sup>" in text
    assert "Left out" in text


def test_records_of_mixed_code_in_a_cell_are_refused_with_the_difference_named(tmp_path):
    def change(trial, blocks, rows):
        if trial["arm"] == "AGRM" and trial["seed"] == 0:
            trial["code_version"] = "feedface"

    root = results(tmp_path, change=change)
    evidence = collect(root)
    assert "mixed code" in evidence.cells["AGRM", "three_class"].refused
    m = Measurements(evidence)
    assert m.metric("AGRM", "three_class", "accuracy") is None
    assert m.metric("w/o MTM", "three_class", "accuracy") is not None
    make_report([root], figures=[], tables=["ablation"])
    text = (root / "tables" / "ablation.md").read_text()
    assert "excluded" in text
    assert "0123456789abcdef, feedface" in text
    assert collect(root, allow=["code"]).cells["AGRM", "three_class"].refused is None


def test_an_arm_on_other_data_is_shown_but_not_subtracted(tmp_path):
    def change(trial, blocks, rows):
        if trial["arm"] == "w/o MTM":
            trial["data_fingerprint"] = "data-b"

    m = Measurements(collect(results(tmp_path, change=change)))
    compared = m.compared()
    assert "data differs" in compared["w/o MTM", "three_class"].refused
    assert compared["w/o SHPM", "three_class"].difference is not None
    assert m.metric("w/o MTM", "three_class", "accuracy") is not None


def test_a_missing_plan_is_a_problem_and_the_records_stand_in(tmp_path):
    root = results(tmp_path)
    (root / "plan.json").unlink()
    evidence = collect(root)
    assert len(evidence.planned) == 12
    assert any("plan.json" in p.where for p in evidence.problems)


def test_a_damaged_plan_is_a_problem_not_a_traceback(tmp_path):
    root = results(tmp_path)
    (root / "plan.json").write_text(json.dumps([{"arm": "AGRM"}]))
    assert any("is not a valid plan" in p.rule for p in collect(root).problems)


def test_named_families_are_corrected_apart(tmp_path):
    evidence = collect(results(tmp_path))
    one = Measurements(evidence)
    two = Measurements(evidence, families={"mtm": ["w/o MTM"]})
    alone = two.compared()["w/o MTM", "three_class"]
    assert alone.adjusted_p == alone.difference.p
    assert one.compared()["w/o MTM", "three_class"].adjusted_p >= alone.adjusted_p
    assert two.family_sizes("three_class") == {"mtm": 1, "": 2}


@pytest.mark.parametrize(("kind", "column"), [("data", "data_fingerprint"), ("split", "split_fingerprint")])
def test_records_of_mixed_data_or_split_in_a_cell_are_refused_with_the_difference_named(tmp_path, kind, column):
    def change(trial, blocks, rows):
        if trial["arm"] == "AGRM" and trial["seed"] == 2:
            trial[column] = f"other-{kind}"

    root = results(tmp_path, change=change)
    evidence = collect(root)
    cell = evidence.cells["AGRM", "three_class"]
    assert f"mixed {kind} versions in one cell" in cell.refused
    assert f"{kind}-a" in cell.refused
    assert f"other-{kind}" in cell.refused
    m = Measurements(evidence)
    assert m.metric("AGRM", "three_class", "accuracy") is None
    assert m.metric("w/o SHPM", "three_class", "accuracy") is not None
    assert collect(root, allow=[kind]).cells["AGRM", "three_class"].refused is None


def test_a_running_study_is_reported_as_partial_in_every_table_figure_and_on_the_page(tmp_path):
    root = results(tmp_path, skip=[("AGRM", "three_class", 1), ("w/o both", "three_class", 0)])
    names = ["ablation", "splits", "failures"]
    summary = make_report([root], tables=names, figures=["confusion"], figure_formats=["svg"])
    said = "PARTIAL: 10 of 12 planned trials are finished"
    assert summary.partial == {str(root): said}
    for file in [*(root / "tables" / f"{n}.{f}" for n in names for f in ("md", "tex", "html"))]:
        assert said in file.read_text(), file.name
    assert said in (root / "figures" / "confusion.txt").read_text()
    assert said in (root / "report.html").read_text()


def test_compacted_records_give_the_same_cells_to_the_last_bit(tmp_path):
    from agrm_study.records.compaction import compact

    root = results(tmp_path)
    before = collect(root)
    assert compact(root, at_least=2)
    after = collect(root)
    for key, cell in before.cells.items():
        np.testing.assert_array_equal(cell.probs_SNK, after.cells[key].probs_SNK)
        assert cell.subjects == after.cells[key].subjects
    assert not after.problems
