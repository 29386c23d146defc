"""Training steps of a recipe on random clips, for measurements without data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from agrm_study.study.recipe import Recipe
from agrm_study.training.augment.pixels import Renderer
from agrm_study.training.batches import Batches, LabelledBatch, UnlabelledBatch
from agrm_study.training.clipset import ClipSet, Ints
from agrm_study.training.device import Device
from agrm_study.training.models.build import build_model
from agrm_study.training.models.layers import parameter_groups
from agrm_study.training.schedule import build_optimizer
from agrm_study.training.ssl.losses import build_loss
from agrm_study.training.ssl.networks import Networks
from agrm_study.training.ssl.pseudo import PseudoStats
from agrm_study.training.ssl.step import Learner
from agrm_study.training.ssl.thresholds import build_policy


class Rehearsal:
    """Networks, optimizer and batches of a recipe, with random clips instead of real data.

    Call its methods within ``device.session(1)``.

    Args:
        recipe: All settings of the trial.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        compiled: Whether the student may be compiled, if the recipe requests it.

    Attributes:
        device: The device.
        student: The student.

    Raises:
        InputError: If recipe and device are incompatible.
    """

    def __init__(self, recipe: Recipe, device: str, *, compiled: bool = False) -> None:
        self._recipe = recipe
        self.device = place = Device(device, recipe)
        classes = recipe.classes
        loss = build_loss(recipe.loss, classes, [1] * len(classes), order=recipe.task.order)
        clip, batch = recipe.clip, recipe.batch
        self.student = build_model(
            recipe.model, n_outputs=loss.n_outputs(len(classes)), frames=clip.frames, size=clip.size, seed=recipe.seed
        )
        place.place(self.student)
        if compiled:
            place.compile(self.student)
        networks = Networks.of(recipe, self.student, place)
        if recipe.has_teacher:
            networks.start_teacher()
        self._learner = Learner(
            recipe,
            networks=networks,
            optimizer=build_optimizer(
                recipe.optimizer,
                parameter_groups(self.student, lr=recipe.optimizer.lr, layer_decay=recipe.optimizer.layer_decay),
            ),
            loss=loss,
            policy=build_policy(recipe.ssl.threshold, len(classes), max(1, batch.unlabelled)),
            device=place,
        )
        self._batches = Batches(
            recipe,
            store=_RandomClips(),
            labelled=_clips(batch.labelled, len(classes), 2 * clip.frames, clip.size + 8),
            unlabelled=_clips(batch.unlabelled, len(classes), 2 * clip.frames, clip.size + 8),
            renderer=Renderer(recipe.seed, clip.size, place.torch, noise=recipe.augment.strong.noise > 0),
            device=place,
            label_view=self._learner.method.label_view,
        )
        self._steps = {True: self._endless(True), False: self._endless(False)}
        self._stats = PseudoStats(len(classes), place.torch)

    def step(self, *, unlabelled: bool) -> None:
        """Run one training step, including the rendering of the clips.

        Args:
            unlabelled: Whether to include unlabelled clips, as after pre-training; requires a method that uses them.
        """
        self.student.train()
        labelled_batch, unlabelled_batch = next(self._steps[unlabelled])
        self._learner.step(labelled_batch, unlabelled_batch, 1.0 if unlabelled else 0.0, self._stats)

    def evaluate(self) -> None:
        """Run the student on one evaluation batch."""
        clip = self._recipe.clip
        self.student.eval()
        with torch.no_grad(), self.device.autocast():
            windows = self._recipe.evaluate.batch, 3, clip.frames, clip.size, clip.size
            self.student(torch.zeros(windows, device=self.device.torch))

    def _endless(self, unlabelled: bool) -> Iterator[tuple[LabelledBatch, UnlabelledBatch | None]]:
        epoch = 0
        while True:
            epoch += 1
            yield from self._batches.epoch(epoch, unlabelled=unlabelled)


class _RandomClips:
    """A replacement for a clip store that returns the same random clip for every row."""

    def row(self, clip_id: str) -> int:
        return 0

    def frames(self, row: int) -> int:
        return 1

    def height(self, row: int) -> int:
        return 1

    def width(self, row: int) -> int:
        return 1

    def gather(self, rows_B: Ints, frames_BT: Ints, tops_B: Ints, lefts_B: Ints, size: int) -> NDArray[np.uint8]:
        clip = np.random.default_rng(0).integers(0, 256, (frames_BT.shape[1], 3, size, size), dtype=np.uint8)
        return np.repeat(clip[None], len(rows_B), axis=0)


def _clips(count: int, classes: int, frames: int, side: int) -> ClipSet:
    """Clips of equal length and size whose labels cycle through all classes."""
    names = tuple(f"clip{index}" for index in range(count))
    return ClipSet(
        clip_ids=names,
        subject_ids=names,
        rows_N=np.arange(count),
        lengths_N=np.full(count, frames),
        heights_N=np.full(count, side),
        widths_N=np.full(count, side),
        labels_N=np.arange(count) % classes,
    )
