"""How is a study shown to someone who watches it from outside? The run's own picture, or one line a minute."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress.live import DIM, LiveView
from agrm_study.execution.progress.snapshot import Snapshot
from agrm_study.execution.progress.wording import best_words, failure_words, rough, trial_name

LINE_EVERY_S: Final = 60.0
PREPARING: Final = "Data are being prepared"


def owner_words(owner: Mapping[str, Any] | None) -> str:
    """Who runs the study."""
    if owner is None:
        return "nobody is running it"
    if "pid" not in owner:
        return "run by another process"
    return f"run by process {owner['pid']} on {owner['host']}"


def next_step(sight: Snapshot) -> str:
    """What to do when nobody runs a study of which something is left; empty otherwise."""
    if sight.owner is not None or not sight.left:
        return ""
    return "the `agrm-study run` that began it goes on with them"


def summary_words(sight: Snapshot) -> str:
    """Counts, the best of a search, the time left."""
    if sight.status is None or sight.progress is None:
        return f"{PREPARING}, {owner_words(sight.owner)}"
    found = sight.status
    parts = [f"{found.finished} of {found.total} trials finished"]
    if sight.owner is not None:
        parts += [f"{len(found.running)} running"] * bool(found.running)
        parts += [f"{found.waiting} waiting"] * bool(found.waiting)
    elif sight.left:
        parts.append(f"{sight.left} to run")
    parts += [f"{found.failed} failed"] * bool(found.failed)
    parts += best_words(sight.progress)
    if sight.left and found.time_left_s is not None:
        parts.append(f"{rough(found.time_left_s)} left")
    if sight.owner is None and sight.left:
        parts.append(f"nobody is running it; {next_step(sight)}")
    return ", ".join(parts)


class WatchPicture(LiveView):
    """The picture that `run` draws, of a study that another process runs."""

    def __init__(self, console: Console | None = None) -> None:
        self._sight: Snapshot | None = None
        self._told: set[object] = set()
        super().__init__(console)

    def show(self, sight: Snapshot) -> None:
        """Takes a new look into the picture."""
        with self._lock:
            self._sight = sight
            if sight.progress is None or sight.status is None:
                self.step(Step(PREPARING, 0, 0))
                return
            since = (sight.owner or {}).get("since")
            self._began = None if since is None else time.monotonic() - max(0.0, time.time() - since)
            self.begin(sight.progress)
            for failed in sight.status.failures:
                trial = sight.progress.trials.get(failed.trial_id)
                name = " / ".join(failed.arms) if trial is None else trial_name(trial, sight.progress)
                reason = failure_words(failed.failure, failed.error.partition("\n")[0])
                self._tell_once((failed.trial_id, failed.attempt), f"{name} failed: {reason}")
            for unreadable in sight.status.problems:
                self._tell_once(unreadable, f"cannot be read: {unreadable}")

    def _tell_once(self, key: object, text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self.message(text)

    def picture(self) -> RenderableType:
        drawn = super().picture()
        if self._sight is None:
            return drawn
        step = next_step(self._sight)
        words = f"{owner_words(self._sight.owner)}{': ' + step if step else ''}"
        if self._sight.over or self._ended:
            return drawn
        return Group(drawn, Padding(Text(f"{words} · Ctrl-C stops watching, not the study", style=DIM), (0, 1)))


class WatchLines:
    """One line a minute, and one when something ends the watching."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: float | None = None
        self._line = ""

    def show(self, sight: Snapshot) -> None:
        """Tells of a new look when it is time for a line."""
        now = time.monotonic()
        due = self._told is None or now - self._told >= LINE_EVERY_S
        words = summary_words(sight)
        if due or (sight.over and words != self._line):
            print(f"{datetime.now():%H:%M:%S}  {words}", file=self._stream, flush=True)
            self._told, self._line = now, words
