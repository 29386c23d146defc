"""Fixtures: a data set in memory and a recipe that trains quickly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agrm_study.study.labels import LABELS
from agrm_study.study.recipe import Recipe
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import Split


class MemoryStore:
    """Stands for a clip store: the same methods over arrays (T, 3, H, W)."""

    def __init__(self, clips: dict[str, np.ndarray]) -> None:
        self._clips = list(clips.values())
        self._row = {clip_id: row for row, clip_id in enumerate(clips)}
        self.gathers = 0

    def row(self, clip_id: str) -> int:
        return self._row[clip_id]

    def frames(self, row: int) -> int:
        return self._clips[row].shape[0]

    def height(self, row: int) -> int:
        return self._clips[row].shape[2]

    def width(self, row: int) -> int:
        return self._clips[row].shape[3]

    def gather(self, rows_B, frames_BT, tops_B, lefts_B, size: int) -> np.ndarray:
        self.gathers += 1
        windows = zip(rows_B, frames_BT, tops_B, lefts_B, strict=True)
        crops = [self._clips[row][frames][:, :, t : t + size, x : x + size] for row, frames, t, x in windows]
        return np.stack(crops)


@dataclass(frozen=True)
class TinyData:
    store: MemoryStore
    manifest: Manifest
    split: Split

    @property
    def arguments(self) -> dict[str, Any]:
        return {"store": self.store, "manifest": self.manifest, "split": self.split}


def record(clip_id: str, subject_id: str, **columns: Any) -> ClipRecord:
    plain = {"frames": 6, "fps": 12.5, "width": 28, "height": 30, "checksum": "0" * 64, "source": "spwvd"}
    return ClipRecord(subject_id=subject_id, clip_id=clip_id, path=Path(f"/{clip_id}.mp4"), **{**plain, **columns})


@pytest.fixture(scope="session")
def make_record() -> Callable[..., ClipRecord]:
    return record


@pytest.fixture(scope="session")
def make_store() -> Callable[[dict[str, np.ndarray]], MemoryStore]:
    return MemoryStore


@pytest.fixture(scope="session")
def tiny_data() -> TinyData:
    """24 labelled clips whose brightest channel is their class, 12 unlabelled ones that look alike."""
    rng = np.random.default_rng(0)
    clips: dict[str, np.ndarray] = {}
    records: list[ClipRecord] = []
    for index in range(36):
        label, clip_id = LABELS[index % 3], f"clip{index:02d}"
        frames = rng.integers(0, 120, (4 + index % 5, 3, 30, 28))
        frames[:, index % 3] += 60
        clips[clip_id] = frames.astype(np.uint8)
        known = {"label": label} if index < 24 else {"hidden_label": label, "source": "casia_b"}
        records.append(record(clip_id, f"child{index:02d}", **known))
    names = [clip.clip_id for clip in records]
    split = Split(
        train=tuple(names[:14]),
        val=tuple(names[14:19]),
        test=tuple(names[19:24]),
        unlabelled_train=tuple(names[24:33]),
        unlabelled_val=tuple(names[33:]),
        subject_of={clip.clip_id: clip.subject_id for clip in records},
    )
    return TinyData(MemoryStore(clips), Manifest(Path("/manifest.csv"), tuple(records)), split)


@pytest.fixture(scope="session")
def tiny_recipe() -> Callable[..., Recipe]:
    """The smallest recipe; settings by dotted name with two underscores for a dot: ``ssl__method="agrm"``."""

    def make(**settings: Any) -> Recipe:
        values: dict[str, Any] = {
            "epochs": 5,
            "clip": {"frames": 4, "resize": 28, "size": 24},
            "model": {"width": 4, "depth": 10, "pooling": {"bins": [[1, 1], [2, 1]]}},
            "ssl": {"pretrain_epochs": 1, "ramp": {"epochs": 2}, "threshold": {"tau": 0.4}, "ema": {"alpha": 0.5}},
            "batch": {"labelled": 6, "unlabelled": 4},
            "evaluate": {"clips": 2},
            "optimizer": {"lr": 0.01},
        }
        for name, value in settings.items():
            *sections, field = name.split("__")
            target = values
            for section in sections:
                target = target.setdefault(section, {})
            target[field] = value
        return Recipe.model_validate(values)

    return make
