"""Clips of one part of the split, as arrays from which batches are selected by index."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe
from agrm_study.study.tasks import Task
from agrm_study.training.augment.views import Geometry
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import PARTS, Part, Split
from agrm_study.training.generators import generator

Ints = NDArray[np.int64]


class Store(Protocol):
    """The part of a clip store's interface that is used by the trainer."""

    def row(self, clip_id: str) -> int:
        """Row of a clip."""
        ...

    def frames(self, row: int) -> int:
        """Number of stored frames in a row."""
        ...

    def height(self, row: int) -> int:
        """Height of a stored frame, in pixels."""
        ...

    def width(self, row: int) -> int:
        """Width of a stored frame, in pixels."""
        ...

    def gather(self, rows_B: Ints, frames_BT: Ints, tops_B: Ints, lefts_B: Ints, size: int) -> NDArray[np.uint8]:
        """Crops (B, T, 3, size, size) in a new array that the caller may modify."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSet:
    """A set of N clips.

    Attributes:
        clip_ids, subject_ids: Ids of the clips and their subjects.
        rows_N: Row of each clip in the store.
        lengths_N, heights_N, widths_N: Number of stored frames, and their height and width in pixels.
        labels_N: Class indices of the task, from the label or the hidden label; −1 if unknown.
    """

    clip_ids: tuple[str, ...]
    subject_ids: tuple[str, ...]
    rows_N: Ints
    lengths_N: Ints
    heights_N: Ints
    widths_N: Ints
    labels_N: Ints

    def __len__(self) -> int:
        return len(self.clip_ids)

    def geometry(self, frames: int, size: int) -> Geometry:
        """Geometry for views of these clips with `frames` frames and crops of `size` pixels."""
        return Geometry(
            lengths_N=self.lengths_N, heights_N=self.heights_N, widths_N=self.widths_N, frames=frames, size=size
        )

    def take(self, rows: Ints) -> ClipSet:
        """The given rows, in the given order."""
        return ClipSet(
            clip_ids=tuple(self.clip_ids[row] for row in rows),
            subject_ids=tuple(self.subject_ids[row] for row in rows),
            rows_N=self.rows_N[rows],
            lengths_N=self.lengths_N[rows],
            heights_N=self.heights_N[rows],
            widths_N=self.widths_N[rows],
            labels_N=self.labels_N[rows],
        )

    def with_moved(self, others: ClipSet, rows: Ints, labels: Ints) -> ClipSet:
        """These clips, followed by the given rows of a second set with new labels."""
        moved = others.take(rows)
        return ClipSet(
            clip_ids=self.clip_ids + moved.clip_ids,
            subject_ids=self.subject_ids + moved.subject_ids,
            rows_N=np.concatenate([self.rows_N, moved.rows_N]),
            lengths_N=np.concatenate([self.lengths_N, moved.lengths_N]),
            heights_N=np.concatenate([self.heights_N, moved.heights_N]),
            widths_N=np.concatenate([self.widths_N, moved.widths_N]),
            labels_N=np.concatenate([self.labels_N, labels.astype(np.int64)]),
        )


def clip_set(clip_ids: Sequence[str], manifest: Manifest, store: Store, task: Task) -> ClipSet:
    """The given clips, in order, except clips whose label is ignored by the task.

    Raises:
        KeyError: If the manifest or the store does not contain a clip.
    """
    clips = [clip for clip in map(manifest.by_id.__getitem__, clip_ids) if clip.label is None or task.has(clip.label)]
    rows = [store.row(clip.clip_id) for clip in clips]
    known = [task.class_index(clip.label if clip.label is not None else clip.hidden_label) for clip in clips]
    return ClipSet(
        clip_ids=tuple(clip.clip_id for clip in clips),
        subject_ids=tuple(clip.subject_id for clip in clips),
        rows_N=np.array(rows, dtype=np.int64),
        lengths_N=np.array([store.frames(row) for row in rows], dtype=np.int64),
        heights_N=np.array([store.height(row) for row in rows], dtype=np.int64),
        widths_N=np.array([store.width(row) for row in rows], dtype=np.int64),
        labels_N=np.array([-1 if index is None else index for index in known], dtype=np.int64),
    )


def with_shuffled_labels(clips: ClipSet, rng: np.random.Generator) -> ClipSet:
    """The clips with labels permuted across subjects; all clips of a subject share the same label."""
    label_of = dict(zip(clips.subject_ids, clips.labels_N.tolist(), strict=True))
    shuffled = rng.permutation(list(label_of.values()))
    moved = dict(zip(label_of, shuffled.tolist(), strict=True))
    labels_N = np.array([moved[subject] for subject in clips.subject_ids], dtype=np.int64)
    return dataclasses.replace(clips, labels_N=labels_N)


def clips_of_parts(
    recipe: Recipe, manifest: Manifest, store: Store, split: Split, *, needs_test: bool
) -> dict[Part, ClipSet]:
    """The clips of each part.

    Raises:
        InputError: If a part that the recipe requires is empty.
    """
    parts = {part: clip_set(split.clips(part), manifest, store, recipe.task) for part in PARTS}
    if recipe.shuffle_labels:
        parts["train"] = with_shuffled_labels(parts["train"], generator(recipe.split_seed, "shuffled labels"))
    needed: tuple[Part, ...] = ("train", "val", "test") if needs_test else ("train", "val")
    for part in needed:
        if not len(parts[part]):
            raise InputError(
                f"the {part} part requires at least one labelled clip",
                field=f"data.split.{part}",
                hint="Use more subjects, or a larger share for this part.",
            )
    if recipe.uses_unlabelled and not len(parts["unlabelled_train"]):
        raise InputError(
            f"the method `{recipe.ssl.method}` requires unlabelled clips; the training part has none",
            field="data.unlabelled_train",
            hint="Add unlabelled clips, or use `ssl.method: supervised`.",
        )
    return parts
