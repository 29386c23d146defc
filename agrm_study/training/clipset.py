"""Which clips does a part of the split hold? As arrays that batches index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.errors import InputError
from agrm_study.study.labels import class_index
from agrm_study.study.recipe import Recipe
from agrm_study.training.augment.views import Geometry
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import PARTS, Part, Split

Ints = NDArray[np.int64]


class Store(Protocol):
    """What the trainer asks of a clip store."""

    def row(self, clip_id: str) -> int:
        """Row of a clip."""
        ...

    def frames(self, row: int) -> int:
        """Stored frames of a row."""
        ...

    def height(self, row: int) -> int:
        """Pixels of a stored frame."""
        ...

    def width(self, row: int) -> int:
        """Pixels of a stored frame."""
        ...

    def gather(self, rows_B: Ints, frames_BT: Ints, tops_B: Ints, lefts_B: Ints, size: int) -> NDArray[np.uint8]:
        """Crops (B, T, 3, size, size); the result is the caller's to change."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSet:
    """N clips.

    Attributes:
        clip_ids, subject_ids: Names.
        rows_N: Rows of the store.
        lengths_N, heights_N, widths_N: Stored frames and their sides in pixels.
        labels_N: Class indices of the task: of the label, or of the hidden label of an unlabelled clip; −1 for unknown.
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
        """What views of these clips are cut from, for clips of T frames and crops of `size` pixels."""
        return Geometry(
            lengths_N=self.lengths_N, heights_N=self.heights_N, widths_N=self.widths_N, frames=frames, size=size
        )

    def take(self, rows: Ints) -> ClipSet:
        """Some of the clips, in the order asked for."""
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
        """These clips followed by some of another set's, which carry the labels given."""
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


def clip_set(clip_ids: Sequence[str], manifest: Manifest, store: Store, task: str) -> ClipSet:
    """The clips of a part, in the split's order.

    Raises:
        KeyError: For a clip that the manifest or the store does not hold.
    """
    clips = [manifest.by_id[clip_id] for clip_id in clip_ids]
    rows = [store.row(clip_id) for clip_id in clip_ids]
    known = [clip.label if clip.label is not None else clip.hidden_label for clip in clips]
    return ClipSet(
        clip_ids=tuple(clip_ids),
        subject_ids=tuple(clip.subject_id for clip in clips),
        rows_N=np.array(rows, dtype=np.int64),
        lengths_N=np.array([store.frames(row) for row in rows], dtype=np.int64),
        heights_N=np.array([store.height(row) for row in rows], dtype=np.int64),
        widths_N=np.array([store.width(row) for row in rows], dtype=np.int64),
        labels_N=np.array([-1 if label is None else class_index(label, task) for label in known], dtype=np.int64),
    )


def clips_of_parts(
    recipe: Recipe, manifest: Manifest, store: Store, split: Split, *, needs_test: bool
) -> dict[Part, ClipSet]:
    """The clips of every part.

    Raises:
        InputError: When a part is empty that the recipe cannot do without.
    """
    parts = {part: clip_set(split.clips(part), manifest, store, recipe.task) for part in PARTS}
    needed: tuple[Part, ...] = ("train", "val", "test") if needs_test else ("train", "val")
    for part in needed:
        if not len(parts[part]):
            raise InputError(
                f"the {part} part needs at least one labelled clip",
                field=f"data.split.{part}",
                hint="Use more subjects, or a larger share.",
            )
    if recipe.uses_unlabelled and not len(parts["unlabelled_train"]):
        raise InputError(
            f"the method `{recipe.ssl.method}` learns from unlabelled clips, and the training part has none",
            field="data.unlabelled_train",
            hint="Add unlabelled clips, or use `ssl.method: supervised`.",
        )
    return parts
