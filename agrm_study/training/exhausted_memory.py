"""Detection of errors that report exhausted GPU or host memory."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from typing import Final, Literal

from agrm_study.training.failures import DeviceMemoryError

Memory = Literal["gpu", "host"]

_GPU: Final = re.compile(
    r"CUDA out of memory"  # torch's caching allocator (`torch.OutOfMemoryError`)
    r"|CUDA(?: driver)? error: out of memory"  # CUDA runtime, e.g. no memory for a context (`torch.AcceleratorError`)
    r"|Triton Error \[CUDA\]: out of memory"
    r"|CUDA_ERROR_OUT_OF_MEMORY"
    r"|CUDA ran out of memory outside PyTorch's allocator"
    r"|(?:CUBLAS|CUSOLVER|CUSPARSE)_STATUS_ALLOC_FAILED|CUFFT_ALLOC_FAILED"
    r"|CUDNN_STATUS_ALLOC_FAILED"  # cuDNN up to version 8
    r"|CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"  # cuDNN from version 9
)
_HOST: Final = re.compile(
    r"DefaultCPUAllocator: (?:can't allocate|not enough) memory"  # torch
    r"|Cannot allocate memory"  # message of ENOMEM: mmap, fork, loading of shared libraries
    r"|CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"
    r"|std::bad_alloc"
    r"|can't start new thread"  # no address space for a stack
)
_CUDA_OUT_OF_MEMORY: Final = 2
"""``cudaErrorMemoryAllocation``."""


def exhausted_memory(error: BaseException) -> Memory | None:
    """The memory reported as exhausted by an error or one of its causes; ``None`` if there is no such report.

    Python, NumPy, Arrow and safetensors raise `MemoryError`; torch, cuBLAS and cuDNN raise `RuntimeError`, which is
    recognised by its message.
    """
    for each in chain(error):
        if (found := _reported(each)) is not None:
            return found
    return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, most recent first."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)


def _reported(error: BaseException) -> Memory | None:
    if isinstance(error, DeviceMemoryError):
        return "host" if error.facts["device"] == "cpu" else "gpu"
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "host"
    names, text = {cls.__name__ for cls in type(error).__mro__}, str(error)
    from_torch = type(error).__module__.partition(".")[0] == "torch"
    if "AcceleratorError" in names and getattr(error, "error_code", None) == _CUDA_OUT_OF_MEMORY:
        return "gpu"
    if _GPU.search(text) or ("OutOfMemoryError" in names and from_torch):
        return "gpu"
    return "host" if "OutOfMemoryError" in names or _HOST.search(text) else None
