"""Training run, epoch by epoch: training, validation, saving, resuming, and the final predictions."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from agrm_study.study.counted import counted
from agrm_study.study.recipe import Recipe
from agrm_study.study.steps import in_steps, steps_of
from agrm_study.training.augment.pixels import Renderer
from agrm_study.training.batches import Batches
from agrm_study.training.checkpoint import load_best, load_checkpoint, save_checkpoint, trial_identity
from agrm_study.training.clipset import Store, clips_of_parts
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import Split
from agrm_study.training.device import Device
from agrm_study.training.early_stopping import EarlyStopping
from agrm_study.training.evaluate import Evaluator, spread
from agrm_study.training.models.build import build_model, forward_gflops
from agrm_study.training.models.layers import parameter_groups
from agrm_study.training.models.weights import load_weights
from agrm_study.training.outcome import EpochReport, EpochRow, Predictions, TrialOutcome
from agrm_study.training.outcome import Split as Part
from agrm_study.training.predict import predict
from agrm_study.training.schedule import LearningRate, build_optimizer
from agrm_study.training.ssl.losses import build_loss
from agrm_study.training.ssl.networks import Networks
from agrm_study.training.ssl.pseudo import PseudoStats
from agrm_study.training.ssl.ramp import ramp_weight
from agrm_study.training.ssl.relabel import label_round
from agrm_study.training.ssl.rounds import Rounds
from agrm_study.training.ssl.step import Learner
from agrm_study.training.ssl.thresholds import build_policy
from agrm_study.training.tally import EpochTally
from agrm_study.training.validate import Validation


class Training:
    """Training run of one trial, epoch by epoch, up to its `TrialOutcome`.

    Args:
        recipe: All settings of the trial.
        store: Clip store with every clip of the split.
        manifest: Subjects and labels.
        split: Clip ids of each part.
        checkpoint_dir: Folder of the checkpoint; None disables saving.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        resume: Whether to resume from a checkpoint in `checkpoint_dir`.
        evaluate_test: Whether to compute predictions on the test and training parts; False in a search, which must not
            use the test part.
        identity: Identity that the checkpoint must have; None uses a hash of recipe, data and split.
        ahead: Number of steps that a thread reads in advance; does not affect the results.

    Attributes:
        epoch: Number of completed epochs.
        messages: Notes for the user, for example about pre-trained weights that were not loaded.

    Raises:
        InputError: If recipe, data and device are incompatible.
        CheckpointError: If the checkpoint cannot be resumed.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        store: Store,
        manifest: Manifest,
        split: Split,
        checkpoint_dir: Path | None = None,
        device: str = "cpu",
        resume: bool = True,
        evaluate_test: bool = True,
        identity: str | None = None,
        ahead: int = 0,
    ) -> None:
        self.recipe, self.epoch, self.messages = recipe, 0, list[str]()
        self._folder, self._evaluate_test = checkpoint_dir, evaluate_test
        self._identity = identity or trial_identity(recipe, manifest.fingerprint, split.fingerprint)
        self._device = Device(device, recipe)
        self._clips = clips_of_parts(recipe, manifest, store, split, needs_test=evaluate_test)
        clip, classes, unlabelled = recipe.clip, recipe.classes, self._clips["unlabelled_train"]
        counts = [int((self._clips["train"].labels_N == index).sum()) for index in range(len(classes))]
        loss = build_loss(recipe.loss, classes, counts, order=recipe.task.order)
        outputs = loss.n_outputs(len(classes))
        student = build_model(recipe.model, n_outputs=outputs, frames=clip.frames, size=clip.size, seed=recipe.seed)
        if recipe.model.weights is not None:
            self.messages += load_weights(student, recipe.model.weights)
        self._device.place(student)
        self._device.compile(student)
        stepped = in_steps(recipe, len(self._clips["train"]))
        self._steps, self._averages = steps_of(recipe, len(self._clips["train"])), stepped.ssl
        self._networks = Networks.of(stepped, student, self._device)
        self._optimizer = build_optimizer(
            recipe.optimizer,
            parameter_groups(student, lr=recipe.optimizer.lr, layer_decay=recipe.optimizer.layer_decay),
        )
        self._rate = LearningRate(recipe.optimizer, self._optimizer, recipe.epochs, recipe.armed_after)
        self._stopping = EarlyStopping(recipe.early_stop.metric, recipe.early_stop.patience, recipe.armed_after)
        self._policy = build_policy(stepped.ssl.threshold, len(classes), len(unlabelled), counts)
        self._learner = Learner(
            recipe,
            networks=self._networks,
            optimizer=self._optimizer,
            loss=loss,
            policy=self._policy,
            device=self._device,
        )
        in_rounds = self._learner.method.pseudo and recipe.ssl.pseudo.mode == "rounds"
        self._rounds = Rounds(len(unlabelled), recipe.ssl.pseudo.round_epochs) if in_rounds else None
        self._round_figures: dict[str, Any] = {}

        renderer = Renderer(recipe.seed, clip.size, self._device.torch, noise=recipe.augment.strong.noise > 0)
        self._batches = Batches(
            recipe,
            store=store,
            labelled=self._clips["train"],
            unlabelled=unlabelled,
            renderer=renderer,
            device=self._device,
            label_view=self._learner.method.label_view,
            ahead=ahead,
        )
        self._evaluator = Evaluator(
            store=store, renderer=renderer, device=self._device, loss=loss, size=clip.size, batch=recipe.evaluate.batch
        )
        self._validation = Validation(
            recipe,
            evaluator=self._evaluator,
            labelled=self._clips["val"],
            unlabelled=self._clips["unlabelled_val"],
        )
        self._gflops = forward_gflops(recipe.model, n_outputs=outputs, frames=clip.frames, size=clip.size)
        self._seen_clips, self._learning_s = 0, 0.0
        self._rows: list[EpochRow] = []
        self._best: dict[str, Tensor] = {}
        self._best_is_saved = False
        if resume and checkpoint_dir is not None:
            self.resume(checkpoint_dir)

    @property
    def done(self) -> bool:
        """Whether training has finished."""
        return self.epoch >= self.recipe.epochs or self._stopping.stops

    @property
    def peak_bytes(self) -> int:
        """Peak GPU memory of the training run, in bytes; 0 on a CPU."""
        return self._device.peak_bytes

    def run_epoch(self) -> EpochReport:
        """Train for one epoch, validate, and update learning rate, best weights and early stopping.

        Raises:
            NanLossError: If a loss is not finite; training must not continue.
            DeviceMemoryError: If the device is out of memory.
            ValueError: If training has already ended.
        """
        if self.done:
            raise ValueError(f"training has ended after {counted(self.epoch, 'epoch')}")
        epoch, since_start = self.epoch + 1, self.epoch - self.recipe.ssl.pretrain_epochs
        with self._device.session(epoch):
            if since_start == 0 and self.recipe.has_teacher:
                self._networks.start_teacher()
                if self._average_selects:
                    self._stopping.restart()
            if self._rounds is not None and self._rounds.due(since_start):
                self._label_round(self._rounds)
            train_row, clips_per_s = self._learn(epoch, since_start)
            val_rows = self._validation.rows(epoch, self._networks, self._policy, pretraining=since_start < 0)
        selecting = val_rows[-1] if self._average_selects else val_rows[0]
        self._rate.step(epoch, selecting.loss)
        if self._stopping.update(epoch, {"loss": selecting.loss, **selecting.metrics}[self.recipe.early_stop.metric]):
            self._best, self._best_is_saved = self._networks.weights(), False
        self._rows += (train_row, *val_rows)
        self.epoch = epoch
        return EpochReport(epoch=epoch, rows=(train_row, *val_rows), done=self.done, clips_per_s=clips_per_s)

    def outcome(self) -> TrialOutcome:
        """Predictions of the best epoch's networks, and the rows of all epochs.

        Raises:
            ValueError: If no epoch has been completed.
        """
        if not self._best:
            raise ValueError("no epoch has been completed")
        return TrialOutcome(
            stop_reason="epochs" if self.epoch >= self.recipe.epochs else "early_stop",
            best_epoch=self._stopping.best_epoch,
            epochs=self.epoch,
            n_params=sum(parameter.numel() for parameter in self._networks.student.parameters()),
            class_names=self.recipe.classes,
            rows=tuple(self._rows),
            predictions=self._predict(self._best, self._stopping.best_epoch),
            device=self._device.description,
            steps_per_epoch=self._steps,
            alpha=self._averages.ema.alpha if self.recipe.has_average else None,
            momentum=self._averages.threshold.momentum if self._learner.averages else None,
            gflops=self._gflops,
            clips_per_s=self._seen_clips / self._learning_s if self._learning_s else None,
        )

    def predict_kept(self, epoch: int) -> tuple[Predictions, ...]:
        """Predictions with the best weights in `checkpoint_dir`, without training; equal to the predictions of
        `outcome`.

        Raises:
            CheckpointError: If the folder has no weights for this trial and epoch.
        """
        return self._predict(load_best(self._folder or Path(), self._identity, epoch), epoch)

    @property
    def rows(self) -> tuple[EpochRow, ...]:
        """Rows of all completed epochs, including epochs before resuming."""
        return tuple(self._rows)

    def save(self, folder: Path | None = None, *, identity: str | None = None) -> None:
        """Write a checkpoint.

        Args:
            folder: Folder of the checkpoint; defaults to `checkpoint_dir`. Nothing is written if both are None.
            identity: Identity of the checkpoint; defaults to the identity of this trial. Other trials can `resume` with
                it.
        """
        folder = folder or self._folder
        if folder is None:
            return
        is_home = folder == self._folder
        best = None if (is_home and self._best_is_saved) or not self._best else self._best
        name = identity or self._identity
        save_checkpoint(folder, name, self._state(), best_epoch=self._stopping.best_epoch, best=best)
        self._best_is_saved = self._best_is_saved or is_home

    def resume(self, folder: Path, *, identity: str | None = None) -> bool:
        """Restore the checkpoint in a folder, or return False if there is none.

        Args:
            folder: Folder of the checkpoint.
            identity: Identity that the checkpoint must have; defaults to the identity of this trial. Trials that differ
                only in settings that take effect after pre-training can resume from a shared checkpoint.

        Raises:
            CheckpointError: If the checkpoint cannot be resumed.
        """
        saved = load_checkpoint(folder, identity or self._identity)
        if saved is None:
            return False
        state, self._best = saved
        self._networks.load_state_dict(state["networks"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._device.scaler.load_state_dict(state["scaler"])
        self._rate.load_state_dict(state["plateau"])
        self._stopping.load_state_dict(state["stopping"])
        self._rows = [EpochRow(**row) for row in state["rows"]]
        self.epoch, self._best_is_saved = state["epoch"], folder == self._folder
        # Before the end of pre-training, policy and rounds are in their initial state, and the checkpoint may come from
        # a different method.
        if self.recipe.uses_unlabelled and self.epoch > self.recipe.ssl.pretrain_epochs:
            self._policy.load_state_dict(state["policy"])
            if self._rounds is not None:
                self._rounds.load_state_dict(state["rounds"])
            self._round_figures = state["round_figures"]
        return True

    def close(self) -> None:
        """Release gradients and best weights; training cannot continue afterwards."""
        self._optimizer.zero_grad(set_to_none=True)
        self._best = {}

    def _predict(self, best: Mapping[str, Tensor], epoch: int) -> tuple[Predictions, ...]:
        names: tuple[Part, ...] = ("train", "val", "test") if self._evaluate_test else ("val",)
        clips = {name: self._clips[name] for name in names}
        return predict(self._networks, best, clips, self._evaluator, self.recipe, epoch, self._device)

    def _state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "networks": self._networks.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._device.scaler.state_dict(),
            "plateau": self._rate.state_dict(),
            "stopping": self._stopping.state_dict(),
            "policy": self._policy.state_dict(),
            "rounds": None if self._rounds is None else self._rounds.state_dict(),
            "round_figures": self._round_figures,
            "rows": [dataclasses.asdict(row) for row in self._rows],
        }

    @property
    def _average_selects(self) -> bool:
        """Whether the validation score of the averaged network selects epochs (if it exists and is reported)."""
        return self._networks.average is not None and self.recipe.evaluate.network == "teacher"

    def _label_round(self, rounds: Rounds) -> None:
        middles = spread(self._clips["unlabelled_train"], self.recipe.clip, 1)
        confidence = self.recipe.ssl.pseudo.confidence
        self._round_figures = label_round(rounds, self._policy, self._evaluator, middles, self._networks, confidence)

    def _learn(self, epoch: int, since_start: int) -> tuple[EpochRow, float]:
        """Train for the steps of an epoch, and return the student's row and the clips per second."""
        ssl, method = self.recipe.ssl, self._learner.method
        weight = ramp_weight(ssl.ramp, since_start) if since_start >= 0 and method.labeller else 0.0
        steps = self._batches.epoch(
            epoch,
            moved_ids=None if self._rounds is None else self._rounds.accepted_ids,
            moved_labels=None if self._rounds is None else self._rounds.accepted_labels,
            unlabelled=weight > 0 and self._learner.uses_unlabelled,
        )
        tally = EpochTally(epoch, weight, ssl.pseudo.weight, penalised=self._policy.penalises)
        stats = PseudoStats(len(self.recipe.classes), self._device.torch)
        self._networks.student.train()
        started, clips = time.perf_counter(), 0
        for labelled, unlabelled in steps:
            tally.add(self._learner.step(labelled, unlabelled, weight, stats), labelled.labels_B)
            clips += len(labelled.labels_B) + (0 if unlabelled is None else len(unlabelled.ids_B))
        figures: dict[str, Any] = {"lr": float(self._optimizer.param_groups[0]["lr"]), **stats.read()}
        if method.pseudo and since_start >= 0:
            figures |= {"threshold": self._policy.threshold(), **self._round_figures}
        seconds = time.perf_counter() - started
        self._seen_clips, self._learning_s = self._seen_clips + clips, self._learning_s + seconds
        return tally.row(figures), clips / seconds
