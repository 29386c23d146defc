"""Interruption of a run by Ctrl-C, SIGTERM, SIGHUP or SLURM's warning signal: the run ends after saving its trials."""

from __future__ import annotations

import errno
import os
import signal
import sys
import termios
import threading
from types import FrameType
from typing import Any, Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
_AT_ONCE: Final = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a run immediately if an earlier signal was received."""


class Interrupt:
    """Request to stop a run.

    As a context manager in the main thread it handles SIGINT, SIGTERM, SIGUSR1 and SIGHUP: the first requests a stop at
    the next epoch boundary, a second SIGINT or SIGTERM raises `KeyboardInterrupt`. A process other than the command
    itself uses it without entering the context.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._previous: dict[int, Any] = {}
        self._signalled = False
        self.reason = ""

    @property
    def requested(self) -> bool:
        """Whether a stop was requested."""
        return self._event.is_set()

    def request(self, reason: str = "Stop requested") -> None:
        """Requests a stop at the next epoch boundary."""
        self.reason = self.reason or reason
        self._event.set()

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue  # under nohup the run continues when the terminal is closed
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _leave_terminal()
        elif self._signalled and number in _AT_ONCE:
            raise KeyboardInterrupt
        self._signalled = True
        self.request(signal.Signals(number).name)


def _leave_terminal() -> None:
    """Discards further output if the terminal is gone, since writing to it would raise an error."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:
            continue
        descriptor = stream.fileno()
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
