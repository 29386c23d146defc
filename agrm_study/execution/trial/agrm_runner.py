"""Runner of AGRM training runs on a worker; after a trial ends, only its inputs remain in memory."""

from __future__ import annotations

import gc
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from agrm_study.execution.trial.inputs import StoreRunner, manifest_at, require_planned, split_of, store_at
from agrm_study.execution.trial.runner import RunnerContext
from agrm_study.execution.trial.work import Work
from agrm_study.training.checkpoint import drop_rolling
from agrm_study.training.failures import CheckpointError
from agrm_study.training.generators import stream_seed
from agrm_study.training.loop import Training
from agrm_study.training.outcome import EpochReport, EpochRow, Predictions, TrialOutcome


class AgrmRunner(StoreRunner):
    """Runs `agrm_study.training.loop.Training`."""

    def __init__(self) -> None:
        super().__init__()
        self._training: Training | None = None

    @property
    def _live(self) -> Training:
        """The training run created by `start`."""
        assert self._training is not None
        return self._training

    def start(self, work: Work, context: RunnerContext) -> int:
        trial, settings = work.trial, context.settings
        recipe = trial.recipe
        torch.set_num_threads(max(1, settings.threads))
        _seed_globals(recipe.seed)
        manifest = manifest_at(work.manifest)
        split = split_of(work.manifest, recipe.data.model_dump_json(), recipe.split_seed)
        hint = "Check whether the manifest or the videos changed while the study ran, then rerun it."
        require_planned(trial, manifest, split, work.manifest, by="study", hint=hint)
        store = store_at(work.store, settings.local_store)
        for last in (False, True):
            try:
                self._training = Training(
                    recipe,
                    store=store,
                    manifest=manifest,
                    split=split,
                    checkpoint_dir=context.checkpoint_dir,
                    device=settings.device,
                    evaluate_test=trial.phase == "final",
                    ahead=2 if settings.device.startswith("cuda") else 0,
                )
                break
            except CheckpointError:
                if last:
                    raise
                drop_rolling(context.checkpoint_dir)  # damaged, or from a different trial: start from scratch
        return self._live.epoch

    def load_stage(self, folder: Path, name: str) -> int:
        return self._live.epoch if self._live.resume(folder, identity=name) else 0

    def save_stage(self, folder: Path, name: str) -> None:
        self._live.save(folder, identity=name)

    def rows(self) -> Sequence[EpochRow]:
        return self._live.rows

    def run_epoch(self) -> EpochReport:
        if self._live.done:  # the checkpoint is from the last epoch
            return EpochReport(epoch=self._live.epoch, rows=(), done=True)
        return self._live.run_epoch()

    def save(self) -> None:
        self._live.save()

    def outcome(self) -> TrialOutcome:
        return self._live.outcome()

    def predict(self, best_epoch: int) -> Sequence[Predictions]:
        return self._live.predict_kept(best_epoch)

    def close(self) -> None:
        training, self._training = self._training, None
        if training is not None:
            compiled = training.recipe.compile
            training.close()
            del training
            if compiled:  # otherwise, later networks count as recompilations and soon run uncompiled
                torch.compiler.reset()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _seed_globals(seed: int) -> None:
    """Seeds the global random generators that libraries may use; the trainer has its own generators."""
    torch.manual_seed(stream_seed(seed, "global"))
    np.random.seed(stream_seed(seed, "global") % 2**32)  # noqa: NPY002 - libraries may use the global state
    random.seed(stream_seed(seed, "global"))
