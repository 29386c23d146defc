"""Where are a trial's checkpoints? On this machine while it trains, in the results folder for whoever goes on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agrm_study.records.location import Location

ROLLING: Final = "rolling.pt"
BEST: Final = "best.safetensors"


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """The checkpoint folder of one trial.

    Attributes:
        shared: ``checkpoints/<trial_id>`` in the results folder.
        local: Folder on this machine that the trainer writes to; the same one when the results are local.
    """

    shared: Location
    local: Path

    @classmethod
    def of(cls, results: str | Location, trial_id: str) -> CheckpointFolder:
        """The folder of a trial; it is not there before something is written to it."""
        root = Location.of(results)
        shared = root / "checkpoints" / trial_id
        if root.is_local:
            local = Path(shared.path)
        else:
            place = hashlib.sha256(root.path.encode()).hexdigest()[:12]
            local = Path(tempfile.gettempdir()) / f"agrm-study-{os.getuid()}" / place / trial_id
        return cls(shared, local)

    @property
    def _same(self) -> bool:
        return self.shared.is_local

    def pull(self) -> None:
        """Fetches the files of an earlier attempt to this machine."""
        if self._same:
            return
        self.local.mkdir(parents=True, exist_ok=True)
        for file in self.shared.children():
            content = file.read()
            if content is not None:
                (self.local / file.name).write_bytes(content)

    def push(self) -> None:
        """Brings this machine's files to where any machine can go on."""
        if self._same or not self.local.exists():
            return
        for file in self.local.iterdir():
            (self.shared / file.name).write_atomic(file.read_bytes())

    def discard(self) -> None:
        """Drops the rolling checkpoint: the next start begins from nothing."""
        (self.local / ROLLING).unlink(missing_ok=True)
        if not self._same:
            (self.shared / ROLLING).delete()

    def finish(self, *, keep_weights: bool) -> None:
        """Leaves nothing but the best weights, or nothing at all."""
        if not self.local.exists():
            return
        kept = keep_weights and (self.local / BEST).exists()
        if not kept:
            shutil.rmtree(self.local, ignore_errors=True)
            if not self._same:
                self.shared.delete_folder()
            return
        for file in self.local.iterdir():
            if file.name != BEST:
                with contextlib.suppress(OSError):
                    file.unlink()
        if not self._same:
            (self.shared / BEST).write_atomic((self.local / BEST).read_bytes())
            for remote in self.shared.children():
                if remote.name != BEST:
                    remote.delete()
            shutil.rmtree(self.local, ignore_errors=True)
