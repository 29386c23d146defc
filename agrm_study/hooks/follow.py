"""Background updates of a hook while a study runs."""

from __future__ import annotations

import threading
from pathlib import Path

from agrm_study.hooks import hook_class
from agrm_study.hooks.base import require
from agrm_study.hooks.log import log_study
from agrm_study.study.errors import InputError
from agrm_study.study.study import Study

EVERY_S = 10.0
"""Minimum number of seconds between two updates."""


class Follower:
    """Writes new and changed trials to a hook in a separate thread; stops after an error, which is reported once.

    Args:
        results: Results folder; a local path or a URI.
        name: Name of a hook in `HOOKS`.
        study: The study to export.
        every_s: Minimum number of seconds between two updates.

    Raises:
        InputError: If the hook is unknown, its package is not installed, or it cannot export the study.
    """

    def __init__(self, results: str | Path, name: str, study: Study, *, every_s: float = EVERY_S) -> None:
        require(name, hook_class(name).package)
        hook_class(name).check(study)
        self._results, self._name, self._every_s = results, name, every_s
        self._changed, self._closing = threading.Event(), threading.Event()
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._follow, name=f"log to {name}", daemon=True)

    def changed(self) -> None:
        """Schedule an update after a trial has ended."""
        self._changed.set()
        if self._thread.ident is None:
            self._thread.start()

    def problem(self) -> str | None:
        """The error message, returned once; None if there is no new error."""
        problem, self._problem = self._problem, None
        return problem

    def close(self, timeout_s: float = 60.0) -> str | None:
        """Write the remaining trials and stop the thread; returns the error message unless it was reported before."""
        if self._thread.ident is not None:
            self._closing.set()
            self._changed.set()
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                self._problem = self._message("writing did not finish in time")
        return self.problem()

    def _follow(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            last = self._closing.is_set()
            try:
                log_study(self._results, self._name)
            except InputError as fault:
                self._problem = self._message(str(fault))
                return
            except Exception as fault:  # errors of third-party packages must not reach the study
                self._problem = self._message(f"{type(fault).__name__}: {fault}".splitlines()[0])
                return
            if last:
                return
            self._closing.wait(self._every_s)

    def _message(self, reason: str) -> str:
        return (
            f"Logging to {self._name} failed ({reason.rstrip('.')}). The study continues without the tracker; to "
            f"export the trials later, run `agrm-study log {self._results} --to {self._name}`."
        )
