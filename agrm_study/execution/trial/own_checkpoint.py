"""Checkpoints of user-defined trainers: a tar archive of the trainer's files, its epochs and its best state."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from agrm_study.study.temporary import replacing, temporary_folder
from agrm_study.training.failures import CheckpointError
from agrm_study.training.outcome import EpochRow

PROGRESS: Final = "progress.json"
STATE: Final = "state"
BEST_STATE: Final = "best.tar"

Save = Callable[[Path], None]
"""`Trainer.save`."""


@dataclasses.dataclass(frozen=True, slots=True)
class OwnCheckpoint:
    """Content of a checkpoint apart from the trainer's files.

    Attributes:
        epoch: Number of completed epochs.
        rows: Metrics of these epochs.
        best_state: Result of `packed_state` after the best epoch; empty if there is no early stopping.
        stage: Name of the stage that ends at this checkpoint; empty for the trial's own checkpoint.
    """

    epoch: int
    rows: tuple[EpochRow, ...]
    best_state: bytes
    stage: str = ""

    def write(self, file: Path, save: Save) -> None:
        """Replaces a checkpoint file atomically."""
        rows = [dataclasses.asdict(row) for row in self.rows]
        progress = {"epoch": self.epoch, "rows": rows, "stage": self.stage}
        content = packed_state(save, {PROGRESS: json.dumps(progress).encode(), BEST_STATE: self.best_state})
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            stream.write(content)

    @classmethod
    def read(cls, file: Path, folder: Path, stage: str = "") -> OwnCheckpoint:
        """Reads a checkpoint and extracts the trainer's files into the subfolder `STATE` of a folder.

        Args:
            file: The checkpoint file.
            folder: An empty folder.
            stage: Stage name that the checkpoint must have.

        Raises:
            CheckpointError: If the file is missing, damaged, or belongs to a different stage.
        """
        try:
            with tarfile.open(file) as archive:
                archive.extractall(folder, filter="data")
            progress = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
            rows = tuple(EpochRow(**row) for row in progress["rows"])
            best_state = (folder / BEST_STATE).read_bytes() if (folder / BEST_STATE).is_file() else b""
            found = cls(int(progress["epoch"]), rows, best_state, str(progress.get("stage", "")))
        except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(file, f"the checkpoint is damaged ({type(error).__name__}: {error})") from error
        if found.stage != stage:
            raise CheckpointError(file, f"the checkpoint belongs to the stage {found.stage!r}, not {stage!r}")
        return found


def packed_state(save: Save, beside: Mapping[str, bytes] = MappingProxyType({})) -> bytes:
    """A tar archive of the trainer's files and additional files."""
    with temporary_folder("saving") as folder:
        (folder / STATE).mkdir()
        save(folder / STATE)
        for name, written in beside.items():
            (folder / name).write_bytes(written)
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            for name in (*beside, STATE):
                archive.add(folder / name, name)
    return content.getvalue()


def unpack_state(content: bytes, folder: Path) -> Path:
    """Extracts an archive created by `packed_state` into a folder; returns the folder of the trainer's files."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder / STATE
