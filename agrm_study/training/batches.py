"""Batches of an epoch on the device, with order and views determined by the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agrm_study.study.recipe import Recipe
from agrm_study.training.augment.pixels import Renderer
from agrm_study.training.augment.views import View, draw_view
from agrm_study.training.clipset import ClipSet, Store
from agrm_study.training.device import Device
from agrm_study.training.generators import generator
from agrm_study.training.order import labelled_batches, unlabelled_batches
from agrm_study.training.prefetch import prefetched

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledBatch:
    """Labelled training clips.

    Attributes:
        clips_BCTHW: Views (B, 3, T, S, S).
        labels_B: Class indices.
    """

    clips_BCTHW: Tensor
    labels_B: Tensor

    def parts(self, count: int) -> Iterator[tuple[float, LabelledBatch]]:
        """Split the batch into up to `count` parts, and yield each part with its fraction of the clips."""
        size = len(self.labels_B)
        for clips, labels in zip(self.clips_BCTHW.chunk(count), self.labels_B.chunk(count), strict=True):
            yield len(labels) / size, LabelledBatch(clips, labels)


@dataclass(frozen=True, slots=True)
class UnlabelledBatch:
    """Views of the same unlabelled clips.

    Attributes:
        student_BCTHW: View for the student.
        label_BCTHW: View for the labelling network; None for methods that label the student's view.
        ids_B: Indices of the clips in the unlabelled part.
        hidden_B: Hidden class indices, −1 if unknown; used only for statistics, never in a loss.
        second_BCTHW: Second view for the student (`ssl.views: 2`), or None.
    """

    student_BCTHW: Tensor
    label_BCTHW: Tensor | None
    ids_B: Tensor
    hidden_B: Tensor
    second_BCTHW: Tensor | None = None

    @property
    def student_views(self) -> list[Tensor]:
        """The one or two views for the student, each (B, 3, T, S, S)."""
        return [self.student_BCTHW] if self.second_BCTHW is None else [self.student_BCTHW, self.second_BCTHW]

    def parts(self, count: int) -> Iterator[tuple[float, UnlabelledBatch]]:
        """Split the batch into up to `count` parts, and yield each part with its fraction of the clips."""
        size = len(self.ids_B)
        students, ids, hidden = self.student_BCTHW.chunk(count), self.ids_B.chunk(count), self.hidden_B.chunk(count)
        labels = [None] * len(ids) if self.label_BCTHW is None else self.label_BCTHW.chunk(count)
        seconds = [None] * len(ids) if self.second_BCTHW is None else self.second_BCTHW.chunk(count)
        for part in zip(students, labels, ids, hidden, seconds, strict=True):
            yield len(part[2]) / size, UnlabelledBatch(*part)


Step = tuple[LabelledBatch, UnlabelledBatch | None]


_VIEWS = (("student", "student view"), ("teacher", "label view"), ("student", "second student view"))
"""Views of unlabelled clips: the branch that determines the strength, and the purpose of the random stream."""


@dataclass(frozen=True, slots=True)
class _Bytes:
    """A view, read but not rendered."""

    clips_BTCHW: Tensor
    view: View


@dataclass(frozen=True, slots=True)
class _Read:
    """Data of one step, read but not rendered."""

    labelled: _Bytes
    labels_B: Ints
    student: _Bytes | None = None
    label: _Bytes | None = None
    ids_B: Ints | None = None
    second: _Bytes | None = None


class Batches:
    """Generates the batches of an epoch.

    Args:
        recipe: Batch sizes, clip, augmentation and seed.
        store: Clip store.
        labelled: Labelled training clips.
        unlabelled: Unlabelled training clips; may be empty.
        renderer: Renders views.
        device: Device of the batches.
        label_view: Whether the method needs a second view of unlabelled clips.
        ahead: Number of steps that a thread reads in advance; does not affect the results.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        store: Store,
        labelled: ClipSet,
        unlabelled: ClipSet,
        renderer: Renderer,
        device: Device,
        label_view: bool,
        ahead: int = 0,
    ) -> None:
        self._recipe, self._store, self._renderer, self._device = recipe, store, renderer, device
        self._labelled, self._unlabelled = labelled, unlabelled
        self._label_view, self._ahead = label_view, ahead

    def epoch(
        self, epoch: int, *, moved_ids: Ints | None = None, moved_labels: Ints | None = None, unlabelled: bool
    ) -> Iterator[Step]:
        """Yield the labelled and the unlabelled batch of each step of an epoch.

        Args:
            epoch: Epoch number, counted from 1.
            moved_ids: Indices of the unlabelled clips that have been moved to the supervised set.
            moved_labels: Labels of the moved clips.
            unlabelled: Whether to include unlabelled batches (with clips that have not been moved).
        """
        labelled = self._labelled
        open_ids = np.arange(len(self._unlabelled), dtype=np.int64)
        if moved_ids is not None and moved_labels is not None and len(moved_ids):
            labelled = labelled.with_moved(self._unlabelled, moved_ids, moved_labels)
            open_ids = np.setdiff1d(open_ids, moved_ids)
        reader = self._read(epoch, labelled, open_ids if unlabelled else open_ids[:0])
        for read in prefetched(reader, self._ahead):
            batch = LabelledBatch(self._render(read.labelled), self._device.upload(read.labels_B))
            if read.student is None or read.ids_B is None:
                yield batch, None
                continue
            yield (
                batch,
                UnlabelledBatch(
                    self._render(read.student),
                    None if read.label is None else self._render(read.label),
                    self._device.upload(read.ids_B),
                    self._device.upload(self._unlabelled.labels_N[read.ids_B]),
                    None if read.second is None else self._render(read.second),
                ),
            )

    def _read(self, epoch: int, labelled: ClipSet, open_ids: Ints) -> Iterator[_Read]:
        recipe, clip, augment = self._recipe, self._recipe.clip, self._recipe.augment
        fixed = recipe.steps_per_epoch
        orders = labelled_batches(recipe.seed, epoch, len(labelled), recipe.batch.labelled, fixed)
        if fixed is not None:  # a clip that occurs several times has a separate view each time
            labelled = labelled.take(np.concatenate(orders))
            orders = list(np.arange(len(labelled), dtype=np.int64).reshape(fixed, -1))
        settings = augment.strong if augment.labelled == "strong" else augment.weak
        windows_N = generator(recipe.seed, "labelled window", epoch).random(len(labelled))
        rng = generator(recipe.seed, "labelled view", epoch)
        view = draw_view(settings, rng, windows_N, labelled.geometry(clip.frames, clip.size))
        if not len(open_ids):
            for rows in orders:
                yield _Read(self._bytes(labelled, rows, view.take(rows)), labelled.labels_N[rows])
            return

        ids = unlabelled_batches(
            recipe.seed, epoch, len(self._unlabelled), open_ids, recipe.batch.unlabelled, len(orders)
        )
        shown = self._unlabelled.take(np.concatenate(ids))
        geometry = shown.geometry(clip.frames, clip.size)
        windows_N = generator(recipe.seed, "unlabelled window", epoch).random(len(shown))
        views: list[View] = []
        for branch, purpose in _VIEWS[: recipe.ssl.views + 1]:
            strong = augment.strong_branch in (branch, "both")
            rng = generator(recipe.seed, purpose, epoch)
            views.append(draw_view(augment.strong if strong else augment.weak, rng, windows_N, geometry))
        first = 0
        for rows, ids_B in zip(orders, ids, strict=True):
            places = np.arange(first, first + len(ids_B))
            first += len(ids_B)
            yield _Read(
                self._bytes(labelled, rows, view.take(rows)),
                labelled.labels_N[rows],
                self._bytes(shown, places, views[0].take(places)),
                self._bytes(shown, places, views[1].take(places)) if self._label_view else None,
                ids_B,
                self._bytes(shown, places, views[2].take(places)) if len(views) > 2 else None,
            )

    def _bytes(self, clips: ClipSet, rows: Ints, view: View) -> _Bytes:
        crops = self._store.gather(
            clips.rows_N[rows], view.frames_NT, view.tops_N, view.lefts_N, self._recipe.clip.size
        )
        tensor = torch.from_numpy(crops)
        return _Bytes(tensor.pin_memory() if self._device.is_cuda else tensor, view)

    def _render(self, read: _Bytes) -> Tensor:
        return self._renderer(self._device.upload(read.clips_BTCHW), read.view)
