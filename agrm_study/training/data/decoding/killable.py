"""Pool of child processes for calls that may hang or crash, so that a damaged file does not stop the whole run.

The pool and its children communicate over pipes. A child that does not send a message for `stall_s` seconds is killed.
A killed or crashed child is replaced, and its task returns a `Failure`. Children start as new interpreters (a decoder
opened in a forked child hangs), do not import torch or the caller's main module, and exit when their parent dies.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

START_S = 120.0
"""Maximum time for a child to start, in seconds."""

_to_parent: Connection | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Reason why a task has no result.

    Attributes:
        kind: `error` (the function raised an exception), `stalled` (the child did not send a message in time) or
            `crashed` (the child died).
        message: One-line description.
        error: The function's exception, if it can be pickled.
    """

    kind: Literal["error", "stalled", "crashed"]
    message: str
    error: BaseException | None = None


def beat() -> None:
    """Report progress to the parent; does nothing outside a child."""
    if _to_parent is not None:
        _to_parent.send(("beat", None))


def serve(read_fd: int, write_fd: int) -> None:
    """Main loop of a child: run tasks until the parent closes the pipe."""
    global _to_parent
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    tasks, _to_parent = Connection(read_fd, writable=False), Connection(write_fd, readable=False)
    _to_parent.send(("ready", None))
    while True:
        try:
            function, arguments = tasks.recv()
        except EOFError:
            return
        try:
            answer: tuple[str, Any] = ("done", function(*arguments))
        except Exception as error:
            answer = ("error", (f"{type(error).__name__}: {error}", _portable(error)))
        _to_parent.send(answer)


class KillablePool:
    """Pool of child processes that each run one task at a time.

    Args:
        workers: Maximum number of child processes; they start on demand.
        stall_s: Seconds without a message (`beat` or a result) after which a child is killed.
        recycle_after: Number of tasks after which a child is replaced, to limit memory leaked by decoders.
    """

    def __init__(self, workers: int = 1, *, stall_s: float = 60.0, recycle_after: int = 500) -> None:
        self._workers, self._stall_s, self._recycle_after = max(1, workers), stall_s, recycle_after
        self._children: list[_Child] = []

    def __enter__(self) -> KillablePool:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill all children."""
        for child in self._children:
            child.kill()
        self._children.clear()

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run one task and return its result or a `Failure`."""
        return next(self.map_unordered(function, [arguments]))[1]

    def map_unordered(
        self, function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        """Run the tasks and yield (position, result or `Failure`) as they finish."""
        waiting = deque(enumerate(tasks))
        try:
            while waiting or any(child.task is not None for child in self._children):
                self._hand_out(function, waiting)
                yield from self._collect()
        finally:
            for child in [child for child in self._children if child.task is not None]:
                self._drop(child)

    def _hand_out(self, function: Callable[..., Any], waiting: deque[tuple[int, tuple[Any, ...]]]) -> None:
        for child in [child for child in self._children if child.task is None]:
            if child.done_tasks >= self._recycle_after:
                self._drop(child)
            elif waiting:
                child.start(function, *waiting.popleft())
        while waiting and len(self._children) < self._workers:
            self._children.append(_Child())
            self._children[-1].start(function, *waiting.popleft())

    def _collect(self) -> Iterator[tuple[int, Any]]:
        busy = {child.answers: child for child in self._children if child.task is not None}
        now = time.monotonic()
        timeout = min((child.deadline(self._stall_s) for child in busy.values()), default=now) - now
        ready = wait(list(busy), timeout=max(0.0, timeout))
        for connection, child in busy.items():
            task = child.task
            if task is None:
                continue
            if connection in ready:
                for answer in child.receive():
                    if child.gone:
                        self._drop(child)
                    yield task, answer
            elif time.monotonic() >= child.deadline(self._stall_s):
                self._drop(child)
                yield task, Failure("stalled", f"no progress for {self._stall_s:g} s; the reading process was killed")

    def _drop(self, child: _Child) -> None:
        child.kill()
        self._children.remove(child)


class _Child:
    """One child process and its current task."""

    def __init__(self) -> None:
        task_read, task_write = os.pipe()
        answer_read, answer_write = os.pipe()
        package_root = str(Path(__file__).resolve().parents[4])
        paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agrm_study.training.data.decoding.worker", str(task_read), str(answer_write)],
            pass_fds=(task_read, answer_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        os.close(task_read)
        os.close(answer_write)
        self.tasks, self.answers = Connection(task_write, readable=False), Connection(answer_read, writable=False)
        self.task: int | None = None
        self.done_tasks = 0
        self.gone = False
        self._ready = False
        self._last_message = time.monotonic()

    def deadline(self, stall_s: float) -> float:
        """Monotonic time, in seconds, at which the child is considered stalled."""
        return self._last_message + (stall_s if self._ready else max(START_S, stall_s))

    def start(self, function: Callable[..., Any], task: int, arguments: tuple[Any, ...]) -> None:
        """Send a task to the child."""
        self.task, self._last_message = task, time.monotonic()
        with suppress(BrokenPipeError):
            self.tasks.send((function, arguments))

    def receive(self) -> list[Any]:
        """Receive one message: a list with the task's result or `Failure`, or an empty list for a progress message."""
        try:
            kind, value = self.answers.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self.gone, self.task = True, None
            return [Failure("crashed", f"the reading process died ({_reason(self.process)})")]
        self._last_message = time.monotonic()
        if kind in ("beat", "ready"):
            self._ready = True
            return []
        self.task = None
        self.done_tasks += 1
        return [value if kind == "done" else Failure("error", *value)]

    def kill(self) -> None:
        """Kill the child and close its pipes."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self.tasks.close()
        self.answers.close()


def _reason(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "unknown reason"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _portable(error: Exception) -> Exception | None:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (bytes from this process)
    except Exception:
        return None
    return error


def _exit_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


_shared: tuple[int, KillablePool] | None = None


def shared_pool() -> KillablePool:
    """A pool with one child, shared by all calls in this process that need only a single child."""
    global _shared
    if _shared is None or _shared[0] != os.getpid():
        _shared = (os.getpid(), KillablePool(1))
        atexit.register(_shared[1].close)
    return _shared[1]
