"""Store of the training states at the end of stages that several trials share.

``stages/<key>/`` in the results folder contains a checkpoint and ``stage.json``, which is written last: a stage exists
if and only if that file exists.
"""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from agrm_study.execution.trial.runner import TrialRunner
from agrm_study.execution.trial.work import Work
from agrm_study.records.location import Location
from agrm_study.records.parsing import Count, Seconds, read_typed
from agrm_study.records.patience import retry_storage
from agrm_study.study.temporary import OWNER, folder_in, temporary_folder
from agrm_study.training.failures import CheckpointError

FOLDER: Final = "stages"
FACTS: Final = "stage.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFacts:
    """Information about a saved state.

    Attributes:
        epoch: Number of completed epochs; less than the last epoch of the stage if training stopped early.
        wall_s: Seconds of training up to this state.
    """

    key: str
    epoch: Count
    wall_s: Seconds
    code_version: str


@dataclass(frozen=True, slots=True)
class StageStore:
    """The stages of a results folder, in its subfolder ``stages``."""

    root: Location

    @classmethod
    def of(cls, results: Location) -> StageStore:
        """The store of a results folder."""
        return cls(results / FOLDER)

    def find(self, key: str) -> StageFacts | None:
        """Information about a stage; ``None`` if it does not exist."""
        facts = read_typed(StageFacts, self.root / key / FACTS)
        return facts if facts is not None and facts.key == key else None

    def exists(self, key: str) -> bool:
        """Whether a stage exists."""
        return (self.root / key / FACTS).exists()

    def look(self, code_version: str) -> dict[str, StageFacts]:
        """The existing stages that were saved by this version of the code, by key."""
        found = {folder.name: self.find(folder.name) for folder in self.root.children()}
        return {name: facts for name, facts in found.items() if facts and facts.code_version == code_version}

    def take_stock(self, code_version: str) -> dict[str, StageFacts]:
        """Like `look`; also removes stages that are unfinished, unreadable or saved by a different code version."""
        found = self.look(code_version)
        for folder in self.root.children():
            if folder.name not in found:
                self.drop(folder.name)
        return found

    def put(self, facts: StageFacts, write: Callable[[Path], None]) -> None:
        """Saves a stage atomically, with the files that `write` writes to a local folder; an existing stage is kept.

        Raises:
            OSError: If storage rejects the write; no partial files remain.
        """
        text = json.dumps(asdict(facts)).encode()
        if not self.root.is_local:
            with temporary_folder("stage") as folder:
                write(folder)
                (self.root / facts.key).mark()
                for file in sorted(folder.iterdir()):
                    if file.name != OWNER:
                        (self.root / facts.key / file.name).write_atomic(file.read_bytes())
            (self.root / facts.key / FACTS).write_atomic(text)
            return
        place = Path(self.root.path)
        place.mkdir(parents=True, exist_ok=True)
        with folder_in(place, facts.key) as unfinished:
            write(unfinished)
            (unfinished / FACTS).write_bytes(text)
            self._move(unfinished, facts.key)
        (place / facts.key / OWNER).unlink(missing_ok=True)

    def _move(self, unfinished: Path, key: str) -> None:
        place = Path((self.root / key).path)
        for again in (False, True):
            try:
                unfinished.rename(place)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or again:
                    raise
                if self.exists(key):
                    return
                shutil.rmtree(place, ignore_errors=True)  # a partially removed stage

    @contextlib.contextmanager
    def opened(self, key: str) -> Iterator[Path]:
        """A folder on this machine with the files of a stage, for the duration of the block."""
        if self.root.is_local:
            yield Path((self.root / key).path)
            return
        with temporary_folder("stage") as folder:
            for file in (self.root / key).children():
                content = file.read()
                if content is not None:
                    (folder / file.name).write_bytes(content)
            yield folder

    def drop(self, key: str) -> None:
        """Removes a stage; files that cannot be removed now are removed by the next `take_stock`."""
        with contextlib.suppress(OSError):
            (self.root / key / FACTS).delete()
            (self.root / key).delete_folder()
        if self.root.is_local:
            with contextlib.suppress(OSError):
                Path(self.root.path).rmdir()  # if this was the last stage


@dataclass(frozen=True, slots=True)
class Handover:
    """The stages of a running trial.

    Attributes:
        work: The trial; its `stages` are the stages that it may inherit or save.
        code_version: Version of the code that runs it; a trial uses a single version.
        check: Called before a stage is saved; may raise.
    """

    store: StageStore
    work: Work
    runner: TrialRunner
    code_version: str
    check: Callable[[], None]

    def load(self, done: int) -> StageFacts | None:
        """Resumes the trial from the longest saved stage that extends beyond its completed epochs.

        A stage that cannot be read is removed, and the next shorter stage is tried.
        """
        for end in reversed(self.work.stages):
            facts = retry_storage(partial(self.store.find, end.key))
            if facts is None or facts.code_version != self.code_version or facts.epoch <= done:
                continue
            if retry_storage(partial(self._read, end.key)):
                return facts
            self.store.drop(end.key)
        return None

    def _read(self, key: str) -> bool:
        """Loads a stage; returns whether that succeeded."""
        try:
            with self.store.opened(key) as folder:
                return self.runner.load_stage(folder, key) > 0
        except CheckpointError:
            return False

    def save(self, epoch: int, wall_s: float, *, over: bool) -> tuple[str, str]:
        """Saves the trial's state if one of its stages ends at this epoch.

        If training stops early, it does so in every trial that shares the current stage, so the last state is the end
        state of that stage.

        Returns:
            The stage whose state was saved, and the reason why the state could not be saved; each is empty otherwise.
        """
        end = next((end for end in self.work.stages if end.last >= epoch), None)
        if end is None or (epoch < end.last and not over):
            return "", ""
        self.check()
        facts = StageFacts(key=end.key, epoch=epoch, wall_s=wall_s, code_version=self.code_version)
        try:
            if not self.store.exists(end.key):
                retry_storage(lambda: self.store.put(facts, lambda folder: self.runner.save_stage(folder, end.key)))
        except Exception as error:  # costs other trials some epochs and is reported; this trial is unaffected
            return "", f"{type(error).__name__}: {error}"
        return end.key, ""
