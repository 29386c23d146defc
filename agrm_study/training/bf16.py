"""Checks of whether a device supports bfloat16 and computes correct gradients with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv3d_weight
from torch.overrides import TorchFunctionMode

CPU_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""CPU flags that indicate support for bfloat16 products: two for x86, one for Arm."""
TWO_FRAMES: Final = 2
TOLERANCE: Final = 0.05
"""Maximum deviation of a correct bf16 gradient from the fp32 gradient, relative to the largest gradient entry (typical:
0.005)."""


def bf16_problem(device: torch.device) -> str | None:
    """Reason why a device does not support training in bf16; None if it does.

    Devices on which torch emulates bfloat16 are rejected, since bf16 is slower than fp32 on them.
    """
    if device.type == "cuda":
        usable = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if usable else "this GPU has no native bfloat16 support"
    if not cpu_flags() & CPU_FLAGS:
        return "this CPU has no native bfloat16 support"
    if not gradients_are_right(padded=pads_frames()):
        return (
            "this version of torch computes incorrect bfloat16 gradients on this CPU (3 × 3 × 3 convolutions of two "
            "frames)"
        )
    return None


def pads_frames() -> bool:
    """Whether convolutions in bf16 on this CPU need `PaddedFrames` for correct gradients."""
    return not gradients_are_right(padded=False)


class PaddedFrames(TorchFunctionMode):
    """Context that pads inputs of two frames in a separate operation before 3D convolutions; outputs do not change.

    oneDNN computes an incorrect weight gradient if the convolution itself pads such inputs (see `gradients_are_right`).
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return (_conv3d if func is torch.conv3d else func)(*args, **(kwargs or {}))


def _conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    if input.dim() == 5 and input.shape[2] == TWO_FRAMES and padding != "valid":
        if padding == "same":
            totals = [(size - 1) * step for size, step in zip(weight.shape[2:], _triple(dilation), strict=True)]
            around, padding = [n for total in reversed(totals) for n in (total // 2, total - total // 2)], 0
        else:
            frames, *rest = _triple(padding)
            around, padding = [0, 0, 0, 0, frames, frames], (0, *rest)
        input = F.pad(input, around)
    return torch.conv3d(input, weight, bias, stride, padding, dilation, groups)


def _triple(value: Any) -> Any:
    return value if isinstance(value, Sequence) else (value,) * 3


@cache
def cpu_flags() -> frozenset[str]:
    """Instruction sets of this machine's CPU, as reported by Linux; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    named = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return frozenset(named.partition(":")[2].split())


@cache
def gradients_are_right(*, padded: bool) -> bool:
    """Whether the weight gradient of a 3D convolution in bf16 on this CPU agrees with the fp32 gradient.

    In torch 2.14.1 (oneDNN, AVX512-BF16), the gradients differ for two frames, the temporal size in the last stages of
    nearly every network: the bf16 gradient contains uninitialised memory. The test fills freed memory with NaN to
    expose this error.

    Args:
        padded: Whether to test within `PaddedFrames`.
    """
    generator = torch.Generator().manual_seed(0)
    convolution = nn.Conv3d(16, 16, 3, padding=1, bias=False)
    for frames in (2, 2, 2, 1, 3, 4):
        clips = torch.randn(5, 16, frames, 6, 6, generator=generator)
        gradient = torch.randn(5, 16, frames, 6, 6, generator=generator)
        del [torch.full((2000,), float("nan")) for _ in range(20)][:]
        convolution.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16), PaddedFrames() if padded else nullcontext():
            outputs = convolution(clips)
        outputs.backward(gradient.to(outputs.dtype))
        wanted = conv3d_weight(clips, convolution.weight.shape, gradient, padding=1)  # type: ignore[no-untyped-call]
        found = convolution.weight.grad
        if found is None or not bool((found - wanted).abs().max() <= TOLERANCE * wanted.abs().max()):
            return False
    return True
