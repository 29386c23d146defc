"""Whether a device supports bfloat16 and computes it correctly."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import torch
from torch import nn
from torch.nn.grad import conv3d_weight

CPU_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""CPU flags for bfloat16 products: two for x86, one for Arm."""
TOLERANCE: Final = 0.05
"""Largest deviation of a correct bf16 gradient from that in fp32, relative to the largest gradient (0.005 is usual)."""


def bf16_problem(device: torch.device) -> str | None:
    """Reason why training in bf16 is refused on a device; None if it is accepted.

    Devices on which torch emulates bfloat16 are refused, as they are slower than in fp32.
    """
    if device.type == "cuda":
        usable = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if usable else "this GPU does not compute in bfloat16"
    if not cpu_flags() & CPU_FLAGS:
        return "this CPU does not compute in bfloat16"
    if not gradients_are_right():
        return "this torch computes wrong bfloat16 gradients on this CPU (3 × 3 × 3 convolutions of two frames)"
    return None


@cache
def cpu_flags() -> frozenset[str]:
    """Instruction sets of this machine's processors, as Linux names them; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    named = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return frozenset(named.partition(":")[2].split())


@cache
def gradients_are_right() -> bool:
    """Whether the weight gradient of a 3D convolution in bf16 on this CPU agrees with that in fp32.

    In torch 2.14.1 (oneDNN, AVX512-BF16) it does not for two frames, which nearly every network reaches in its last
    stages: it contains whatever the memory held before. Freed memory with NaN makes that visible.
    """
    generator = torch.Generator().manual_seed(0)
    convolution = nn.Conv3d(16, 16, 3, padding=1, bias=False)
    for frames in (2, 2, 2, 1, 3, 4):
        clips = torch.randn(5, 16, frames, 6, 6, generator=generator)
        gradient = torch.randn(5, 16, frames, 6, 6, generator=generator)
        del [torch.full((2000,), float("nan")) for _ in range(20)][:]
        convolution.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = convolution(clips)
        outputs.backward(gradient.to(outputs.dtype))
        wanted = conv3d_weight(clips, convolution.weight.shape, gradient, padding=1)  # type: ignore[no-untyped-call]
        found = convolution.weight.grad
        if found is None or not bool((found - wanted).abs().max() <= TOLERANCE * wanted.abs().max()):
            return False
    return True
