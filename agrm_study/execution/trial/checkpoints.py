"""Checkpoint folders of trials: on this machine during training, and in the results folder for the next attempt."""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agrm_study.records.integrity import WEIGHTS, weights_digest
from agrm_study.records.location import Location
from agrm_study.study.temporary import temporary_folder

ROLLING: Final = "rolling.pt"
BEST: Final = WEIGHTS
NEXT_BEST: Final = "best.next.safetensors"
"""Temporary name of the best weights; the trainer looks for them under both names."""


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """The checkpoint folder of one trial.

    Attributes:
        shared: ``checkpoints/<trial_id>`` in the results folder.
        local: Folder on this machine that the trainer writes to; the same as `shared` if the results are local.
    """

    shared: Location
    local: Path
    _pushed: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, results: str | Location, trial_id: str) -> CheckpointFolder:
        """The folder of a trial; it is created on the first write."""
        root = Location.of(results)
        shared = root / "checkpoints" / trial_id
        if root.is_local:
            local = Path(shared.path)
        else:
            local = process_folder() / hashlib.sha256(root.address.encode()).hexdigest()[:12] / trial_id
        return cls(shared, local)

    def pull(self) -> None:
        """Downloads the files of an earlier attempt to this machine, replacing leftover local files."""
        if self.shared.is_local:
            return
        shutil.rmtree(self.local, ignore_errors=True)
        self.local.mkdir(parents=True, exist_ok=True)
        for file in self.shared.children():
            content = file.read()
            if content is not None:
                (self.local / file.name).write_bytes(content)

    def save(self, write: Callable[[], None]) -> None:
        """Calls `write`, which writes to the local folder, then uploads the folder so that any machine can resume.

        Raises:
            OSError: If storage rejects the write or is unavailable; a missing results folder is not recreated.
        """
        self.shared.require_anchor()
        write()
        self.push()

    def push(self) -> None:
        """Uploads files that have changed, so that any machine can resume.

        New best weights are uploaded first, under a temporary name, and replace the old weights once the rolling
        checkpoint that refers to them is stored, so that the files are consistent even if the upload is interrupted.
        """
        if self.shared.is_local or not self.local.exists():
            return
        changed = [name for name in (BEST, ROLLING) if self._has_changed(name)]
        if BEST in changed:
            self._put(BEST, NEXT_BEST)
        if ROLLING in changed:
            self._put(ROLLING, ROLLING)
        if BEST in changed:
            self.shared.filesystem.move((self.shared / NEXT_BEST).path, (self.shared / BEST).path)
        for name in changed:
            self._pushed[name] = _stamp(self.local / name)

    def _has_changed(self, name: str) -> bool:
        file = self.local / name
        return file.exists() and self._pushed.get(name) != _stamp(file)

    def _put(self, name: str, there: str) -> None:
        (self.shared / there).write_atomic((self.local / name).read_bytes())

    def weights_digest(self) -> str | None:
        """The digest of the best weights; ``None`` if there are none."""
        file = self.local / BEST
        return weights_digest(file.read_bytes()) if file.exists() else None

    def discard(self) -> None:
        """Removes the rolling checkpoint; the next attempt starts from scratch."""
        (self.local / ROLLING).unlink(missing_ok=True)
        if not self.shared.is_local:
            (self.shared / ROLLING).delete()

    def finish(self, *, keep_weights: bool) -> None:
        """Removes all files, except the best weights if `keep_weights` is set."""
        if keep_weights and not self.local.exists():
            return
        kept = keep_weights and (self.local / BEST).exists()
        if not kept:
            shutil.rmtree(self.local, ignore_errors=True)
            if not self.shared.is_local:
                self.shared.delete_folder()
            return
        for file in self.local.iterdir():
            if file.name != BEST:
                with contextlib.suppress(OSError):
                    file.unlink()
        if not self.shared.is_local:
            if self._has_changed(BEST):
                self._put(BEST, BEST)
            for remote in self.shared.children():
                if remote.name != BEST:
                    remote.delete()
            shutil.rmtree(self.local, ignore_errors=True)


@functools.cache
def process_folder() -> Path:
    """This process's folder for checkpoints of trials with results in an object store; removed at process exit."""
    stack = contextlib.ExitStack()
    folder = stack.enter_context(temporary_folder("checkpoints"))
    atexit.register(stack.close)
    return folder


def _stamp(file: Path) -> tuple[int, int]:
    """A stamp that changes whenever the file is replaced."""
    found = file.stat()
    return found.st_ino, found.st_mtime_ns
