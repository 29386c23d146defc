"""Device-specific behaviour: memory layout, precision, determinism and out-of-memory errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe
from agrm_study.training.bf16 import PaddedFrames, bf16_problem, pads_frames
from agrm_study.training.exhausted_memory import exhausted_memory
from agrm_study.training.failures import DeviceMemoryError
from agrm_study.training.generators import stream_seed

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Device:
    """The device of a trial.

    Args:
        name: ``cpu``, ``cuda`` or ``cuda:N``.
        recipe: Precision, compilation and seed.

    Raises:
        InputError: If torch cannot use the device, or the device does not support the precision.
    """

    def __init__(self, name: str, recipe: Recipe) -> None:
        self.torch = _usable(name)
        self.is_cuda = self.torch.type == "cuda"
        self._half = _HALF.get(recipe.precision)
        self._compile = recipe.compile
        self._recipe = recipe
        if self._half is torch.float16 and not self.is_cuda:
            raise InputError(
                "fp16 requires a GPU", field="precision", given=recipe.precision, allowed="fp32 on this device"
            )
        problem = bf16_problem(self.torch) if self._half is torch.bfloat16 else None
        if problem is not None:
            raise InputError(
                problem,
                field="precision",
                given="bf16",
                allowed="fp16 or fp32 on this device" if self.is_cuda else "fp32 on this device",
            )
        self._deterministic = recipe.deterministic or not self.is_cuda
        if self.is_cuda and self._deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it on first use
        if self.is_cuda:
            torch.cuda.reset_peak_memory_stats(self.torch)
        self.scaler = torch.amp.GradScaler("cuda", enabled=self._half is torch.float16)

    @property
    def description(self) -> str:
        """``cpu``, or the name of the GPU."""
        return torch.cuda.get_device_name(self.torch) if self.is_cuda else "cpu"

    def place(self, network: nn.Module) -> None:
        """Move a network to the device, in channels-last memory format."""
        network.to(self.torch)
        network.to(memory_format=torch.channels_last_3d)

    def compile(self, network: nn.Module) -> None:
        """Compile a network on the device in place if the recipe requests it; the keys of its state dict do not
        change."""
        if self._compile:
            network.compile()

    def upload(self, values: NDArray[Any] | Tensor) -> Tensor:
        """Copy an array to the device; copies from pinned memory are asynchronous."""
        tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
        return tensor.to(self.torch, non_blocking=True)

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Context for forward passes in the recipe's precision."""
        if self._half is None:
            yield
            return
        pads = self._half is torch.bfloat16 and not self.is_cuda and pads_frames()
        with torch.autocast(self.torch.type, dtype=self._half), PaddedFrames() if pads else nullcontext():
            yield

    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of a loss, scaled for fp16."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], clip_norm: float | None) -> None:
        """Run an optimizer step with optional gradient clipping; it is skipped if scaled fp16 gradients overflow."""
        if clip_norm is not None:
            self.scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
        self.scaler.step(optimizer)
        self.scaler.update()

    @property
    def peak_bytes(self) -> int:
        """Peak GPU memory allocated since this object was created, in bytes; 0 on a CPU."""
        return torch.cuda.max_memory_allocated(self.torch) if self.is_cuda else 0

    @contextmanager
    def session(self, epoch: int) -> Iterator[None]:
        """Context for an epoch that restores torch's global settings afterwards.

        It seeds torch's global generators (dropout, stochastic depth) from (seed, "torch", epoch). On a CPU, and on a
        GPU if the recipe requests it, only deterministic algorithms are allowed.

        Raises:
            DeviceMemoryError: If the device is out of memory.
        """
        was_deterministic = torch.are_deterministic_algorithms_enabled()
        was_warning = torch.is_deterministic_algorithms_warn_only_enabled()
        was_filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
        was_benchmark = torch.backends.cudnn.benchmark
        tf32 = _tf32(self._recipe.tf32) if self.is_cuda else nullcontext()
        with tf32, torch.random.fork_rng(devices=[self.torch] if self.is_cuda else []):
            torch.manual_seed(stream_seed(self._recipe.seed, "torch", epoch))
            try:
                torch.backends.cudnn.benchmark = self.is_cuda and not self._deterministic
                if self._deterministic:
                    torch.use_deterministic_algorithms(True)
                    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
                yield
            except Exception as error:
                if self._deterministic and "deterministic implementation" in str(error):
                    raise InputError(
                        f"this network has no deterministic backward pass on {self.torch.type}",
                        field="deterministic",
                        given=True,
                        hint=f"Set it to false, or use a different backbone or pooling. {str(error).splitlines()[0]}",
                    ) from error
                if exhausted_memory(error) == ("gpu" if self.is_cuda else "host"):
                    raise self._out_of_memory() from error
                raise
            finally:
                torch.backends.cudnn.benchmark = was_benchmark
                torch.use_deterministic_algorithms(was_deterministic, warn_only=was_warning)
                torch.utils.deterministic.fill_uninitialized_memory = was_filling  # type: ignore[attr-defined]

    def _out_of_memory(self) -> DeviceMemoryError:
        batch, clip = self._recipe.batch, self._recipe.clip
        text = (
            f"{batch.labelled} labelled and {batch.unlabelled} unlabelled clips of {clip.frames} x {clip.size} x "
            f"{clip.size} in {batch.accumulate} part{'s' if batch.accumulate > 1 else ''}"
        )
        return DeviceMemoryError(self.torch.type, self.description, self.peak_bytes, text)


@contextmanager
def _tf32(where: str) -> Iterator[None]:
    """Context in which a GPU may use TF32 in convolutions, also in matrix products (``all``), or never (``none``)."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = where != "none", where == "all"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def _usable(name: str) -> torch.device:
    allowed = "cpu, cuda, cuda:N"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError("must be a torch device", field="device", given=name, allowed=allowed) from None
    if device.type not in ("cpu", "cuda"):
        raise InputError("must be a CPU or a CUDA device", field="device", given=name, allowed=allowed)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            "the GPU does not exist",
            field="device",
            given=name,
            allowed=f"cpu, or one of the {torch.cuda.device_count()} GPUs visible to torch",
        )
    return device
