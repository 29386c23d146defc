"""Messages between a run and its driver process, as JSON lines.

The driver reports events and requests trials; the run replies. Values are plain JSON: neither side unpickles anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from agrm_study.study.errors import InputError, together


@dataclass(frozen=True, slots=True)
class Job:
    """The first message to a driver: the operation that it performs, and its arguments."""

    operation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Take:
    """The driver requests a trial; `full` lists accelerators without capacity; `idle` is true if it has no trial."""

    full: tuple[str | None, ...] = ()
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Assigned:
    """The reply to `Take`.

    Attributes:
        work: The trial as `Work.to_json`, or ``None`` if none is available now.
        share: Number of GPUs of the trial.
        finished: Whether no more trials will be handed out, unless a running trial is put back.
    """

    work: str | None = None
    share: float = 0.0
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """The run was interrupted: the driver starts no more trials."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a trial, as `TrialEvent.to_json`; with `waits` the driver waits for `Seen`."""

    text: str
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """The run has processed an event, and its decision is in the results folder."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The driver is alive; `slots` is the known number of trials that can run concurrently."""

    slots: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The operation is complete."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The operation raised `InputError`; each problem is given by its fields."""

    problems: list[dict[str, Any]]

    @classmethod
    def of(cls, error: InputError) -> Refused:
        """The message for an error."""
        return cls([problem.parts() for problem in error.singles])

    def error(self) -> InputError:
        """The error that was raised."""
        return together([InputError(**problem) for problem in self.problems])


@dataclass(frozen=True, slots=True)
class Lost:
    """The operation raised `ExecutionLost`, with these arguments."""

    reason: str
    final: bool = False


Message = Job | Take | Assigned | Stop | Event | Seen | Tick | Result | Refused | Lost
_KINDS = {kind.__name__: kind for kind in get_args(Message)}


def encode(message: Message) -> bytes:
    """Encodes a message as one line; values that JSON cannot represent are sent as text."""
    values = {"kind": type(message).__name__} | {each.name: getattr(message, each.name) for each in fields(message)}
    return json.dumps(values, separators=(",", ":"), default=str).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Decodes a line written by `encode`."""
    values: dict[str, Any] = json.loads(line)
    kind = _KINDS[values.pop("kind")]
    if kind is Take:
        values["full"] = tuple(values["full"])
    message: Message = kind(**values)
    return message
