"""Connection of the driver process to the run."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agrm_study.execution.driver.protocol import Assigned, Event, Job, Message, Seen, Stop, Take, Tick, decode, encode

TICK_S: Final = 0.5
"""Minimum seconds between two `Tick` messages."""


class Channel:
    """Sends messages to the run and receives its replies on standard input; thread-safe.

    Child processes do not inherit the file descriptors.

    Args:
        events: File descriptor to which messages are written.
        on_end: Called in a separate thread when the run has ended.

    Attributes:
        stopped: Whether the run has requested that no further trials be started.
    """

    def __init__(self, events: int, on_end: Callable[[], None]) -> None:
        os.set_inheritable(events, False)
        self._events, self._on_end = events, on_end
        self._commands = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), sys.stdin.fileno())
        self._answers: queue.SimpleQueue[Assigned | Seen] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.stopped = False

    def job(self) -> Job:
        """Waits for the job, then starts a thread that listens for further messages.

        Raises:
            EOFError: If the run has ended.
        """
        line = self._commands.readline()
        if not line:
            raise EOFError
        job = decode(line)
        assert isinstance(job, Job)
        threading.Thread(target=self._listen, name="commands", daemon=True).start()
        return job

    def send(self, message: Message) -> None:
        """Sends a message; it is discarded once the run has ended."""
        line = memoryview(encode(message))
        with self._lock, contextlib.suppress(BrokenPipeError):
            while line:
                line = line[os.write(self._events, line) :]

    def tick(self, slots: int | None = None) -> None:
        """Reports that the driver is alive."""
        self.send(Tick(slots))

    def ask(self, message: Take | Event) -> Assigned | Seen:
        """Sends a message and waits for the reply."""
        self.send(message)
        return self._answers.get()

    def _listen(self) -> None:
        for line in self._commands:
            message = decode(line)
            if isinstance(message, Stop):
                self.stopped = True
            elif isinstance(message, Assigned | Seen):
                self._answers.put(message)
        self._on_end()
