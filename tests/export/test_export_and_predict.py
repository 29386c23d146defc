"""An exported model gives exactly the probabilities that the study recorded."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

from agrm_study.cli.export import export
from agrm_study.cli.predict import predict
from agrm_study.execution.options import RunOptions
from agrm_study.execution.run import run_study
from agrm_study.records.reader import Ledger
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.training.data.manifest import read_manifest, write_manifest

TOLERANCE = 1e-4
"""Largest difference of a probability: the same frames, but other batches of the same sums in float32."""

STUDY = {
    "name": "tiny",
    "question": "Does it work?",
    "tasks": ["two_class"],
    "seeds": 2,
    "data": {"unlabelled_train": 1, "unlabelled_val": 1},
    "set": {
        "epochs": 1,
        "clip": {"frames": 4, "fps": 4.0, "resize": 28, "size": 24},
        "model": {"width": 4, "depth": 10},
        "ssl": {"pretrain_epochs": 0},
        "batch": {"labelled": 6, "unlabelled": 3},
        "evaluate": {"clips": 3},
    },
    "arms": [
        {"name": "AGRM", "set": {"clip.crop": "person_box"}},
        {"name": "whole frame", "set": {"ssl.method": "supervised"}},
    ],
    "reference": "AGRM",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Videos, a manifest without boxes (predict finds the same ones), and the results of a study."""
    from dataclasses import replace

    from agrm_study.training.data.datasets.synthetic import write_synthetic

    folder = tmp_path_factory.mktemp("exported")
    write_synthetic(folder / "made", subjects=18, unlabelled=2, seed=0, difficulty="easy", workers=1)
    clips = [replace(clip, boxes=None) for clip in read_manifest(folder / "made").clips]
    manifest = write_manifest(clips, folder / "made" / "unboxed")
    study = STUDY | {"data": STUDY["data"] | {"manifest": str(manifest)}}
    (folder / "study.yaml").write_text(json.dumps(study))
    options = RunOptions(results=folder / "results", executor="inline", workers=1)
    assert run_study(load_study(folder / "study.yaml"), options).exit_code == 0
    return folder


def call(verb, *words):
    return CliRunner().invoke(verb, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)


def softmax(z):
    e = np.exp(z.astype(np.float64) - z.max())
    return e / e.sum()


@pytest.mark.parametrize(("arm", "network"), [("AGRM", "teacher"), ("whole frame", "student")])
def test_a_test_video_gets_the_recorded_probabilities(lab, tmp_path, arm, network):
    done = call(export, lab / "results", "--arm", arm, "--seed", 1, "--out", tmp_path / "model")
    assert done.exception is None, done.output
    recipe = json.loads((tmp_path / "model" / "recipe.json").read_text())
    assert (recipe["arm"], recipe["seed"], recipe["network"]) == (arm, 1, network)
    rows = Ledger(lab / "results").predictions("test", network, trial_ids=[recipe["trial_id"]])
    recorded = {
        subject: np.mean([softmax(z) for z in of_subject["logits"]], axis=0)
        for subject, of_subject in rows.groupby("subject_id")
    }
    manifest = read_manifest(lab / "made" / "unboxed")
    clips = {clip.subject_id: clip for clip in manifest.clips if clip.subject_id in recorded}
    assert len(clips) >= 3
    done = call(predict, tmp_path / "model", "--json", *(clips[subject].path for subject in sorted(clips)))
    assert done.return_value == 0, done.output
    for subject, found in zip(sorted(clips), json.loads(done.stdout), strict=True):
        assert found["notice"] == "screening research, not a diagnosis"
        assert list(found["as_evaluated"].values()) == pytest.approx(recorded[subject], abs=TOLERANCE)
        assert found["decision"] == ("abnormal" if recorded[subject][1] >= 0.5 else "normal")
        windows = [softmax(z / recipe["temperature"]) for z in rows.loc[rows["subject_id"] == subject, "logits"]]
        assert list(found["probabilities"].values()) == pytest.approx(np.mean(windows, axis=0), abs=TOLERANCE)
        assert found["windows"] == len(windows)


def test_without_a_name_the_seed_that_was_best_on_validation_is_taken(lab, tmp_path):
    done = call(export, lab / "results", "--out", tmp_path / "model")
    assert done.exception is None, done.output
    ledger = Ledger(lab / "results")
    trials = ledger.trials().set_index("trial_id")
    best = trials["best_epoch"]
    rows = ledger.epochs()
    at_best = rows["epoch"] == rows["trial_id"].map(best)
    rows = rows[(rows["split"] == "val") & (rows["network"] == "teacher") & at_best]
    values = rows.set_index("trial_id")["macro_f1"]
    assert set(trials.loc[values.index, "arm"]) == {"AGRM"}
    chosen = json.loads((tmp_path / "model" / "recipe.json").read_text())["trial_id"]
    assert values[chosen] == pytest.approx(values.max())


def test_the_folder_holds_the_network_that_is_evaluated_and_says_what_it_is(lab, tmp_path):
    call(export, lab / "results", "--out", tmp_path / "model")
    recipe = json.loads((tmp_path / "model" / "recipe.json").read_text())
    weights = load_file(tmp_path / "model" / "model.safetensors")
    kept = load_file(lab / "results" / "checkpoints" / recipe["trial_id"] / "best.safetensors")
    assert {f"teacher.{name}" for name in weights} == {name for name in kept if name.startswith("teacher.")}
    assert all(np.array_equal(weights[name], kept[f"teacher.{name}"]) for name in weights)
    assert recipe["classes"] == ["normal", "abnormal"]
    assert recipe["preprocessing"]["crop"] == "person_box"
    assert str(lab) not in (tmp_path / "model" / "recipe.json").read_text()
    card = (tmp_path / "model" / "README.md").read_text()
    for part in ("not a diagnosis", recipe["data_fingerprint"], recipe["split_fingerprint"], "macro F1", "2 seeds"):
        assert part in card, part
    trials = Ledger(lab / "results").trials().set_index("trial_id")
    assert trials.loc[recipe["trial_id"], "code_version"] in card


def test_the_card_states_the_recorded_test_accuracy_and_the_arms_mean_and_deviation(lab, tmp_path):
    call(export, lab / "results", "--arm", "whole frame", "--seed", 0, "--out", tmp_path / "model")
    accuracy = {}
    for (trial_id, _), rows in Ledger(lab / "results").predictions("test").groupby(["trial_id", "network"]):
        right = [
            (np.mean([softmax(z) for z in each["logits"]], axis=0)[1] >= 0.5) == each["label"].iloc[0]
            for _, each in rows.groupby("subject_id")
        ]
        accuracy.setdefault(trial_id, float(np.mean(right)))
    trials = Ledger(lab / "results").trials().set_index("trial_id")
    own = trials[trials["arm"] == "whole frame"].sort_values("seed").index
    values = [100 * accuracy[trial_id] for trial_id in own]
    [line] = [
        line for line in (tmp_path / "model" / "README.md").read_text().splitlines() if line.startswith("| accuracy")
    ]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[3] == f"{values[0]:.1f}"  # fewer than ten test subjects: no interval
    assert cells[4] == f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


def test_results_in_an_object_store_are_read_by_their_uri(lab, tmp_path):
    done = call(export, (lab / "results").as_uri(), "--out", tmp_path / "model")
    assert done.exception is None, done.output
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_a_bad_video_costs_only_itself(lab, tmp_path, monkeypatch):
    call(export, lab / "results", "--arm", "whole frame", "--out", tmp_path / "model")
    path = next(clip.path for clip in read_manifest(lab / "made" / "unboxed").clips)
    monkeypatch.chdir(path.parent)
    good = Path(path.name)  # a long path is wrapped in the table
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    done = call(predict, tmp_path / "model", tmp_path / "broken.mp4", tmp_path / "gone.avi", good, tmp_path)
    assert done.return_value == 1
    assert "gone.avi: the file does not exist" in done.stderr
    assert "broken.mp4: not a video" in done.stderr
    assert "the path is a folder" in done.stderr
    assert good.name in done.stdout
    assert "not a diagnosis" in done.stdout


def test_a_folder_that_is_no_model_is_told(lab, tmp_path):
    call(export, lab / "results", "--arm", "whole frame", "--out", tmp_path / "model")
    with pytest.raises(InputError, match="must be a model folder"):
        call(predict, tmp_path / "nowhere", "x.avi")
    with pytest.raises(InputError, match=r"not a valid recipe\.json of an exported model: it is missing"):
        call(predict, lab / "results", "x.avi")
    weights = tmp_path / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 255
    weights.write_bytes(content)
    with pytest.raises(InputError, match=r"the weights do not match recipe\.json"):
        call(predict, tmp_path / "model", "x.avi")
    recipe = tmp_path / "model" / "recipe.json"
    recipe.write_text(recipe.read_text().replace('"store_version": 1', '"store_version": 0'))
    with pytest.raises(InputError, match="the preprocessing of this version differs"):
        call(predict, tmp_path / "model", "x.avi")


def test_what_cannot_be_exported_is_told(lab, tmp_path):
    with pytest.raises(InputError, match="must be a results folder"):
        call(export, tmp_path, "--out", tmp_path / "model")
    with pytest.raises(InputError, match=r"not in this study.*Did you mean `AGRM`"):
        call(export, lab / "results", "--arm", "AGRN", "--out", tmp_path / "model")
    with pytest.raises(InputError, match=r"must be a seed with a finished trial.*allowed: 0, 1"):
        call(export, lab / "results", "--seed", 7, "--out", tmp_path / "model")
    with pytest.raises(InputError, match="must be the id of a finished trial"):
        call(export, lab / "results", "zzz", "--out", tmp_path / "model")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.docx").touch()
    with pytest.raises(InputError, match=r"must be a new or empty folder.*thesis\.docx"):
        call(export, lab / "results", "--out", tmp_path / "other")
    copy = tmp_path / "results"
    shutil.copytree(lab / "results", copy)
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(InputError, match="the weights of this trial were not kept"):
        call(export, copy, "--out", tmp_path / "model")


def test_an_earlier_export_is_replaced(lab, tmp_path):
    for seed in (0, 1):
        assert call(export, lab / "results", "--seed", seed, "--out", tmp_path / "model").exception is None
        assert "seed was selected on validation data" not in (tmp_path / "model" / "README.md").read_text()
    assert json.loads((tmp_path / "model" / "recipe.json").read_text())["seed"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
