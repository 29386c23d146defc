"""Is every failure given the class that decides what happens to its trial?"""

from __future__ import annotations

import errno
import json

import pytest

from agrm_study.execution.trial.failures import DETERMINISTIC, FAILURE_CLASSES, MEANING, classify
from agrm_study.study.errors import InputError
from agrm_study.training.failures import DeviceMemoryError, NanLossError


class ActorDiedError(Exception):
    """As Ray's."""


class SafetensorError(Exception):
    """As safetensors'."""


def torch_on_a_full_disk() -> RuntimeError:
    """torch's writer raises a second error while it handles the system's."""
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0")
    except RuntimeError as error:
        return error


class OutOfMemoryError(RuntimeError):
    """As torch's."""


DEAD_WORKER = """The actor died unexpectedly before finishing this task.
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker
unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was killed
by the OOM killer due to high memory usage, (2) ray stop --force was called, or (3) the worker crashed."""
DEAD_NODE = "The actor died because its node has died. Node Id: 12ab"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NanLossError(3, 1, {"loss_supervised": float("inf")}), "nan_loss"),
        (FloatingPointError("overflow"), "nan_loss"),
        (DeviceMemoryError("cuda:0", "NVIDIA H200", 10**9, "16 clips"), "oom_gpu"),
        (DeviceMemoryError("cpu", "cpu", 0, "16 clips"), "oom_host"),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "oom_gpu"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "oom_host"),
        (MemoryError(), "oom_host"),
        (InputError("the video file does not exist"), "data"),
        (OSError(errno.ENOSPC, "No space left on device"), "storage"),
        (PermissionError(errno.EACCES, "Permission denied"), "storage"),
        (OSError(errno.ESTALE, "Stale file handle"), "storage"),
        (OSError("When writing key 'a' in bucket 'b': AWS Error NETWORK_CONNECTION during PutObject"), "storage"),
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), "storage"),
        (SafetensorError("Error while serializing: I/O error: Is a directory (os error 21)"), "bug"),
        (torch_on_a_full_disk(), "storage"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "bug"),
        (ActorDiedError(DEAD_WORKER), "worker_killed"),
        (ActorDiedError(DEAD_NODE), "node_lost"),
        (KeyboardInterrupt(), "interrupted"),
        (ZeroDivisionError("division by zero"), "bug"),
    ],
)
def test_an_exception_has_the_class_that_its_cause_deserves(error: BaseException, kind: str) -> None:
    assert classify(error).kind == kind


def test_every_class_has_a_meaning_and_those_that_repeat_are_known() -> None:
    assert set(MEANING) == set(FAILURE_CLASSES)
    assert set(FAILURE_CLASSES) > DETERMINISTIC


def test_the_frame_named_is_the_users_own_even_when_a_library_raised() -> None:
    try:
        json.loads("{")
    except ValueError as error:
        failure = classify(error)
    assert failure.kind == "bug"
    assert "test_failures.py" in failure.frame
    assert failure.frame.endswith("in test_the_frame_named_is_the_users_own_even_when_a_library_raised")
    assert "json/decoder.py" in failure.tail
    assert failure.error.splitlines()[0].startswith("JSONDecodeError: Expecting property name")


def test_an_exception_without_words_or_traceback_is_still_told() -> None:
    failure = classify(ValueError())
    assert (failure.message, failure.frame) == ("ValueError", "")
