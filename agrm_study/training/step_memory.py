"""How much memory of a GPU does a training step take?

One step of a recipe is made on random clips, without its data: the network, the optimizer's state, the teacher, the
largest batch of the evaluation. What is asked of CUDA is asked through a `Gauge`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
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
from agrm_study.training.schedule import build_optimizer
from agrm_study.training.ssl.losses import build_loss
from agrm_study.training.ssl.networks import Networks
from agrm_study.training.ssl.pseudo import PseudoStats
from agrm_study.training.ssl.step import Learner
from agrm_study.training.ssl.thresholds import build_policy

STEPS = 2
"""The optimizer's state is there from the second step on."""


class Gauge(ABC):
    """The memory of one GPU, in bytes."""

    @abstractmethod
    def begin(self) -> None:
        """Peaks count from here; memory that nobody holds is given back first."""

    @abstractmethod
    def peak(self) -> int:
        """Most that tensors and torch's cache held at once since `begin`."""

    @abstractmethod
    def outside(self) -> int:
        """What is taken beside torch's memory: the CUDA context with its kernels, and whatever else is on the GPU."""

    @abstractmethod
    def total(self) -> int:
        """All memory of the GPU."""


class CudaGauge(Gauge):
    """The memory of the current CUDA device."""

    def begin(self) -> None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int:
        return torch.cuda.max_memory_reserved()

    def outside(self) -> int:
        free, total = torch.cuda.mem_get_info()
        return max(0, total - free - torch.cuda.memory_reserved())

    def total(self) -> int:
        return torch.cuda.mem_get_info()[1]


class _RandomClips:
    """One random clip in the place of a clip store."""

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


def step_bytes(recipe: Recipe, device: str, gauge: Gauge) -> int:
    """Memory that a trial of a recipe needs: the peak of its steps and of its evaluation, and the CUDA context.

    Raises:
        DeviceMemoryError: When the GPU is too small for one.
        InputError: When recipe and device do not go together.
    """
    gauge.begin()
    place = Device(device, recipe)
    classes = recipe.classes
    loss = build_loss(recipe.loss, classes, [1] * len(classes))
    clip, batch = recipe.clip, recipe.batch
    student = build_model(
        recipe.model, n_outputs=loss.n_outputs(len(classes)), frames=clip.frames, size=clip.size, seed=recipe.seed
    )
    place.place(student)
    networks = Networks(student, recipe.ssl.ema, place)
    if recipe.has_teacher:
        networks.start_teacher()
    learner = Learner(
        recipe,
        networks=networks,
        optimizer=build_optimizer(recipe.optimizer, list(student.parameters())),
        loss=loss,
        policy=build_policy(recipe.ssl.threshold, len(classes), max(1, batch.unlabelled)),
        device=place,
    )
    renderer = Renderer(recipe.seed, clip.size, place.torch, noise=recipe.augment.strong.noise > 0)
    batches = Batches(
        recipe,
        store=_RandomClips(),
        labelled=_clips(batch.labelled, len(classes), 2 * clip.frames, clip.size + 8),
        unlabelled=_clips(batch.unlabelled, len(classes), 2 * clip.frames, clip.size + 8),
        renderer=renderer,
        device=place,
        label_view=learner.method.label_view,
    )
    stats = PseudoStats(len(classes), place.torch)
    with place.session(1):
        student.train()
        for _, (labelled, unlabelled) in zip(range(STEPS), _steps(batches, recipe), strict=False):
            learner.step(labelled, unlabelled, 1.0, stats)
        student.eval()
        with torch.no_grad(), place.autocast():
            student(torch.zeros(recipe.evaluate.batch, 3, clip.frames, clip.size, clip.size, device=place.torch))
    return gauge.peak() + gauge.outside()


def _steps(batches: Batches, recipe: Recipe) -> Iterator[tuple[LabelledBatch, UnlabelledBatch | None]]:
    epoch = 0
    while True:
        epoch += 1
        yield from batches.epoch(epoch, unlabelled=recipe.uses_unlabelled)


def _clips(count: int, classes: int, frames: int, side: int) -> ClipSet:
    """Clips of one length and size, all classes among them."""
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
