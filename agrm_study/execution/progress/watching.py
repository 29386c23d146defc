"""Views of a study that another process runs: the live view of `run`, or one line per minute."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding

from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress.live import DIM, LiveView
from agrm_study.execution.progress.rich_parts import Text
from agrm_study.execution.progress.snapshot import Snapshot
from agrm_study.execution.progress.wording import best_words, failure_words, hours_words, rough, trial_name
from agrm_study.study.counted import counted
from agrm_study.study.terminal import printable

LINE_EVERY_S: Final = 60.0
PREPARING: Final = "Preparing data"
RESUME: Final = "rerun the same `agrm-study run` to resume"


def owner_words(owner: Mapping[str, Any] | None) -> str:
    """Description of the active run."""
    if owner is None:
        return "not running"
    if "pid" not in owner:
        return "run by another process"
    others = owner.get("joined", 1) - 1
    more = f" and {counted(others, 'other joined run')}" if others else ""
    return f"run by process {owner['pid']} on {owner['host']}{more}"


def next_step(snapshot: Snapshot) -> str:
    """The next step for an incomplete study without an active run; empty otherwise."""
    return RESUME if snapshot.owner is None and snapshot.left else ""


def summary_words(snapshot: Snapshot) -> str:
    """Counts, the best trial of a search, and the time left, as text."""
    if snapshot.progress is None:
        return f"{PREPARING}, {owner_words(snapshot.owner)}"
    states = snapshot.states
    parts = [f"{states['finished']} of {snapshot.total} trials finished"]
    running, waiting = len(snapshot.unfinished), snapshot.left - len(snapshot.unfinished)
    if snapshot.owner is not None:
        parts += [f"{running} running"] * bool(running) + [f"{waiting} waiting"] * bool(waiting)
    elif snapshot.left:
        parts.append(f"{snapshot.left} to run")
    parts += [f"{states['failed']} failed"] * bool(states["failed"])
    parts += [f"{states['held']} held back"] * bool(states["held"])
    parts += best_words(snapshot.progress)
    if snapshot.left and snapshot.time_left_s is not None:
        parts.append(f"{rough(snapshot.time_left_s)} left")
    if snapshot.progress.used is not None:
        parts.append(f"{hours_words(snapshot.progress.used)} used")
    if step := next_step(snapshot):
        parts.append(f"{owner_words(None)}; {step}")
    return ", ".join(parts)


class WatchPicture(LiveView):
    """The live view of `run`, for a study that another process runs."""

    def __init__(self, console: Console | None = None) -> None:
        self._snapshot: Snapshot | None = None
        self._shown: set[object] = set()
        super().__init__(console)

    def show(self, snapshot: Snapshot) -> None:
        """Updates the view with a new snapshot."""
        with self._lock:
            self._snapshot = snapshot
            if snapshot.progress is None:
                self.step(Step(PREPARING, 0, 0))
                return
            since = (snapshot.owner or {}).get("since")
            self._began = None if since is None else time.monotonic() - max(0.0, time.time() - since)
            self.begin(snapshot.progress)
            for trial in snapshot.trials.values():
                if trial.state == "failed":
                    name, reason = trial_name(trial, snapshot.progress), failure_words(trial.failure, trial.reason)
                    self._message_once((trial.trial_id, trial.attempt), f"{name} failed: {reason}")
            for problem in snapshot.problems:
                self._message_once(problem, f"cannot be read: {problem}")

    def _message_once(self, key: object, text: str) -> None:
        if key not in self._shown:
            self._shown.add(key)
            self.message(text)

    def picture(self) -> RenderableType:
        drawn = super().picture()
        if self._snapshot is None or self._snapshot.over or self._ended:
            return drawn
        step = next_step(self._snapshot)
        words = f"{owner_words(self._snapshot.owner)}{'; ' + step if step else ''}"
        return Group(drawn, Padding(Text(f"{words} · Ctrl-C stops watching, not the study", style=DIM), (0, 1)))


class WatchLines:
    """One line per minute, and a final line at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._written: float | None = None
        self._line = ""

    def show(self, snapshot: Snapshot) -> None:
        """Writes a line about a new snapshot if a line is due."""
        now = time.monotonic()
        due = self._written is None or now - self._written >= LINE_EVERY_S
        words = summary_words(snapshot)
        if due or (snapshot.over and words != self._line):
            print(f"{datetime.now():%H:%M:%S}  {printable(words)}", file=self._stream, flush=True)
            self._written, self._line = now, words
