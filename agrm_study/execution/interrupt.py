"""What happens at Ctrl-C, SIGTERM or SLURM's warning? First the running epochs end, then everything does."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Final

_GRACEFUL: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


class Interrupt:
    """Whether the run was asked to stop.

    As a context manager in the main thread it takes SIGINT, SIGTERM and SIGUSR1: the first asks for a stop at the next
    epoch boundary, a second SIGINT or SIGTERM raises `KeyboardInterrupt` at once.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._previous: dict[int, Any] = {}
        self.reason = ""

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def request(self, reason: str = "asked") -> None:
        """Asks for a stop at the next epoch boundary."""
        self.reason = self.reason or reason
        self._event.set()

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in _GRACEFUL:
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def reinstall(self) -> None:
        """Takes the signals again, after a library has taken them for itself."""
        if self._previous:
            for number in _GRACEFUL:
                signal.signal(number, self._on_signal)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number != getattr(signal, "SIGUSR1", None):
            raise KeyboardInterrupt
        self.request(signal.Signals(number).name)
