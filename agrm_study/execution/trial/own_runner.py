"""Runner of user-defined trainers."""

from __future__ import annotations

import dataclasses
import gc
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agrm_study.execution.data.trainer_data import checksum_of
from agrm_study.execution.trial.checkpoints import BEST, ROLLING
from agrm_study.execution.trial.own_checkpoint import STATE, OwnCheckpoint, packed_state, unpack_state
from agrm_study.execution.trial.own_results import predicted_probabilities, training_loss, weights_file
from agrm_study.execution.trial.runner import RunnerContext, TrialRunner
from agrm_study.execution.trial.work import Work
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.errors import InputError
from agrm_study.study.parts.loaded import own_class
from agrm_study.study.parts.names import short_name
from agrm_study.study.temporary import replacing, temporary_folder
from agrm_study.training.data.manifest import Manifest, read_manifest
from agrm_study.training.data.splits import make_split
from agrm_study.training.early_stopping import EarlyStopping
from agrm_study.training.failures import CheckpointError
from agrm_study.training.metrics import classification_metrics, decide
from agrm_study.training.outcome import EpochReport, EpochRow, Predictions, TrialOutcome
from agrm_study.training.outcome import Split as Part
from agrm_study.training.trainer import Trainer, Trial

LEAST: Final = 1e-30
"""Lower bound of recorded probabilities, so that their logarithms are finite."""
METRIC: Final = "macro_f1"
"""Validation metric for early stopping."""


class OwnRunner(TrialRunner):
    """Runs an `agrm_study.training.trainer.Trainer`.

    Its predictions and weights come from the last epoch or, with `training.patience`, from the best epoch, whose state
    is kept in the rolling checkpoint.
    """

    def __init__(self) -> None:
        self._trainer: Trainer | None = None
        self._rows: list[EpochRow] = []
        self._epoch = 0
        self._stopping: EarlyStopping | None = None
        self._best_state = b""
        self._over = False

    @property
    def _live(self) -> Trainer:
        """The trainer created by `start`."""
        assert self._trainer is not None
        return self._trainer

    def start(self, work: Work, context: RunnerContext) -> int:
        recipe = work.trial.recipe
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(max(1, context.settings.threads))
        manifest = read_manifest(work.manifest, require_files=False)
        self._cls: type[Trainer] = own_class("trainer", recipe.training.trainer)
        self._name = short_name(recipe.training.trainer)
        self._parts = _parts(work.trial, manifest, self._cls)
        self._recipe, self._folder = recipe, context.checkpoint_dir
        self._part_names: tuple[Part, ...] = ("train", "val", "test") if work.trial.phase == "final" else ("val",)
        if recipe.training.patience is not None:
            self._stopping = EarlyStopping(METRIC, recipe.training.patience, armed_after=1)
        self._trial = Trial(
            classes=recipe.classes,
            seed=recipe.seed,
            epochs=recipe.epochs,
            train=self._parts["train"].ids,
            train_labels=self._parts["train"].labels_N,
            val=self._parts["val"].ids,
            val_labels=self._parts["val"].labels_N,
            device=context.settings.device,
            threads=context.settings.threads,
        )
        with temporary_folder("saved") as folder:
            try:
                saved = self._restore(self._folder / ROLLING, folder)
            except CheckpointError:  # missing or damaged: start from scratch
                saved = None
            self._begin(saved)
        return self._epoch

    def _begin(self, saved: Path | None) -> None:
        """Start a new trainer, from saved files if there are any."""
        self._trainer = self._cls(self._cls.options_of(self._recipe.training.options))
        self._trainer.start(self._trial, saved)

    @property
    def _done(self) -> bool:
        return self._epoch >= self._recipe.epochs or (self._stopping is not None and self._stopping.stops)

    def load_stage(self, folder: Path, name: str) -> int:
        with temporary_folder("stage") as files:
            self._begin(self._restore(folder / ROLLING, files, name))
        return self._epoch

    def save_stage(self, folder: Path, name: str) -> None:
        self._write_checkpoint(folder / ROLLING, name)

    def rows(self) -> Sequence[EpochRow]:
        return tuple(self._rows)

    def run_epoch(self) -> EpochReport:
        if self._done:  # the checkpoint is from the last epoch
            return EpochReport(epoch=self._epoch, rows=(), done=True)
        epoch = self._epoch + 1
        train_loss = training_loss(self._live.run_epoch(epoch), epoch, self._name)
        val = self._parts["val"]
        probs_NK = self._predict(val.ids)
        of_label_N = probs_NK[np.arange(len(val.ids)), val.labels_N]
        learned = [
            EpochRow(epoch=epoch, split="train", network="student", loss=loss)
            for loss in [train_loss]
            if loss is not None
        ]
        judged = EpochRow(
            epoch=epoch,
            split="val",
            network="student",
            loss=float(-np.log(np.maximum(of_label_N, LEAST)).mean()),
            metrics=classification_metrics(val.labels_N, decide(probs_NK), len(self._recipe.classes)),
        )
        rows = (*learned, judged)
        self._rows += rows
        self._epoch = epoch
        if self._stopping is not None and self._stopping.update(epoch, judged.metrics[METRIC]):
            self._best_state = packed_state(self._live.save)
        return EpochReport(epoch=epoch, rows=rows, done=self._done)

    def save(self) -> None:
        self._write_checkpoint(self._folder / ROLLING)
        if self._over and (weights := weights_file(self._live.weights(), self._name)):
            with replacing(self._folder / BEST) as stream:
                stream.write(weights)

    def _write_checkpoint(self, file: Path, stage: str = "") -> None:
        OwnCheckpoint(self._epoch, tuple(self._rows), self._best_state, stage).write(file, self._live.save)

    def outcome(self) -> TrialOutcome:
        best_epoch = self._epoch if self._stopping is None else self._stopping.best_epoch
        if best_epoch != self._epoch:
            with temporary_folder("best") as folder:
                self._begin(unpack_state(self._best_state, folder))
        self._over = True
        return TrialOutcome(
            stop_reason="epochs" if self._epoch >= self._recipe.epochs else "early_stop",
            best_epoch=best_epoch,
            epochs=self._epoch,
            n_params=None,
            class_names=self._recipe.classes,
            rows=tuple(self._rows),
            predictions=tuple(self._predictions(name, best_epoch) for name in self._part_names),
        )

    def close(self) -> None:
        self._trainer = None
        gc.collect()

    def _predictions(self, name: Part, epoch: int) -> Predictions:
        part = self._parts[name]
        return Predictions(
            split=name,
            network="student",
            epoch=epoch,
            subject_id=part.groups,
            clip_id=part.ids,
            label=part.labels_N.astype(np.int8),
            logits=np.log(np.maximum(self._predict(part.ids), LEAST)).astype(np.float32),
        )

    def _predict(self, ids: Sequence[str]) -> NDArray[np.float64]:
        """Validated probabilities (N, K) from the trainer."""
        shape = (len(ids), len(self._recipe.classes))
        if not ids:
            return np.zeros(shape)
        return predicted_probabilities(self._live.predict(tuple(ids)), *shape, self._name)

    def _restore(self, file: Path, folder: Path, stage: str = "") -> Path:
        """Restores the epochs of a checkpoint; returns the folder with the trainer's files, inside ``folder``."""
        checkpoint = OwnCheckpoint.read(file, folder, stage)
        self._epoch, self._rows, self._best_state = checkpoint.epoch, list(checkpoint.rows), checkpoint.best_state
        if self._stopping is not None:  # its state is derived from the scores
            self._stopping.restart()
            for row in self._rows:
                if row.split == "val":
                    self._stopping.update(row.epoch, row.metrics[METRIC])
        return folder / STATE


@dataclasses.dataclass(frozen=True, slots=True)
class _PartData:
    """Samples of one part whose labels belong to the task."""

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    labels_N: NDArray[np.int64]


def _parts(trial: TrialSpec, manifest: Manifest, cls: type[Trainer]) -> Mapping[Part, _PartData]:
    recipe = trial.recipe
    split = make_split(manifest, recipe.data, recipe.split_seed)
    now = cls.fingerprint()
    changed = any(clip.checksum != checksum_of(now, clip.clip_id) for clip in manifest.clips)
    if changed or trial.split_fingerprint != split.fingerprint:
        raise InputError(
            "the trainer's data must be unchanged since the study was planned",
            where=f"trainer {short_name(recipe.training.trainer)}",
            hint="Check whether they changed while the study ran or differ on this node, then rerun it.",
        )
    found: dict[Part, _PartData] = {}
    names: tuple[Part, ...] = ("train", "val", "test")
    for name in names:
        kept = [(manifest.by_id[i], index) for i in split.clips(name)
                if (index := recipe.task.class_index(manifest.by_id[i].label)) is not None]  # fmt: skip
        found[name] = _PartData(
            tuple(clip.clip_id for clip, _ in kept),
            tuple(clip.subject_id for clip, _ in kept),
            np.array([index for _, index in kept], dtype=np.int64),
        )
    return found
