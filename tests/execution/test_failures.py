"""Every failure has the class that determines how its trial is handled."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from typing import Any

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


class OutOfMemoryError(Exception):
    """As Ray's."""


def of_torch(name: str, text: str, **facts: Any) -> RuntimeError:
    """An error of a class of torch's, made without torch."""
    error: RuntimeError = type(name, (RuntimeError,), {"__module__": "torch", **facts})(text)
    return error


def caused_by(error: BaseException) -> RuntimeError:
    """An error that a library raises because of another."""
    try:
        raise RuntimeError("the batch could not be made") from error
    except RuntimeError as wrapped:
        return wrapped


DEAD_WORKER = """The actor died unexpectedly before finishing this task.
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker
unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was killed
by the OOM killer due to high memory usage, (2) ray stop --force was called, or (3) the worker crashed."""
CONTEXT = """CUDA error: out of memory
Search for `cudaErrorMemoryAllocation' in https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html"""
DEAD_NODE = "The actor died because its node has died. Node Id: 12ab"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NanLossError(3, 1, {"loss_supervised": float("inf")}), "nan_loss"),
        (FloatingPointError("overflow"), "nan_loss"),
        (DeviceMemoryError("cuda:0", "NVIDIA H200", 10**9, "16 clips"), "oom_gpu"),
        (DeviceMemoryError("cpu", "cpu", 0, "16 clips"), "oom_host"),
        (of_torch("OutOfMemoryError", "CUDA out of memory. Tried to allocate 20 GiB"), "oom_gpu"),
        (of_torch("OutOfMemoryError", "the device has none left"), "oom_gpu"),
        (RuntimeError(CONTEXT), "oom_gpu"),
        (of_torch("AcceleratorError", CONTEXT, error_code=2), "oom_gpu"),
        (of_torch("AcceleratorError", "CUDA error: an illegal memory access", error_code=700), "bug"),
        (RuntimeError("CUDA driver error: out of memory"), "oom_gpu"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "oom_gpu"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "oom_gpu"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), "oom_gpu"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"), "oom_host"),
        (caused_by(RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED")), "oom_gpu"),
        (OutOfMemoryError("Task was killed due to the node running low on memory."), "oom_host"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "oom_host"),
        (MemoryError(), "oom_host"),
        (caused_by(MemoryError()), "oom_host"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "oom_host"),
        (ImportError("libx.so: failed to map segment from shared object: Cannot allocate memory"), "oom_host"),
        (ImportError("libx.so: cannot allocate memory in static TLS block"), "bug"),
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


LITTLE_MEMORY = """
import mmap, os, resource, sys, tempfile, threading
import numpy as np, pyarrow as pa, safetensors.torch, torch
from agrm_study.execution.trial.failures import classify

torch.zeros(1)
folder = tempfile.mkdtemp()
tensors, array = f"{folder}/t.safetensors", f"{folder}/t.pt"
safetensors.torch.save_file({"a": torch.zeros(16 << 20)}, tensors)
torch.save(torch.zeros(16 << 20), array)
with open(f"{folder}/hole", "wb") as hole:
    hole.truncate(4 << 30)
with open("/proc/self/statm") as facts:
    used = int(facts.read().split()[0]) * mmap.PAGESIZE
resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20),) * 2)

def threads():
    ended = threading.Event()
    started = [threading.Thread(target=ended.wait, daemon=True) for _ in range(400)]
    try:
        for thread in started:
            thread.start()
    finally:
        ended.set()

for attempt in (
    lambda: np.zeros(1 << 33), lambda: np.memmap(f"{folder}/hole", mode="r"), lambda: torch.zeros(1 << 30),
    lambda: torch.load(array, mmap=True), lambda: pa.allocate_buffer(1 << 33), lambda: pa.memory_map(f"{folder}/hole"),
    lambda: safetensors.torch.load_file(tensors), lambda: bytearray(1 << 33), threads,
):
    try:
        attempt()
    except Exception as error:
        print(classify(error).kind)
"""


def test_libraries_that_find_no_memory_under_a_limit_of_the_shell_are_no_bug() -> None:
    done = subprocess.run([sys.executable, "-c", LITTLE_MEMORY], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["oom_host"] * 9, done.stderr
