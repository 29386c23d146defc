"""The driver process's side of its connection to the run."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Final

from agrm_study.execution.driver.protocol import Assigned, Event, Job, Message, Seen, Stop, Take, Tick, decode, encode

TICK_S: Final = 0.5
"""Minimum seconds between two `Tick` messages."""


class Channel:
    """Sends messages to the run and receives its answers; safe to use from several threads.

    Args:
        events: Descriptor that messages are written to.
        commands: Descriptor that messages are read from.
        on_end: Called in a separate thread when the run has ended.
    """

    def __init__(self, events: int, commands: int, on_end: Callable[[], None]) -> None:
        self._events, self._on_end = events, on_end
        self._commands = os.fdopen(commands, "rb")
        self._answers: queue.SimpleQueue[Assigned | Seen] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.stopped = False
        """Whether the run requested that nothing more be started."""

    @classmethod
    def of_this_process(cls, events: int, on_end: Callable[[], None]) -> Channel:
        """The channel of a driver process; its child processes inherit neither end."""
        os.set_inheritable(events, False)
        commands = os.dup(sys.stdin.fileno())
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, sys.stdin.fileno())
        os.close(nothing)
        return cls(events, commands, on_end)

    def job(self) -> Job:
        """Waits for the job, and listens in a thread afterwards.

        Raises:
            EOFError: The run has ended.
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
        """Sends a message and waits for the answer."""
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
