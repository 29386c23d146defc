"""Progress bar of a run in a notebook."""

from __future__ import annotations

import html
import sys
import time
from typing import Any, Final

from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.progress.view import View
from agrm_study.execution.progress.wording import rough
from agrm_study.execution.trial.events import TrialEvent

EVERY_S: Final = 0.5
"""Minimum number of seconds between two updates, since each update sends a message to the browser."""


def shell() -> Any:
    """IPython's shell if the code runs in a notebook (a Jupyter kernel), otherwise None; does not import IPython."""
    ipython = sys.modules.get("IPython")
    found = None if ipython is None else ipython.get_ipython()
    return found if found is not None and hasattr(found, "kernel") else None


def in_notebook() -> bool:
    """Whether the code runs in a notebook."""
    return shell() is not None


class NotebookView(View):
    """One bar below the cell, with counts, the best trial and the time left; messages stay below it."""

    def __init__(self) -> None:
        display = sys.modules["IPython"].display
        self._html: Any = display.HTML
        self._handle: Any = display.display(self._html(""), display_id=True)
        self._step: Step | None = None
        self._progress: StudyProgress | None = None
        self._messages: list[str] = []
        self._shown_at = 0.0

    def __exit__(self, *end: object) -> None:
        self._show(at_once=True)

    def step(self, step: Step) -> None:
        self._step = step
        self._show()

    def begin(self, progress: StudyProgress) -> None:
        self._progress, self._step = progress, None
        self._show(at_once=True)

    def event(self, event: TrialEvent, trial: TrialProgress) -> None:
        self._step = None
        self._show()

    def refresh(self) -> None:
        self._show()

    def message(self, text: str) -> None:
        self._messages.append(text)
        self._show(at_once=True)

    def _show(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now - self._shown_at >= EVERY_S:
            self._shown_at = now
            self._handle.update(self._html(self.html()))

    def html(self) -> str:
        """The current content as HTML; all user text is escaped."""
        notes = "".join(f"<div>{html.escape(text)}</div>" for text in self._messages)
        if self._step is not None:
            done, total = self._step.done, self._step.total
            bar = f'<progress value="{done}" max="{total}"></progress>' if total else "<progress></progress>"
            return f"<div>{bar} {html.escape(self._step.title)}</div>{notes}"
        if self._progress is None:
            return notes
        counts = self._progress.counts()
        words = [f"{counts.finished} of {counts.total} trials finished"]
        words += [f"{n} {word}" for n, word in ((counts.running, "running"), (counts.failed, "failed")) if n]
        words += [
            f"best {self._progress.metric} {best.metric:.3f} ({best.arm}, seed {best.seed})"
            for best in self._progress.best()
            if best.metric is not None
        ]
        left = self._progress.time_left_s()
        words += [] if left is None or not counts.left else [f"{rough(left)} left"]
        name = html.escape(self._progress.name)
        bar = f'<progress value="{counts.finished + counts.failed}" max="{counts.total}"></progress>'
        return f"<div>{bar} <b>{name}</b>: {html.escape(', '.join(words))}</div>{notes}"
