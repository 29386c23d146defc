"""Management of the driver process by the run: its start, messages and end.

The process leads its own session. All Ray processes that descend from it belong to that session and inherit its
environment, so `DriverProcess.end` finds all of them, including orphans.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import BinaryIO, Final

import psutil

import agrm_study
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.protocol import Job, Lost, Message, Refused, decode, encode
from agrm_study.execution.resources.ray_folder import SUFFIX_LENGTH, remove_abandoned_rays, remove_ray_folders
from agrm_study.study.temporary import temporary_folder

MODULE: Final = "agrm_study.execution.driver.child"
MARK: Final = "AGRM_STUDY_DRIVER"
"""Environment variable of the driver process and all its descendants; its value is unique to each driver process."""
TAIL_LINES: Final = 3
"""Number of lines of its log that are shown to explain the death of a driver process."""
ORDERLY_S: Final = 20.0
"""Seconds that a driver process has to shut Ray down once its work is done."""
GONE_S: Final = 20.0
"""Maximum seconds to wait until killed processes are gone; a process blocked in the kernel may remain."""
SILENT_S: Final = 180.0
"""Seconds without a message after which a driver process is considered hung."""
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;]*m")


class DriverProcess:
    """A driver process and the queue of its messages."""

    def __init__(self, job: Job) -> None:
        self._mark = uuid.uuid4().hex
        self.ray_suffix = ray_suffix(self._mark)
        self._stack = contextlib.ExitStack()
        self.folder = self._stack.enter_context(temporary_folder("driver"))
        self._log = self.folder / "log"
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        events, theirs = os.pipe()
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", MODULE, str(theirs)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder,
                    env=_environment(self._mark),
                    pass_fds=(theirs,),
                    start_new_session=True,
                )
        except BaseException:
            os.close(events)
            self._stack.close()
            raise
        finally:
            os.close(theirs)
        threading.Thread(target=self._drain, args=(os.fdopen(events, "rb"),), name="driver-events", daemon=True).start()
        self._ended = False
        self._awake_at = time.monotonic()
        self._silent_s = 0.0  # counted only while this process was awake
        self.send(job)

    def __enter__(self) -> DriverProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def send(self, message: Message) -> None:
        """Sends a message; the death of the process is detected by `next`."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(encode(message))
            self._process.stdin.flush()

    def next(self, timeout: float) -> Message | None:
        """The next message; ``None`` on timeout.

        Raises:
            InputError: If the operation rejects its input.
            ExecutionLost: If the process cannot complete its operation, has died, or has sent nothing for `SILENT_S`.
        """
        try:
            message = self._messages.get(timeout=timeout)
        except queue.Empty:
            now = time.monotonic()
            self._silent_s += min(now - self._awake_at, 1.0)
            self._awake_at = now
            if self._silent_s >= SILENT_S:
                raise ExecutionLost(f"the driver process did not respond for {SILENT_S:.0f} s") from None
            return None
        self._silent_s, self._awake_at = 0.0, time.monotonic()
        if message is None:
            self._messages.put(None)
            raise ExecutionLost(f"the driver process died: {self._why_it_ended()}")
        if isinstance(message, Refused):
            raise message.error()
        if isinstance(message, Lost):
            raise ExecutionLost(message.reason, final=message.final)
        return message

    def _why_it_ended(self) -> str:
        """The reason why the process ended and the last lines of its log, as a clause."""
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"it was killed by {signal.Signals(-code).name}"
        lines = [_ESCAPES.sub("", line).strip() for line in self._log.read_text(errors="replace").splitlines()]
        lines = [line for line in lines if line and not line.startswith("(")]  # output of workers, forwarded by Ray
        tail = f": {' / '.join(lines[-TAIL_LINES:])}" if lines else ""
        return f"it exited with code {code}{tail}"

    def end(self, *, patience_s: float = 0.0) -> None:
        """Ends the process and all of its descendants, and waits until they are gone.

        The process has `patience_s` seconds to exit by itself.
        """
        if self._ended:
            return
        try:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
        finally:
            end_family(self._process.pid, self._mark)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GONE_S)
            self._stack.close()
            remove_ray_folders(self.ray_suffix)  # Ray's processes may have created it again while they were killed
            remove_abandoned_rays()
            self._ended = True

    def _drain(self, events: BinaryIO) -> None:
        with events:
            for line in events:
                if line.endswith(b"\n"):
                    self._messages.put(decode(line))
        self._messages.put(None)


def ray_suffix(mark: str) -> str:
    """Suffix of the folder of a Ray instance that the driver process with a mark starts; random without a mark."""
    return mark[:SUFFIX_LENGTH]


def end_family(session: int, mark: str) -> None:
    """Kills the processes of a session or with the given `MARK`, and their descendants, except this process."""
    end = time.monotonic() + GONE_S
    while time.monotonic() < end and (family := _family(session, mark)):
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(family, timeout=0.2)


def _family(session: int, mark: str) -> list[psutil.Process]:
    """Live processes of a session or with a mark, and their descendants."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if os.getsid(process.pid) == session or process.environ().get(MARK) == mark:
                found[process.pid] = process
    for process in list(found.values()):
        with contextlib.suppress(psutil.Error):
            children = process.children(recursive=True)
            found.update({child.pid: child for child in children if child.status() != psutil.STATUS_ZOMBIE})
    return list(found.values())


def _environment(mark: str) -> dict[str, str]:
    """Environment of a driver process: the module path contains neither relative paths nor the working directory."""
    paths = [str(Path(part).resolve()) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    root = Path(agrm_study.__file__).resolve().parents[1]
    if not {"site-packages", "dist-packages"}.intersection(root.parts):
        paths.append(str(root))
    path = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))} if paths else {}
    return {**os.environ, **path, "PYTHONSAFEPATH": "1", MARK: mark}
