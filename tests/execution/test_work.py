"""A trial is sent to a worker without loss of information."""

from __future__ import annotations

from pathlib import Path

from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.records import epoch_columns, prediction_blocks, trial_columns
from agrm_study.execution.trial.runner import NoopRunner
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.schemas import EPOCHS
from agrm_study.study.recipe import Recipe
from agrm_study.training.outcome import EpochRow


def recipe(**settings: object) -> Recipe:
    return Recipe.model_validate(settings)


def spec(number: int = 0, arm: str = "A", of: Recipe | None = None) -> TrialSpec:
    return TrialSpec(
        trial_id=f"{number:016x}",
        config_id="c" * 16,
        study="study",
        phase="final",
        arm=arm,
        recipe=of or Recipe(seed=number),
        params={"model.pooling.bins": [[1, 1], [2, 2]]},
        data_fingerprint="d",
        split_fingerprint="s",
        labelled_fingerprint="l",
    )


def test_work_survives_the_journey_exactly() -> None:
    odd = recipe(
        task="two_class",
        seed=3,
        data={"manifest": Path("/data/manifest.parquet"), "split": {"train": 0.6, "val": 0.2, "test": 0.2}},
        model={"pooling": {"bins": [[1, 1], [7, 1]]}, "weights": Path("w.pth")},
        augment={"strong": {"hue": 0.0}},
        early_stop={"armed_after": 0},
        optimizer={"clip_norm": 1.0, "lr": 3e-4},
    )
    work = Work(trial=spec(of=odd), manifest="/data/manifest.parquet", store="/store", attempts=2)
    assert Work.from_json(work.to_json()) == work


def test_defaults_do_not_travel() -> None:
    assert len(Work(trial=spec()).to_json()) < 500


def test_settings_and_events_survive_the_journey() -> None:
    settings = WorkerSettings(results="s3://bucket/x", device="cuda", threads=3)
    assert WorkerSettings.from_json(settings.to_json()) == settings
    event = TrialEvent(kind="failed", trial_id="a", metric=None, failure="bug", error="“quoted”\nlines")
    assert TrialEvent.from_json(event.to_json()) == event


def test_columns_say_only_what_acts() -> None:
    supervised = trial_columns(spec(of=recipe(ssl={"method": "supervised"})))
    assert (supervised["tau"], supervised["alpha"], supervised["ramp_epochs"]) == (None, None, None)
    fixmatch = trial_columns(spec(of=recipe(ssl={"method": "fixmatch"})))
    assert (fixmatch["tau"], fixmatch["alpha"], fixmatch["ramp_epochs"]) == (0.8, None, 30)
    agrm = trial_columns(spec(of=recipe(ssl={"method": "agrm"})))
    assert (agrm["tau"], agrm["alpha"], agrm["ramp_epochs"]) == (0.8, 0.99, 30)
    assert agrm["params"] == '{"model.pooling.bins": [[1, 1], [2, 2]]}'


def test_epoch_rows_keep_what_the_schema_knows() -> None:
    row = EpochRow(
        epoch=1,
        split="train",
        network="student",
        loss=1.0,
        metrics={"macro_f1": 0.5, "kappa": 0.1},
        training={"lr": 1e-4, "pseudo_class_counts": [1, 2, 3]},
    )
    (columns,) = epoch_columns([row])
    assert set(columns) <= set(EPOCHS.names)
    assert columns["pseudo_class_counts"] == [1, 2, 3]
    assert prediction_blocks(NoopRunner().outcome().predictions) == []


def test_a_source_hands_out_each_trial_once_and_nothing_after_a_stop() -> None:
    source = WorkSource([Work(trial=spec(number)) for number in range(3)])
    first, second = source.take(), source.take()
    assert first is not None
    assert second is not None
    assert [first.trial.trial_id, second.trial.trial_id] == ["0" * 16, f"{1:016x}"]
    assert not source.exhausted
    source.stop()
    assert source.exhausted
    assert source.take() is None


def test_an_arm_is_held_after_equal_failures_of_different_trials_only() -> None:
    source = WorkSource([Work(trial=spec(n, arm="A" if n < 6 else "B")) for n in range(8)])

    def failed(number: int, frame: str = "fit.py:3") -> TrialEvent:
        return TrialEvent(kind="failed", trial_id=f"{number:016x}", failure="bug", error="E", frame=frame)

    for _ in range(4):
        source.take()
    assert [*source.observe(failed(0)), *source.observe(failed(0)), *source.observe(failed(1))] == []
    assert [*source.observe(failed(2, frame="other.py:1"))] == []
    assert [work.trial.trial_id[-1] for work in source.observe(failed(3))] == ["4", "5"]
    left = source.take()
    assert left is not None
    assert left.trial.arm == "B"
