"""How is a hook kept up to date while a study runs, without the study ever waiting for it?"""

from __future__ import annotations

import threading
from pathlib import Path

from agrm_study.hooks import hook_class
from agrm_study.hooks.base import require
from agrm_study.hooks.log import log_study
from agrm_study.study.errors import InputError

EVERY_S = 10.0
"""Seconds between two writes, at least."""


class Follower:
    """Writes what is new to a hook, in a thread of its own. The first failure is the last attempt: it is told once.

    Args:
        results: The results folder, a local path or a URI.
        name: A name of `HOOKS`.

    Raises:
        InputError: There is no such hook, or its package is not installed.
    """

    def __init__(self, results: str | Path, name: str, *, every_s: float = EVERY_S) -> None:
        require(name, hook_class(name).package)
        self._results, self._name, self._every_s = results, name, every_s
        self._changed, self._closing = threading.Event(), threading.Event()
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._follow, name=f"log to {name}", daemon=True)

    def changed(self) -> None:
        """A trial has ended: what is new is written soon."""
        self._changed.set()
        if self._thread.ident is None:
            self._thread.start()

    def problem(self) -> str | None:
        """What went wrong, the first time it is asked for afterwards."""
        problem, self._problem = self._problem, None
        return problem

    def close(self, timeout_s: float = 60.0) -> str | None:
        """Write what is left and end; what went wrong, unless that was told before."""
        if self._thread.ident is not None:
            self._closing.set()
            self._changed.set()
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                self._problem = self._words("is still not done, and is left alone")
        return self.problem()

    def _follow(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            last = self._closing.is_set()
            try:
                log_study(self._results, self._name)
            except InputError as fault:
                self._problem = self._words(str(fault))
                return
            except Exception as fault:  # whatever a foreign package raises must not reach the study
                self._problem = self._words(f"{type(fault).__name__}: {fault}".splitlines()[0])
                return
            if last:
                return
            self._closing.wait(self._every_s)

    def _words(self, reason: str) -> str:
        return (
            f"Writing for {self._name} has failed ({reason.rstrip('.')}). The study goes on without it; "
            f"`agrm-study log {self._results} --to {self._name}` writes it later."
        )
