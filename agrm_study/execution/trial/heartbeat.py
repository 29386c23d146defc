"""Heartbeats of unfinished trials: small files in ``.run/heartbeats`` for `status` and for the next attempt."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Final

from agrm_study.records.location import Location
from agrm_study.records.parsing import Count, Seconds, read_typed

FOLDER: Final = ".run/heartbeats"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Progress of an unfinished trial; times are Unix times.

    Attributes:
        attempt: Number of this attempt, starting at 1.
        started_at: Start of the first attempt whose work is still part of the trial.
        saved_wall_s: Seconds of training contained in the rolling checkpoint.
        code_version: Version of the code that wrote the checkpoint.
        versions: Versions with which the trial was trained so far, by package.
        over: Whether the attempt ended in a failure that a retry may resolve.
        note: Operation that the trial is waiting for before its first epoch.
    """

    trial_id: str
    attempt: Count
    host: str
    pid: Count
    device: str
    started_at: Seconds
    updated_at: Seconds
    epoch: Count = 0
    epochs: Count = 0
    metric: float | None = None
    epoch_s: Seconds = 0.0
    wall_s: Seconds = 0.0
    saved_wall_s: Seconds = 0.0
    code_version: str = ""
    versions: dict[str, list[str]] = field(default_factory=dict)
    over: bool = False
    note: str = ""

    def write(self, results: Location) -> None:
        """Writes the heartbeat to the results folder."""
        _place(results, self.trial_id).write_atomic(json.dumps(asdict(self)).encode(), durable=False)

    @classmethod
    def read(cls, results: Location, trial_id: str) -> Heartbeat | None:
        """The heartbeat of a trial; ``None`` if it is missing or unreadable."""
        return cls._parse(_place(results, trial_id))

    @classmethod
    def read_all(cls, results: Location) -> list[Heartbeat]:
        """Heartbeats of all started, unfinished trials, oldest first."""
        found = [cls._parse(file) for file in (results / FOLDER).children(".json")]
        return sorted((beat for beat in found if beat is not None), key=lambda beat: beat.started_at)

    @classmethod
    def started(cls, results: Location) -> set[str]:
        """Trials that were started and have neither finished nor failed."""
        return {beat.trial_id for beat in cls.read_all(results) if not beat.over}

    @staticmethod
    def remove(results: Location, trial_id: str) -> None:
        """Removes the heartbeat of a trial that has ended."""
        _place(results, trial_id).delete()

    @classmethod
    def _parse(cls, file: Location) -> Heartbeat | None:
        beat = read_typed(cls, file)
        return beat if beat is not None and f"{beat.trial_id}.json" == file.name else None


def _place(results: Location, trial_id: str) -> Location:
    return results / FOLDER / f"{trial_id}.json"
