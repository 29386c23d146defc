"""Classes of trial failures: classification of exceptions, and rules for retries."""

from __future__ import annotations

import errno
import re
import site
import sys
import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, get_args

from agrm_study.study.object_store import store_error_text
from agrm_study.training.exhausted_memory import chain, exhausted_memory

FailureClass = Literal[
    "oom_gpu", "oom_host", "node_lost", "worker_killed", "nan_loss", "data", "storage", "versions", "bug", "interrupted"
]
FAILURE_CLASSES: Final[tuple[FailureClass, ...]] = get_args(FailureClass)

MEANING: Final[dict[FailureClass, str]] = {
    "oom_gpu": "the GPU ran out of memory",
    "oom_host": "the machine ran out of memory",
    "node_lost": "the machine left the cluster",
    "worker_killed": "the worker process was killed",
    "nan_loss": "the loss became infinite or not a number",
    "data": "a clip, a manifest or a setting could not be used",
    "storage": "the results could not be written",
    "versions": "the software versions of the worker differ from those at the start of the study",
    "bug": "the program raised an error",
    "interrupted": "the run was interrupted",
}
"""Description of each class."""

DETERMINISTIC: Final[frozenset[str]] = frozenset({"nan_loss", "data", "bug"})
"""Deterministic classes: rerun only with ``--retry-failed``. Other failures are retried by the next run."""

NODE_LOSSES_FORGIVEN: Final = 20
"""Maximum number of node losses of one trial that do not count towards its retry limit, since a lost node was more
likely preempted than crashed by the trial."""

TAIL_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of a trial.

    Attributes:
        message: One-line message for the user.
        frame: ``file:line in function`` of the deepest frame outside the standard library and installed packages; empty
            if there is none.
    """

    kind: FailureClass
    message: str
    frame: str = ""
    tail: str = ""

    @property
    def error(self) -> str:
        """Text of the failure in a record: message, frame and tail."""
        parts = [self.message]
        if self.frame:
            parts.append(f"at {self.frame}")
        if self.tail:
            parts.append(self.tail)
        return "\n".join(parts)


def is_forgiven(kind: str, times: int) -> bool:
    """Whether a trial's ``times``-th worker failure of this class does not count towards the retry limit."""
    return kind == "node_lost" and times <= NODE_LOSSES_FORGIVEN


def classify(error: BaseException) -> Failure:
    """Classifies an exception and describes it."""
    name = type(error).__name__
    text = str(error).strip()
    message = f"{name}: {text.splitlines()[0]}" if text else name
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return Failure(_kind(error), message, own_frame(error.__traceback__), "\n".join(lines[-TAIL_LINES:]))


def _kind(error: BaseException) -> FailureClass:
    names = {cls.__name__ for cls in type(error).__mro__}
    text = str(error)
    declared = getattr(error, "failure", None)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if declared in FAILURE_CLASSES:
        return declared  # type: ignore[no-any-return]
    if names & {"NodeDiedError"} or (names & _DEATHS and "node has died" in text):
        return "node_lost"
    if names & _DEATHS:
        return "worker_killed"
    memory = exhausted_memory(error)
    if memory is not None:
        return "oom_gpu" if memory == "gpu" else "oom_host"
    if isinstance(error, FloatingPointError):
        return "nan_loss"
    if "InputError" in names:
        return "data"
    if refused_by_storage(error):
        return "storage"
    return "bug"


_DEATHS: Final = frozenset({"ActorDiedError", "RayActorError", "WorkerCrashedError", "ActorUnavailableError"})
"""Ray's errors for a dead process; their messages list many possible causes."""

STORAGE_ERRORS: Final = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),  # the write is rejected
        *(errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH),  # unreachable
    }
)
"""Error numbers that indicate that storage rejected an operation."""

_NUMBER_IN_WORDS: Final = re.compile(r"\(os error (\d+)\)")


def refused_by_storage(error: BaseException) -> bool:
    """Whether an error, or one of its causes, means that storage rejected an operation.

    Libraries that write checkpoints wrap the system error: safetensors includes its number in the message, and torch
    raises a second error while handling the first.
    """
    for each in chain(error):
        if isinstance(each, OSError) and (each.errno in STORAGE_ERRORS or store_error_text(each)):
            return True
        number = _NUMBER_IN_WORDS.search(str(each))
        if number is not None and int(number[1]) in STORAGE_ERRORS:
            return True
    return False


def own_frame(trace: TracebackType | None) -> str:
    """``file:line in function`` of the deepest frame outside the standard library and installed packages."""
    foreign = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *site.getsitepackages(), sys.prefix}
    package = str(Path(__file__).resolve().parents[1])
    found = ""
    for frame in traceback.extract_tb(trace):
        own = frame.filename.startswith(package) or not any(frame.filename.startswith(root) for root in foreign)
        if own and not frame.filename.startswith("<"):
            found = f"{_short(frame.filename)}:{frame.lineno} in {frame.name}"
    return found


def _short(filename: str) -> str:
    """Shortens paths of package files to start at the package, so that equal failures have equal text everywhere."""
    path = Path(filename)
    parts = path.parts
    return Path(*parts[parts.index("agrm_study") :]).as_posix() if "agrm_study" in parts else path.as_posix()
