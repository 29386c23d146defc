"""Curves, settings, metrics and failures, read back with each package's own reader, equal the records."""

import json

import pytest
from hook_results import POINTS, score, search_id, test_accuracy, write_hook_results, write_search_trial
from synthetic_records import trial_id

from agrm_study.hooks.log import log_study
from agrm_study.hooks.trial_log import StudyLog
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.resolved import write_resolved

DONE, FAILED = trial_id("base", "two_class", 0), trial_id("base", "two_class", 1)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_hook_results(tmp_path_factory.mktemp("hooked") / "r")


def test_tensorboard_shows_curves_settings_and_the_failure(results, tmp_path):
    pytest.importorskip("tensorboard", reason="pip install 'agrm-study[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    log_study(results, "tensorboard", str(tmp_path))

    def run(prefix, trial):
        [folder] = tmp_path.glob(f"{prefix}/two_class/*-{trial[:8]}")
        events = EventAccumulator(str(folder))
        events.Reload()
        return events

    events = run("point-1", search_id(1))
    curve = events.Scalars("val/teacher/macro_f1")
    assert [event.step for event in curve] == [1, 2, 3]
    assert [event.value for event in curve] == pytest.approx([score(1, epoch) for epoch in (1, 2, 3)])
    assert events.Scalars("final/val/macro_f1")[0].value == pytest.approx(score(1, 3))
    assert events.Scalars("train/student/loss")[0].value == pytest.approx(1.0)
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    said = HParamsPluginData.FromString(content).session_start_info.hparams
    assert said["ssl.threshold.tau"].number_value == 0.7
    assert json.loads(said["model.pooling.bins"].string_value) == [[1, 1], [2, 2]]
    assert run("base", DONE).Scalars("final/test/accuracy")[0].value == pytest.approx(test_accuracy(results, DONE))
    [text] = run("base", FAILED).Tensors("failure")
    assert b"OutOfMemory: needed <8 GB> & more" in text.tensor_proto.string_val[0]


def test_mlflow_shows_curves_settings_and_the_failure(results, tmp_path):
    pytest.importorskip("mlflow", reason="pip install 'agrm-study[mlflow]'")
    from mlflow import MlflowClient

    log_study(results, "mlflow", str(tmp_path))
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("sweep").experiment_id
    runs = {run.data.tags["agrm_study.trial_id"]: run for run in client.search_runs([experiment])}
    assert len(runs) == 6
    run = runs[search_id(1)]
    history = client.get_metric_history(run.info.run_id, "val/teacher/macro_f1")
    assert {point.step: point.value for point in history} == pytest.approx({e: score(1, e) for e in (1, 2, 3)})
    assert run.data.params["ssl.threshold.tau"] == "0.7"
    assert run.info.status == "FINISHED"
    assert runs[DONE].data.metrics["final/test/accuracy"] == pytest.approx(test_accuracy(results, DONE))
    assert runs[FAILED].info.status == "FAILED"
    assert "needed <8 GB>" in runs[FAILED].data.tags["mlflow.note.content"]


def test_wandb_writes_offline_runs_that_hold_the_curves(results, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="pip install 'agrm-study[wandb]'")
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    log_study(results, "wandb", str(tmp_path))
    folders = list((tmp_path / "wandb").glob("offline-run-*"))
    assert len(folders) == 6
    [file] = (tmp_path / "wandb").glob(f"offline-run-*-{search_id(1)}/*.wandb")
    records = [Record.FromString(content) for content in logged_blocks(file.read_bytes())]
    named = [{i.nested_key[0] if i.nested_key else i.key: i.value_json for i in r.history.item} for r in records]
    curve = [json.loads(row["val/teacher/macro_f1"]) for row in named if "val/teacher/macro_f1" in row]
    assert curve == pytest.approx([score(1, epoch) for epoch in (1, 2, 3)])
    [run] = [record.run for record in records if record.HasField("run")][:1]
    assert run.run_id == search_id(1)
    assert {item.key: json.loads(item.value_json) for item in run.config.update}["ssl.threshold.tau"] == 0.7


def logged_blocks(data):
    """The records of a W&B file: after 7 bytes a LevelDB log (32 KiB blocks of parts: checksum, length, type)."""
    assert data[:4] == b":W&B"
    position, whole = 7, b""
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:  # no room for a header: the block ends with zeros
            position += left
            continue
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # all of a record, or its last part
            yield whole
            whole = b""


@pytest.mark.parametrize("place", ["sqlite", "journal"])
def test_optuna_opens_the_search_with_its_space_values_and_ends(results, tmp_path, place):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    file = tmp_path / ("search.db" if place == "sqlite" else "search.journal")
    log_study(results, "optuna", str(file))
    storage = f"sqlite:///{file}" if place == "sqlite" else JournalStorage(JournalFileBackend(str(file)))
    study = optuna.load_study(study_name="sweep", storage=storage)
    assert study.direction.name == "MAXIMIZE"
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "PRUNED", "FAIL"]
    for trial, point in zip(study.trials, POINTS, strict=True):
        assert trial.params == point | {"model.pooling.bins": json.dumps(point["model.pooling.bins"])}
    first = study.trials[0]
    assert first.value == pytest.approx(score(0, 3))
    assert first.intermediate_values == pytest.approx({epoch: score(0, epoch) for epoch in (1, 2, 3)})
    lr, ramp = first.distributions["optimizer.lr"], first.distributions["ssl.ramp.epochs"]
    assert (lr.low, lr.high, lr.log) == (1e-5, 1e-3, True)
    assert (ramp.low, ramp.high, ramp.step) == (0, 30, 10)
    assert study.best_trial.user_attrs["agrm_study:trial_id"] == search_id(1)


def test_optuna_refuses_a_study_without_a_search_and_a_storage_that_is_none(results, tmp_path):
    from synthetic_records import write_results

    plain = write_results(tmp_path / "plain", subjects=6, epochs=4, parts=())
    with pytest.raises(InputError, match="requires a study with a search"):
        log_study(plain, "optuna")
    (tmp_path / "notes.db").write_text("no database at all, but long enough to be taken for one " * 100)
    with pytest.raises(InputError, match=r"Optuna cannot use this storage.*allowed: a folder"):
        log_study(results, "optuna", str(tmp_path / "notes.db"))


def test_an_interrupted_tensorboard_write_is_replaced(results, tmp_path):
    pytest.importorskip("tensorboard", reason="pip install 'agrm-study[tensorboard]'")
    log_study(results, "tensorboard", str(tmp_path))
    [mark] = tmp_path.glob(f"base/two_class/*-{DONE[:8]}/agrm-study.json")
    mark.unlink()  # written last
    again = log_study(results, "tensorboard", str(tmp_path))
    assert (again.written, again.unchanged) == (1, 5)
    assert mark.is_file()
    assert len(list(mark.parent.glob("*tfevents*"))) == 1


def test_an_interrupted_mlflow_write_leaves_no_running_run(results, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="pip install 'agrm-study[mlflow]'")
    from mlflow import MlflowClient

    def fail(*arguments, **named):
        raise KeyboardInterrupt

    for method in ("log_batch", "set_terminated"):
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, method, fail)
            with pytest.raises(KeyboardInterrupt):
                log_study(results, "mlflow", str(tmp_path))
    log_study(results, "mlflow", str(tmp_path))
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("sweep").experiment_id])
    assert len(runs) == 6
    assert {run.info.status for run in runs} == {"FINISHED", "FAILED"}
    again = log_study(results, "mlflow", str(tmp_path))
    assert (again.written, again.unchanged) == (0, 6)


def changed_space(results, old, new):
    """Another space in the study file of a results folder."""
    given = results / "given.yaml"
    given.write_text(given.read_text().replace(old, new))
    write_resolved(load_study(given), results / "study.yaml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[[1, 1]], [[1, 1], [2, 2]]", "[[1, 1]], [[1, 1], [2, 2]], [[4, 1]]"),
        ("[1.0e-5, 1.0e-3], scale: log", "[1.0e-5, 1.0e-3]"),
    ],
)
def test_optuna_gets_a_new_study_when_choices_or_a_scale_change(tmp_path, old, new):
    import optuna

    results = write_hook_results(tmp_path / "r")
    log_study(results, "optuna")
    changed_space(results, old, new)
    again = log_study(results, "optuna")
    assert (again.written, again.unchanged) == (4, 0)
    storage = f"sqlite:///{results / 'optuna.db'}"
    assert len(optuna.load_study(study_name="sweep", storage=storage).trials) == 4
    assert len(optuna.load_study(study_name="sweep (space 2)", storage=storage).trials) == 4
    assert log_study(results, "optuna").unchanged == 4


def test_optuna_keeps_its_study_when_only_bounds_change(tmp_path):
    results = write_hook_results(tmp_path / "r")
    log_study(results, "optuna")
    changed_space(results, "[0.5, 0.95]", "[0.4, 0.95]")
    assert log_study(results, "optuna").unchanged == 4


def test_optuna_leaves_out_the_dimensions_that_a_trial_is_outside_of(tmp_path):
    import optuna

    results = write_hook_results(tmp_path / "r")
    changed_space(results, "[0.5, 0.95]", "[0.65, 0.95]")
    log_study(results, "optuna")
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{results / 'optuna.db'}")
    assert ["ssl.threshold.tau" in trial.params for trial in study.trials] == [False, True, True, True]


def test_a_trial_has_the_name_that_its_arm_has_in_the_plan(tmp_path):
    results = write_hook_results(tmp_path / "r")
    cell = {"task": "two_class", "seed": 0, "trial_id": DONE}
    cells = [{"arm": arm} | cell for arm in ("renamed", "twin")]
    (results / "plan.json").write_text(json.dumps({"plan_version": 1, "study": "sweep", "cells": cells}))
    study = StudyLog(results)
    records = study.records()
    assert records[DONE]["arm"] == "renamed = twin"
    assert records[FAILED]["arm"] == "base"
    assert [log.title for log in study.logs(records, {DONE})] == ["renamed = twin, two_class, seed 0"]


def test_a_failed_trial_does_not_make_the_export_of_the_others_stale(tmp_path):
    results = write_hook_results(tmp_path / "r", ended=3, failed=())
    log_study(results, "optuna")
    write_search_trial(results, 3)  # it fails: it has no best epoch
    again = log_study(results, "optuna")
    assert (again.written, again.unchanged) == (1, 3)
