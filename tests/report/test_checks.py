import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic_records import ABLATION, trial_id, write_results

from agrm_study.records.writer import write_subjects
from agrm_study.report.build import make_report
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements

STUDY = ABLATION.replace("[two_class, three_class]", "[two_class]").replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")
VICTIM = trial_id("AGRM", "two_class", 1)


def results(tmp_path, **more):
    return write_results(tmp_path / "r", STUDY, **({"subjects": 18, "epochs": 4} | more))


def of_victim(edit):
    """A change of the records of one trial."""

    def change(trial, blocks, rows):
        if trial["trial_id"] == VICTIM:
            edit(trial, blocks, rows)

    return change


def without_rows(block, lost):
    keep = np.array([not lost(s, c) for s, c in zip(block["subject_id"], block["clip_id"], strict=True)])
    for name in ("subject_id", "clip_id"):
        block[name] = [v for v, k in zip(block[name], keep, strict=True) if k]
    for name in ("label", "logits"):
        block[name] = block[name][keep]


def rules(evidence, trial=VICTIM):
    about = [f.rule for f in evidence.problems if f.trial_id == trial or f"trial {trial}" in f.rule]
    return [rule.removesuffix(f" (trial {trial})") for rule in about]


def rewrite(path, edit):
    table = pq.read_table(path)
    frame = edit(table.to_pandas())
    pq.write_table(pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False), path)


def lose_subjects(trial, blocks, rows):
    without_rows(blocks[0], lambda s, c: s in ("test000", "test007"))
    without_rows(blocks[1], lambda s, c: s in ("test000", "test007"))


def lose_a_window(trial, blocks, rows):
    for block in blocks:
        without_rows(block, lambda s, c: c == "test003#1")


def other_part(trial, blocks, rows):
    for block in blocks:
        block["subject_id"][4] = "train000"


def other_label(trial, blocks, rows):
    for block in blocks:
        same = np.array(block["subject_id"]) == "test005"
        block["label"][same] = 1 - block["label"][same]


def other_epoch(trial, blocks, rows):
    for block in blocks:
        block["epoch"] += 1


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        (lose_subjects, "predictions lack 2 of 18 subjects of the test part (N = 16)"),
        (lose_a_window, "predictions lack 1 of 36 windows of the test part"),
        (other_part, "predicts subjects not in the test part of its split: train000"),
        (other_label, "label of subject test005 differs from its label in the subjects record"),
        (other_epoch, "predictions must be from best_epoch"),
        (lambda t, b, r: t.update(best_epoch=None), "a finished trial must have best_epoch and epochs"),
        (lambda t, b, r: t.update(best_epoch=9), "best_epoch must lie between 1 and epochs"),
        (lambda t, b, r: t.update(seed=7), "its trial is recorded with seed 7"),
        (lambda t, b, r: t.update(task="three_class"), "its trial is recorded with task 'three_class'"),
        (lambda t, b, r: t.update(phase="search"), "its trial is recorded with phase 'search'"),
        (
            lambda t, b, r: t.update(arm="w/o MTM", params='{"ssl.method": "supervised"}'),
            "its trial is recorded under arm 'w/o MTM'",
        ),
        (lambda t, b, r: t.update(params="[1"), "params must be a JSON object"),
    ],
)
def test_a_trial_that_contradicts_the_other_records_is_left_out_and_named(tmp_path, edit, rule):
    evidence = collect(results(tmp_path, change=of_victim(edit)))
    assert rule in rules(evidence)
    assert evidence.cells["AGRM", "two_class"].seeds == (0, 2)
    assert evidence.cells["AGRM", "two_class"].marks == ("2/3",)
    assert evidence.cells["w/o MTM", "two_class"].seeds == (0, 1, 2)
    assert evidence.partial.startswith("PARTIAL: 11 of 12 planned trials are finished")


def test_an_arm_whose_every_trial_lacks_subjects_is_refused_in_its_row_and_below_the_table(tmp_path):
    def change(trial, blocks, rows):
        if trial["arm"] == "w/o both":
            lose_subjects(trial, [blocks[0], blocks[0]], rows)

    root = results(tmp_path, change=change)
    summary = make_report([root], tables=["ablation"], figures=[], formats=["md"], page=False)
    text = (root / "tables" / "ablation.md").read_text()
    row = next(line for line in text.splitlines() if "w/o both" in line)
    assert "excluded" in row
    assert "±" not in row
    assert "lack 2 of 18 subjects" in text
    assert "9 of 12 planned trials are finished and usable" in summary.partial[str(root)]


def test_labels_are_settled_by_the_subjects_and_not_by_the_trial_that_sorts_first(tmp_path):
    first = min(trial_id(a, "two_class", s) for a in ("AGRM", "w/o MTM", "w/o SHPM", "w/o both") for s in (0, 1, 2))

    def change(trial, blocks, rows):
        if trial["trial_id"] == first:
            other_label(trial, blocks, rows)

    root = results(tmp_path, change=change)
    evidence = collect(root)
    assert [f.trial_id for f in evidence.problems] == [first]
    (root / "records" / "subjects" / "split-a.parquet").unlink()
    by_majority = collect(root)
    assert {f.trial_id for f in by_majority.problems if f.severity == "refuse"} == {first}
    assert any("is missing" in f.rule and f.severity == "mark" for f in by_majority.problems)


def test_predictions_that_cannot_be_read_make_a_finished_study_partial(tmp_path):
    root = results(tmp_path)
    (root / "records" / "predictions" / f"{VICTIM}.parquet").write_bytes(b"PAR1")
    evidence = collect(root)
    assert evidence.partial == "PARTIAL: 11 of 12 planned trials are finished and usable"


def people(root):
    return root / "records" / "subjects" / "split-a.parquet"


def rewrite_people(root, edit):
    frame = edit(pq.read_table(people(root)).to_pandas())
    write_subjects(root, "split-a", pa.Table.from_pandas(frame, preserve_index=False).to_pylist())


def test_a_subject_on_two_sides_of_a_split_refuses_its_trials_and_the_note_says_so(tmp_path):
    root = results(tmp_path)
    rewrite_people(root, lambda f: pd.concat([f, f[f["subject_id"] == "test001"].assign(split="train")]))
    evidence = collect(root)
    assert any("1 subject is in two parts (test001 in test and train)" in f.rule for f in evidence.problems)
    assert not evidence.cells
    make_report([root], tables=["splits", "ablation"], figures=[], formats=["md"], page=False)
    assert "no subject is in two parts" not in (root / "tables" / "splits.md").read_text()
    assert "test001 in test and train" in (root / "tables" / "splits.md").read_text()
    assert "±" not in (root / "tables" / "ablation.md").read_text().split("<sub>")[0]


def test_the_unlabelled_clips_of_a_subject_may_share_its_side(tmp_path):
    root = results(tmp_path)
    own = {"split": "unlabelled_train", "label": None}
    rewrite_people(root, lambda f: pd.concat([f, f[f["subject_id"] == "train001"].assign(**own)]))
    assert not collect(root).problems


def test_duplicated_subjects_are_counted_once_and_marked(tmp_path):
    root = results(tmp_path)
    before = collect(root)
    rewrite_people(root, lambda f: pd.concat([f, f.head(3)]))
    after = collect(root)
    pd.testing.assert_frame_equal(after.subjects, before.subjects)
    assert [f.severity for f in after.problems] == ["mark"]
    assert "3 rows are duplicates" in after.problems[0].rule


def cells(root, edit):
    plan = json.loads((root / "plan.json").read_text())
    plan["cells"] = edit(plan["cells"])
    (root / "plan.json").write_text(json.dumps(plan))


def test_a_replicate_that_is_planned_twice_counts_once(tmp_path):
    root = results(tmp_path)
    cells(root, lambda found: [*found, found[0]])
    evidence = collect(root)
    assert evidence.cells["AGRM", "two_class"].seeds == (0, 1, 2)
    assert any("planned exactly once" in f.rule and f.severity == "mark" for f in evidence.problems)


def test_a_trial_that_the_plan_gives_two_seeds_fills_the_one_it_was_trained_with(tmp_path):
    root = results(tmp_path)
    cells(root, lambda found: [c | ({"trial_id": found[0]["trial_id"]} if c == found[1] else {}) for c in found])
    evidence = collect(root)
    assert evidence.cells["AGRM", "two_class"].seeds == (0, 2)
    assert evidence.partial


def test_replicates_that_a_plan_lacks_are_missing_and_not_forgotten(tmp_path):
    root = results(tmp_path)
    cells(root, lambda found: found[1:])
    evidence = collect(root)
    assert evidence.cells["AGRM", "two_class"].marks == ("2/3",)
    assert "11 of 12" in evidence.partial
    assert any("lacks 1 of the 12 replicates" in f.rule for f in evidence.problems)


def edit_study(root, old, new):
    """As a run of the edited study writes it: without the digest of the old content."""
    lines = (root / "study.yaml").read_text().replace(old, new).splitlines()
    (root / "study.yaml").write_text("\n".join(line for line in lines if not line.startswith("#")) + "\n")


def test_an_arm_that_was_renamed_keeps_its_trials(tmp_path):
    root = results(tmp_path)
    edit_study(root, "w/o MTM", "no teacher")
    cells(root, lambda found: [c | ({"arm": "no teacher"} if c["arm"] == "w/o MTM" else {}) for c in found])
    evidence = collect(root)
    assert not evidence.problems
    assert evidence.cells["no teacher", "two_class"].complete


def test_a_trial_without_its_validation_scores_is_marked(tmp_path):
    root = results(tmp_path)
    (root / "records" / "epochs" / f"{VICTIM}.parquet").unlink()
    evidence = collect(root)
    assert rules(evidence) == ["has no validation score at its best epoch"]
    assert evidence.cells["AGRM", "two_class"].complete
    assert evidence.partial is None


@pytest.mark.parametrize("same", [True, False])
def test_a_trial_recorded_twice_counts_once_or_not_at_all(tmp_path, same):
    root = results(tmp_path)
    path = root / "records" / "trials" / f"{VICTIM}.parquet"
    rewrite(path, lambda f: pd.concat([f, f if same else f.assign(best_epoch=3)]))
    evidence = collect(root)
    assert len(evidence.trials) == (12 if same else 11)
    assert len(evidence.problems) == 1
    assert evidence.cells["AGRM", "two_class"].seeds == ((0, 1, 2) if same else (0, 2))


@pytest.mark.parametrize("column", ["code_version", "data_fingerprint", "split_fingerprint"])
def test_an_absent_version_is_a_difference_and_no_traceback(tmp_path, column):
    evidence = collect(results(tmp_path, change=of_victim(lambda t, b, r: t.update({column: None}))))
    assert "not recorded" in evidence.cells["AGRM", "two_class"].refused
    assert Measurements(evidence).metric("w/o MTM", "two_class", "accuracy") is not None


@pytest.mark.parametrize("kind", ["trials", "predictions", "epochs"])
@pytest.mark.parametrize("what", ["folder", "link", "null", "text"])
def test_what_is_no_record_although_it_bears_such_a_name_is_named(tmp_path, kind, what):
    root = results(tmp_path)
    path = root / "records" / kind / f"{VICTIM}.parquet"
    table = pq.read_table(path)
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to(root / "nowhere")
    else:
        column = {"trials": "attempt", "predictions": "logits", "epochs": "epoch"}[kind]
        values = pa.array(["a"] * table.num_rows) if what == "text" else pa.nulls(table.num_rows, table[column].type)
        place = table.schema.get_field_index(column)
        pq.write_table(table.set_column(place, pa.field(column, values.type), values), path)
    evidence = collect(root)
    assert any(VICTIM in f.where and path.suffix in f.where for f in evidence.problems)
    assert evidence.cells["w/o MTM", "two_class"].complete


@pytest.mark.parametrize(
    ("kind", "column", "severity"),
    [("trials", "wall_s", "refuse"), ("predictions", "logits", "refuse"), ("epochs", "loss", "mark")],
)
def test_a_value_that_changed_after_writing_is_refused_or_marked(tmp_path, kind, column, severity):
    root = results(tmp_path)
    path = root / "records" / kind / f"{VICTIM}.parquet"
    if kind == "predictions":
        rewrite(path, lambda f: f.assign(logits=[v * np.float32(1.0001) for v in f["logits"]]))
    else:
        rewrite(path, lambda f: f.assign(**{column: f[column] + 1}))
    evidence = collect(root)
    assert [f.severity for f in evidence.problems] == [severity]
    assert "does not match the digest" in evidence.problems[0].rule
    assert evidence.cells["AGRM", "two_class"].complete == (severity == "mark")


def test_subjects_that_changed_after_writing_refuse_their_split(tmp_path):
    root = results(tmp_path)
    rewrite(people(root), lambda f: f.assign(age=f["age"] + 1))
    evidence = collect(root)
    assert "does not match the digest" in evidence.problems[0].rule
    assert not evidence.cells


def test_a_metric_that_was_chosen_after_the_test_is_listed_below_every_table(tmp_path):
    root = results(tmp_path)
    edit_study(root, "primary_metric: macro_f1", "primary_metric: accuracy")
    evidence = collect(root)
    assert [f.severity for f in evidence.problems] == ["mark"]
    make_report([root], tables=["arms", "ablation"], figures=[], formats=["md"], page=False)
    for name in ("arms", "ablation"):
        text = (root / "tables" / f"{name}.md").read_text().replace(chr(92), "")
        assert "primary_metric changed" in text
