"""Plain-text view of a run: one line per completed trial and one line per minute."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final, TextIO

from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.progress.view import View
from agrm_study.execution.progress.wording import best_words, duration, failure_words, hours_words, rough, trial_name
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.study.counted import counted
from agrm_study.study.terminal import printable

EVERY_S: Final = 60.0
STAGE_EVERY_S: Final = 15.0


class LinesView(View):
    """Plain-text lines with timestamps."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._progress: StudyProgress | None = None
        self._step: Step | None = None
        self._written = 0.0
        self._noted = float("-inf")

    def step(self, step: Step) -> None:
        now = time.monotonic()
        fresh = self._step is None or self._step.title != step.title
        ended = step.total > 0 and step.done >= step.total
        was_ended = self._step is not None and not fresh and self._step.done >= self._step.total > 0
        if fresh or (ended and not was_ended) or now - self._written >= STAGE_EVERY_S:
            counted = f": {step.done} of {step.total}" if step.total > 1 else ""
            self._print(f"{step.title}{counted}")
            self._written = now
        self._step = step

    def begin(self, progress: StudyProgress) -> None:
        self._progress = progress
        counts = progress.counts()
        left = counts.waiting
        parts = [counted(counts.total, "trial"), f"{counts.finished} already finished", f"{left} to run"]
        if counts.failed:
            parts.append(f"{counts.failed} failed earlier")
        kind = "" if progress.to_draw is None else ", search"
        self._print(f"{progress.name}{kind}: {', '.join([*parts, *best_words(progress)])}")
        self._written = time.monotonic()

    def event(self, event: TrialEvent, trial: TrialProgress) -> None:
        progress = self._progress
        if progress is None or event.kind in ("started", "epoch", "held"):
            return
        if event.kind == "preparing" and event.message:  # the run itself prints the message
            return
        if event.kind == "preparing":
            self._print_sometimes(f"{event.host}: {event.note}")
            return
        counts = progress.counts()
        place = f"{counts.finished + counts.failed}/{counts.total}"
        name = trial_name(trial, progress)
        if event.kind == "finished" and trial.pruned:
            self._print(f"pruned   {place}  {name}: after {counted(event.epoch, 'epoch')}")
        elif event.kind == "finished" and event.message:
            self._print(f"finished {place}  {name}: {event.message}")
        elif event.kind == "finished":
            shown = "" if event.metric is None else f"validation {progress.metric} {event.metric:.3f}, "
            taken = f" ({event.inherited} reused)" if event.inherited else ""
            self._print(
                f"finished {place}  {name}: {shown}{counted(event.epoch, 'epoch')}{taken} in {duration(event.wall_s)}"
            )
        elif event.kind == "failed":
            self._print(f"failed   {place}  {name}: {failure_words(event.failure, event.error)}")
        elif event.kind == "retried":
            self._print(f"retried  {place}  {name}: {failure_words(event.failure, event.error)}")
        elif event.kind == "interrupted":
            saved = f"saved after epoch {event.epoch} of {event.epochs}" if event.epoch else "before its first epoch"
            self._print(f"stopped  {place}  {name}: {saved}")

    def refresh(self) -> None:
        progress = self._progress
        if progress is None or time.monotonic() - self._written < EVERY_S:
            return
        self._written = time.monotonic()
        counts = progress.counts()
        left = progress.time_left_s()
        parts = [f"{counts.finished} of {counts.total} finished", f"{counts.running} running"]
        if counts.failed:
            parts.append(f"{counts.failed} failed")
        parts.extend(best_words(progress))
        if left is not None:
            parts.append(f"{rough(left)} left")
        if progress.used is not None:
            parts.append(f"{hours_words(progress.used)} used")
        self._print(", ".join(parts))

    def message(self, text: str) -> None:
        self._print(text)

    def _print_sometimes(self, text: str) -> None:
        now = time.monotonic()
        if now - self._noted >= STAGE_EVERY_S:
            self._noted = now
            self._print(text)

    def _print(self, text: str) -> None:
        print(f"{datetime.now():%H:%M:%S}  {printable(text)}", file=self._stream, flush=True)


def choose_view(stream: TextIO) -> View:
    """A live view if the stream is a terminal, plain lines otherwise."""
    if stream.isatty():
        from agrm_study.execution.progress.live import LiveView

        return LiveView()
    return LinesView(stream)
