"""How far is an unfinished trial? A small file in ``.run/heartbeats`` tells `status` and the next attempt."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from agrm_study.records.location import Location

FOLDER: Final = ".run/heartbeats"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Sign of life of an unfinished trial; times are seconds since 1970.

    Attributes:
        attempt: Which start of the trial this is, from 1.
        started_at: First start whose work is still part of the trial.
        updated_at: Time of writing.
        wall_s: Seconds of training so far.
        saved_wall_s: Seconds of training that the rolling checkpoint holds.
        code_version: Version of the code that made the checkpoint.
        over: Whether the attempt has ended in a failure that another attempt may heal.
        note: What the trial waits for before its first epoch.
    """

    trial_id: str
    attempt: int
    host: str
    pid: int
    device: str
    started_at: float
    updated_at: float
    epoch: int = 0
    epochs: int = 0
    metric: float | None = None
    epoch_s: float = 0.0
    wall_s: float = 0.0
    saved_wall_s: float = 0.0
    code_version: str = ""
    over: bool = False
    note: str = ""

    def write(self, results: Location) -> None:
        """Puts it into the results folder."""
        _place(results, self.trial_id).write_atomic(json.dumps(asdict(self)).encode(), durable=False)

    @classmethod
    def read(cls, results: Location, trial_id: str) -> Heartbeat | None:
        """The heartbeat of a trial, ``None`` where there is none or it cannot be read."""
        return cls._parse(_place(results, trial_id).read())

    @classmethod
    def read_all(cls, results: Location) -> list[Heartbeat]:
        """Heartbeats of all trials that have begun and not finished, oldest first."""
        found = [cls._parse(file.read()) for file in (results / FOLDER).children(".json")]
        return sorted((beat for beat in found if beat is not None), key=lambda beat: beat.started_at)

    @staticmethod
    def remove(results: Location, trial_id: str) -> None:
        """The trial has ended for good."""
        _place(results, trial_id).delete()

    @classmethod
    def _parse(cls, content: bytes | None) -> Heartbeat | None:
        if content is None:
            return None
        try:
            values: dict[str, Any] = json.loads(content)
            return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})
        except (ValueError, TypeError):
            return None


def _place(results: Location, trial_id: str) -> Location:
    return results / FOLDER / f"{trial_id}.json"
