"""One contract for the built-in and a user-defined trainer: the same checks, run through `TrialRunner`.

The contract is described in `docs/your_own.md`: samples with ids, labels and groups; start or resume in a folder; one
epoch; save; an outcome with predictions per subject for the parts of the split.
"""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tiny_study import tiny_study

import agrm_study as ags
from agrm_study.execution.data.prepare import prepare
from agrm_study.execution.trial.checkpoints import ROLLING
from agrm_study.execution.trial.runner import RunnerContext, TrialRunner, load_runner
from agrm_study.execution.trial.work import AGRM_RUNNER, OWN_RUNNER, Work, WorkerSettings
from agrm_study.plan.expand import expand
from agrm_study.study.errors import InputError
from agrm_study.training.data.manifest import Manifest, read_manifest
from agrm_study.training.data.splits import Split
from agrm_study.training.failures import CheckpointError
from agrm_study.training.outcome import TrialOutcome

EXAMPLES = Path(__file__).parents[2] / "search_spaces" / "trainers"
EPOCHS = 4


@dataclass(frozen=True)
class Trainer:
    """A trainer as execution sees it: its runner, one trial, and the data of that trial."""

    runner: str
    work: Work
    manifest: Manifest
    split: Split

    def begin(self, folder: Path, **changes: Any) -> tuple[TrialRunner, int]:
        """A started runner and its epoch; `changes` are made to the trial."""
        runner = load_runner(self.runner)
        work = dataclasses.replace(self.work, trial=dataclasses.replace(self.work.trial, **changes))
        return runner, runner.start(work, RunnerContext(settings=WorkerSettings(results=""), checkpoint_dir=folder))

    def train(self, folder: Path, **changes: Any) -> TrialOutcome:
        """The outcome of the trial, from what is in the folder to its last epoch."""
        runner, _ = self.begin(folder, **changes)
        while not runner.run_epoch().done:
            pass
        outcome = runner.outcome()
        runner.close()
        return outcome


@pytest.fixture(scope="module", params=["shipped", "own"])
def trainer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "shipped":
        study = ags.load_study(tiny_study("tiny", {"AGRM": {}}, epochs=EPOCHS, seeds=[0]))
    else:
        content = yaml.safe_load((EXAMPLES / "digits.yaml").read_text())
        del content["grid"], content["reference"], content["report"]
        content |= {"seeds": [0], "arms": [{"name": "digits"}], "set": {"epochs": EPOCHS}}
        shutil.copy(EXAMPLES / "digits.py", folder)
        (folder / "digits.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        study = ags.load_study(folder / "digits.yaml")
    prepared = prepare(study, folder / "results", build=True, workers=1)
    [trial] = expand(study, prepared.fingerprints).trials
    recipe = trial.recipe
    own = recipe.own_trainer
    manifest = prepared.manifest_path(recipe)
    work = Work(trial=trial, manifest=manifest, store="" if own else prepared.store_path(recipe))
    [split] = prepared.splits.values()
    return Trainer(OWN_RUNNER if own else AGRM_RUNNER, work, read_manifest(manifest, require_files=False), split)


@pytest.fixture(scope="module")
def straight(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> TrialOutcome:
    """The outcome of a training run without an interruption."""
    return trainer.train(tmp_path_factory.mktemp("straight"))


def assert_equal(one: TrialOutcome, other: TrialOutcome) -> None:
    assert one.rows == other.rows
    for a, b in zip(one.predictions, other.predictions, strict=True):
        assert (a.split, a.network, a.clip_id) == (b.split, b.network, b.clip_id)
        np.testing.assert_array_equal(a.logits, b.logits)


def test_each_epoch_has_validation_metrics_and_the_last_one_is_marked(trainer: Trainer, tmp_path: Path) -> None:
    runner, epoch = trainer.begin(tmp_path)
    assert (epoch, tuple(runner.rows())) == (0, ())
    reports = [runner.run_epoch() for _ in range(EPOCHS)]
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert [report.done for report in reports] == [False, False, False, True]
    for report in reports:
        judged = [row for row in report.rows if row.split == "val"]
        assert judged
        assert all({"macro_f1", "accuracy", "balanced_accuracy"} <= set(row.metrics) for row in judged)
    assert tuple(runner.rows()) == tuple(row for report in reports for row in report.rows)
    runner.close()


def test_the_outcome_has_every_subject_of_every_part_with_its_class(trainer: Trainer, straight: TrialOutcome) -> None:
    classes = trainer.work.trial.recipe.classes
    assert straight.class_names == classes
    assert 1 <= straight.best_epoch <= straight.epochs == EPOCHS
    assert {block.split for block in straight.predictions} == {"train", "val", "test"}
    for block in straight.predictions:
        assert set(block.subject_id) == set(trainer.split.subjects(block.split))
        assert block.logits.shape == (len(block.clip_id), len(classes))
        assert np.isfinite(block.logits).all()
        for clip, subject, label in zip(block.clip_id, block.subject_id, block.label, strict=True):
            about = trainer.manifest.by_id[clip.split("#")[0]]
            assert about.subject_id == subject
            assert trainer.work.trial.recipe.task.class_index(about.label) == label


def test_equal_seeds_give_equal_outcomes_and_other_seeds_others(
    trainer: Trainer, straight: TrialOutcome, tmp_path: Path
) -> None:
    assert_equal(trainer.train(tmp_path / "same"), straight)
    recipe = trainer.work.trial.recipe.model_copy(update={"seed": 1})
    other = trainer.train(tmp_path / "other", recipe=recipe)
    assert not np.array_equal(other.predictions[0].logits, straight.predictions[0].logits)


def test_a_training_that_is_saved_and_resumed_equals_one_that_is_not(
    trainer: Trainer, straight: TrialOutcome, tmp_path: Path
) -> None:
    runner, _ = trainer.begin(tmp_path)
    for _ in range(2):
        runner.run_epoch()
    runner.save()
    runner.close()
    again, epoch = trainer.begin(tmp_path)
    assert epoch == 2
    assert {row.epoch for row in again.rows()} == {1, 2}
    again.close()
    assert_equal(trainer.train(tmp_path), straight)


def test_a_training_that_starts_from_the_state_of_another_equals_one_that_does_not(
    trainer: Trainer, straight: TrialOutcome, tmp_path: Path
) -> None:
    first, _ = trainer.begin(tmp_path / "first")
    for _ in range(2):
        first.run_epoch()
    (tmp_path / "stage").mkdir()
    first.save_stage(tmp_path / "stage", "0123")
    first.close()
    second, epoch = trainer.begin(tmp_path / "second")
    with pytest.raises(CheckpointError):
        second.load_stage(tmp_path / "stage", "4567")
    assert (epoch, second.load_stage(tmp_path / "stage", "0123")) == (0, 2)
    assert {row.epoch for row in second.rows()} == {1, 2}
    while not second.run_epoch().done:
        pass
    assert_equal(second.outcome(), straight)
    second.close()


def test_a_finished_training_that_is_resumed_runs_no_further_epoch(
    trainer: Trainer, straight: TrialOutcome, tmp_path: Path
) -> None:
    runner, _ = trainer.begin(tmp_path)
    while not runner.run_epoch().done:
        pass
    runner.save()
    runner.close()
    again, epoch = trainer.begin(tmp_path)
    report = again.run_epoch()
    assert (epoch, report.epoch, report.rows, report.done) == (EPOCHS, EPOCHS, (), True)
    assert_equal(again.outcome(), straight)
    again.close()


def test_a_damaged_checkpoint_is_ignored_and_the_training_starts_from_scratch(
    trainer: Trainer, straight: TrialOutcome, tmp_path: Path
) -> None:
    runner, _ = trainer.begin(tmp_path)
    runner.run_epoch()
    runner.save()
    runner.close()
    file = tmp_path / ROLLING
    file.write_bytes(file.read_bytes()[:100])
    again, epoch = trainer.begin(tmp_path)
    assert epoch == 0
    again.close()
    assert_equal(trainer.train(tmp_path), straight)


def test_a_search_trial_predicts_validation_alone(trainer: Trainer, tmp_path: Path) -> None:
    assert {block.split for block in trainer.train(tmp_path, phase="search").predictions} == {"val"}


def test_data_other_than_planned_are_refused(trainer: Trainer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be unchanged since the study was planned"):
        trainer.begin(tmp_path, split_fingerprint="0" * 12)
