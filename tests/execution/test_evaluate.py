"""`evaluate`: finished trials on an external set and on corrupted copies, with separate records."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from agrm_study.cli.evaluate import evaluate
from agrm_study.cli.verify import verify
from agrm_study.execution.evaluation.run import evaluate as evaluate_trials
from agrm_study.execution.evaluation.sets import CorruptedCopies
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.options import RunOptions
from agrm_study.execution.progress.view import View
from agrm_study.execution.run import run_study
from agrm_study.export.chosen import FinishedStudy
from agrm_study.export.predict import Predictor
from agrm_study.export.write import export
from agrm_study.records.reader import Ledger
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.tables import table_kind
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.training.data.datasets.synthetic import write_synthetic
from agrm_study.training.data.manifest import read_manifest, write_manifest

STUDY = {
    "name": "tiny",
    "tasks": ["two_class", "three_class"],
    "seeds": 2,
    "data": {"synthetic": {"subjects": 18, "unlabelled": 2}, "unlabelled_train": 1, "unlabelled_val": 1},
    "set": {
        "epochs": 1,
        "clip": {"frames": 4, "fps": 4.0, "resize": 28, "size": 24},
        "model": {"width": 4, "depth": 10},
        "ssl": {"pretrain_epochs": 0},
        "batch": {"labelled": 6, "unlabelled": 3},
        "evaluate": {"clips": 2},
    },
    "arms": [{"name": "AGRM"}, {"name": "w/o MTM", "set": {"ssl.method": "supervised"}}],
    "reference": "AGRM",
    "report": {"tables": ["ablation"], "figures": ["forest"]},
}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Synthetic data and clip stores of all tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGRM_STUDY_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def ran(cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "study.yaml").write_text(json.dumps(STUDY))
    options = RunOptions(results=folder / "results", executor="inline", workers=1)
    assert run_study(load_study(folder / "study.yaml"), options).exit_code == 0
    return folder / "results"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """An external set with other nuisance; its subject ids are those of the study's synthetic data."""
    return write_synthetic(
        tmp_path_factory.mktemp("clinic") / "b", subjects=18, unlabelled=2, seed=7, difficulty="hard", workers=1
    )


@pytest.fixture
def results(ran, tmp_path):
    """The study's results, to be evaluated."""
    return shutil.copytree(ran, tmp_path / "results")


@dataclasses.dataclass
class Evaluated:
    """The study's results with evaluations; tests that change them take a copy.

    On the external set one arm was evaluated, then all; on corrupted copies one arm.
    """

    results: Path
    one_arm: Any
    files_of_one_arm: dict[Path, bytes]
    all_arms: Any


@pytest.fixture(scope="module")
def evaluated(ran, clinic, tmp_path_factory):
    results = shutil.copytree(ran, tmp_path_factory.mktemp("evaluations") / "results")
    one_arm = on_clinic(results, clinic, "--no-report", "--arm", "AGRM")
    written = files(results / "external" / "clinic_b" / "records")
    found = Evaluated(results, one_arm, written, on_clinic(results, clinic, "--no-report"))
    assert evaluate_copies(results).exit_code == 0
    return found


@pytest.fixture
def evaluated_copy(evaluated, tmp_path):
    return shutil.copytree(evaluated.results, tmp_path / "evaluated")


def call(*words):
    return CliRunner().invoke(evaluate, [str(word) for word in words], standalone_mode=False)


def on_clinic(results, clinic, *words):
    return call(results, "--manifest", clinic, "--name", "clinic_b", "--distinct-subjects", *words)


def refused(done):
    assert isinstance(done.exception, InputError), done.output
    return str(done.exception)


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def external(results, name="clinic_b"):
    return Ledger(results / "external" / name)


def test_trials_are_evaluated_on_an_external_set_into_files_of_their_own(evaluated, ran, clinic):
    results, done = evaluated.results, evaluated.one_arm
    assert done.return_value == 0, (done.output, done.exception)
    assert "4 of 4 finished trials evaluated (4 now" in done.stderr
    assert files(results / "records") == files(ran / "records")
    found = external(results).predictions()
    assert set(found["split"]) == {"external:clinic_b"}
    assert found.groupby("trial_id")["subject_id"].nunique().tolist() == [18] * 8
    trained = Ledger(results).trials().set_index("trial_id")
    rows = external(results).trials().set_index("trial_id")
    assert rows["weights_digest"].to_dict() == trained["weights_digest"].to_dict()
    assert set(rows["data_fingerprint"]) == {read_manifest(clinic).fingerprint}
    assert not (results / "external" / "clinic_b" / "checkpoints").exists()


def test_the_outputs_are_those_of_the_exported_network_on_the_videos(evaluated, clinic, tmp_path):
    results = evaluated.results
    trials = external(results).trials()
    trials = trials[(trials["task"] == "three_class") & (trials["seed"] == 1) & (trials["arm"] == "AGRM")]
    trial_id = trials["trial_id"].item()
    study = FinishedStudy(results)
    export(study, study.by_id(trial_id), tmp_path / "model")
    clips = read_manifest(clinic).labelled[:3]
    probabilities = [p.as_evaluated for p in Predictor.load(tmp_path / "model").predict([c.path for c in clips])]
    found = external(results).predictions(trial_ids=[trial_id])
    for clip, expected in zip(clips, probabilities, strict=True):
        logits = np.stack(found.loc[found["subject_id"] == clip.subject_id, "logits"].to_list()).astype(np.float64)
        mean = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).mean(axis=0)
        assert mean == pytest.approx(list(expected.values()), abs=1e-4)


def test_what_is_evaluated_is_not_evaluated_again_unless_the_set_changes(evaluated, evaluated_copy, clinic, tmp_path):
    assert evaluated.all_arms.return_value == 0
    assert "8 of 8 finished trials evaluated (4 now" in evaluated.all_arms.stderr
    results = evaluated_copy
    assert evaluated.files_of_one_arm.items() <= files(results / "external" / "clinic_b" / "records").items()
    smaller = write_manifest(read_manifest(clinic).labelled[:-1], tmp_path / "smaller")
    done = on_clinic(results, smaller, "--no-report")
    assert "The set has changed since it was evaluated" in done.stderr
    assert "8 of 8 finished trials evaluated (8 now" in done.stderr
    assert external(results).predictions()["subject_id"].nunique() == 17
    assert "(4 now" in on_clinic(results, smaller, "--no-report", "--again", "--arm", "AGRM").stderr


def test_a_damaged_evaluation_is_named_by_verify_and_made_again_alone(evaluated_copy, clinic):
    results = evaluated_copy
    file = sorted((results / "external" / "clinic_b" / "records" / "predictions").glob("*.parquet"))[0]
    table = pq.read_table(file)
    changed = table.to_pandas()
    changed.loc[0, "label"] = 1 - changed.loc[0, "label"]
    pq.write_table(table.from_pandas(changed, schema=table.schema), file)
    checked = CliRunner().invoke(verify, [str(results)], standalone_mode=False)
    assert checked.return_value == 1
    assert f"external/clinic_b/records/predictions of trial {file.stem}" in checked.output
    done = on_clinic(results, clinic, "--no-report")
    assert "8 of 8 finished trials evaluated (1 now" in done.stderr
    assert pq.read_table(file).equals(table)
    assert CliRunner().invoke(verify, [str(results)], standalone_mode=False).return_value == 0


def test_a_set_that_shares_subject_ids_or_videos_is_refused_and_nothing_is_written(results, clinic, cache, tmp_path):
    said = refused(call(results, "--manifest", clinic, "--name", "clinic_b"))
    assert "must not share subjects with the study: 18 subject ids" in said
    assert "--distinct-subjects" in said
    own = read_manifest(next(cache.glob("synthetic-*")))
    renamed = [dataclasses.replace(clip, subject_id=f"x{clip.subject_id}") for clip in own.labelled[:4]]
    manifest = write_manifest([*renamed, *read_manifest(clinic).labelled[6:9]], tmp_path / "mixed")
    said = refused(on_clinic(results, manifest))
    assert "must not share videos with the study: 4 of 7 videos" in said
    assert not (results / "external" / "clinic_b" / "records").exists()


def test_a_moved_training_manifest_is_named_or_the_set_is_refused(results, clinic, cache, tmp_path):
    other = write_manifest(read_manifest(clinic).clips, tmp_path / "other")
    said = refused(on_clinic(results, clinic, "--trained-on", other))
    assert "the study's data must be unchanged since training" in said
    own = next(cache.glob("synthetic-*"))
    assert on_clinic(results, clinic, "--trained-on", own, "--no-report", "--arm", "AGRM").return_value == 0


def test_labels_are_refused_only_where_no_task_maps_any_and_named_where_a_task_ignores_them(results, clinic, tmp_path):
    clips = read_manifest(clinic).labelled
    strange = [dataclasses.replace(clip, label="limp") for clip in clips]
    said = refused(on_clinic(results, write_manifest(strange, tmp_path / "strange")))
    assert "no task of the study maps a label of the set" in said
    coarse = [dataclasses.replace(c, label="normal" if c.label == "normal" else "abnormal") for c in clips[:-1]]
    coarse.append(dataclasses.replace(clips[-1], label="limp"))
    done = on_clinic(results, write_manifest(coarse, tmp_path / "coarse"), "--no-report", "--arm", "AGRM")
    assert done.return_value == 0, done.output
    assert "The task two_class ignores 1 subject with other labels: limp (1)." in done.stderr
    assert "no subject of the class genu_varum or genu_valgum of the task three_class" in done.stderr
    tasks = external(results).trials().groupby("task")["trial_id"].count().to_dict()
    assert tasks == {"two_class": 2, "three_class": 2}


def test_damaged_and_missing_weights_fail_their_trials_alone_and_are_retried(results, clinic):
    trials = Ledger(results).trials()
    ids = trials.loc[trials["arm"] == "AGRM", "trial_id"].tolist()
    damaged, missing = (results / "checkpoints" / t / "best.safetensors" for t in ids[:2])
    kept = damaged.read_bytes(), missing.read_bytes()
    damaged.write_bytes(kept[0][:-1] + bytes([kept[0][-1] ^ 1]))
    missing.unlink()
    done = on_clinic(results, clinic, "--no-report", "--arm", "AGRM")
    assert done.return_value == 1
    assert "2 of 4 finished trials evaluated" in done.stderr
    assert "the weights do not match the digest" in done.stderr
    assert "not evaluated: " in done.stderr
    damaged.write_bytes(kept[0])
    missing.write_bytes(kept[1])
    done = on_clinic(results, clinic, "--no-report", "--arm", "AGRM")
    assert done.return_value == 0
    assert "4 of 4 finished trials evaluated (2 now" in done.stderr


class _Stopper(View):
    """Asks to stop after so many events of a kind."""

    def __init__(self, interrupt, kind, after):
        self._interrupt, self._kind, self._left = interrupt, kind, after

    def event(self, event, trial):
        self._left -= event.kind == self._kind
        if event.kind == self._kind and self._left == 0:
            self._interrupt.request("test")


COPIES = CorruptedCopies(kinds=("occlusion", "frame_drop"), severities=(1, 4))


def evaluate_copies(results, copies=COPIES, *, stop_after=0, arms=("AGRM",)):
    interrupt = Interrupt()
    options = RunOptions(results=results, executor="inline", device="cpu", workers=1)
    view = _Stopper(interrupt, "epoch", stop_after)
    return evaluate_trials(results, copies, options, arms=arms, view=view, interrupt=interrupt)


def test_corrupted_copies_that_were_interrupted_go_on_to_the_same_records(results, evaluated):
    stopped = evaluate_copies(results, stop_after=2)
    assert stopped.exit_code == 130
    assert stopped.evaluated == 0
    assert list((results / "robustness" / "checkpoints").glob("*/rolling.pt"))
    resumed = evaluate_copies(results)
    assert (resumed.exit_code, resumed.evaluated) == (0, 4)
    one, other = (Ledger(r / "robustness").table_of("predictions") for r in (evaluated.results, results))
    keys = [(name, "ascending") for name in ("trial_id", "split", "clip_id")]
    assert one.sort_by(keys).equals(other.sort_by(keys))
    assert not list((results / "robustness" / "checkpoints").rglob("*.pt"))


def test_further_corruptions_join_the_records_and_leave_the_earlier_ones_as_they_are(evaluated_copy):
    results = evaluated_copy
    first = Ledger(results / "robustness").predictions()
    more = evaluate_copies(results, CorruptedCopies(kinds=("blur",), severities=(5,)))
    assert more.evaluated == 4
    found = Ledger(results / "robustness").predictions()
    assert set(found["split"]) - set(first["split"]) == {"corrupt:blur:5"}
    same = found[found["split"] != "corrupt:blur:5"].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, first)
    assert evaluate_copies(results, CorruptedCopies(kinds=("blur",), severities=(5,))).evaluated == 0


def test_a_corruption_changes_the_outputs_and_none_changes_the_windows(evaluated):
    results = evaluated.results
    clean, corrupted = Ledger(results).predictions("test"), Ledger(results / "robustness").predictions()
    trial_id = corrupted["trial_id"][0]
    base = clean[(clean["trial_id"] == trial_id) & (clean["network"] == "teacher")].set_index("clip_id")
    for part, rows in corrupted[corrupted["trial_id"] == trial_id].groupby("split"):
        rows = rows.set_index("clip_id")
        assert set(rows.index) == set(base.index)
        assert (rows["label"] == base["label"].reindex(rows.index)).all()
        if part == "corrupt:occlusion:4":
            assert any((a != b).any() for a, b in zip(rows["logits"], base.loc[rows.index, "logits"], strict=True))


WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "ray", "cv2", "av", "decord"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
from agrm_study.report.build import make_report
made = make_report([Path(sys.argv[1])], figure_formats=["svg"])
print(*next(iter(made.tables.values())))
"""


def test_the_report_needs_neither_torch_nor_ray_and_has_tables_and_figures_of_both(evaluated_copy):
    results = evaluated_copy
    evaluate_copies(results, CorruptedCopies(kinds=("occlusion",), severities=(4,)), arms=())
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(results)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ablation", "external", "external_calibration", "robustness"]
    page = (results / "report.html").read_text()
    assert "figure-external" in page
    assert "figure-robustness" in page
    table = pd.read_csv(results / "tables" / "external.csv", keep_default_na=False)
    assert set(table["set"]) == {"clinic_b"}
    assert len(table) == 4


def test_the_table_states_the_metric_that_scikit_learn_computes(evaluated):
    from sklearn.metrics import f1_score

    results = evaluated.results
    table = table_kind("external").build(Measurements(collect(results)))
    keys = [column.key for column in table.columns]
    rows = [dict(zip(keys, row.entries, strict=True)) for row in table.rows]
    [stated] = [
        row["macro_f1"].value for row in rows if row["task"].text == "three_class" and row["arm"].text == "AGRM"
    ]
    found = external(results).predictions()
    trials = external(results).trials()
    ids = trials[(trials["task"] == "three_class") & (trials["arm"] == "AGRM")]["trial_id"]
    scores = []
    for trial_id in ids:
        rows = found[found["trial_id"] == trial_id]
        logits = np.stack(rows["logits"].to_list()).astype(np.float64)
        probs = pd.DataFrame(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
        mean = probs.groupby(rows["subject_id"].to_numpy()).mean()
        labels = rows.groupby("subject_id")["label"].first()
        scores.append(f1_score(labels, mean.to_numpy().argmax(axis=1), average="macro"))
    assert stated == pytest.approx(np.mean(scores))


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--corrupt", "blurr"], "Did you mean `blur`"),
        (["--corrupt", "blur", "--severity", "0-9"], "numbers from 1 to 5"),
        (["--corrupt", ","], "requires at least one corruption"),
        (["--corrupt", "blur", "--arm", "AGRN"], "must be an arm of the study"),
        (["--manifest", "m.csv", "--name", "Clinic B"], "is not a valid set name"),
        (["--manifest", "no.csv", "--name", "b"], "the file does not exist"),
    ],
)
def test_wrong_words_are_refused_with_what_is_allowed(ran, words, rule):
    assert rule in refused(call(ran, *words))


def test_a_study_with_folds_pools_corrupted_folds_and_averages_their_networks_on_an_external_set(tmp_path, clinic):
    data = {"synthetic": {"subjects": 18, "unlabelled": 2}, "unlabelled_train": 1, "unlabelled_val": 1}
    study = STUDY | {"tasks": ["two_class"], "splits": {"folds": 2}, "arms": [STUDY["arms"][1]], "data": data}
    study |= {"reference": "w/o MTM", "report": {}}
    (tmp_path / "folds.yaml").write_text(json.dumps(study))
    options = RunOptions(results=tmp_path / "results", executor="inline", workers=1)
    assert run_study(load_study(tmp_path / "folds.yaml"), options).exit_code == 0
    done = on_clinic(tmp_path / "results", clinic, "--no-report")
    assert "4 of 4 finished trials evaluated" in done.stderr, (done.output, done.exception)
    copies = CorruptedCopies(kinds=("blur",), severities=(5,))
    assert evaluate_copies(tmp_path / "results", copies, arms=()).evaluated == 4
    m = Measurements(collect(tmp_path / "results"))
    cell = m.corrupted.cells["blur", 5]["w/o MTM", "two_class"]
    assert (len(cell.seeds), cell.n_subjects) == (2, 18)
    tables = {name: table_kind(name).build(m) for name in ("external", "external_calibration", "robustness")}
    [row] = tables["external"].rows
    entry = dict(zip([c.key for c in tables["external"].columns], row.entries, strict=True))
    accuracy = external(tmp_path / "results").predictions().groupby(["trial_id", "subject_id"]).apply(_is_right)
    trials = external(tmp_path / "results").trials().set_index("trial_id")["seed"]
    of_seed = accuracy.groupby("trial_id").mean().groupby(trials).mean()
    assert entry["accuracy"].value == pytest.approx(of_seed.mean())
    assert entry["accuracy"].marks == ()
    assert entry["accuracy"].parts["std"] == pytest.approx(of_seed.std(ddof=1))
    assert entry["change"].parts["n"] == 2
    assert entry["change"].parts["low"] < entry["change"].value < entry["change"].parts["high"]


def _is_right(rows):
    logits = np.stack(rows["logits"].to_list()).astype(np.float64)
    positive = (np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)).mean()
    return float((positive >= 0.5) == rows["label"].iloc[0])
