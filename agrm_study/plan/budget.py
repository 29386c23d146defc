"""Number of missing trials that fit within a limit on time or GPU-hours."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """The trials that one run finishes within its limits.

    Attributes:
        time_s: Limit in seconds; None for no limit.
        gpu_hours: Limit on the GPU-hours of the results folder; None for no limit.
        used_gpu_hours: GPU-hours that the results folder has used.
        slots: Number of concurrent trials.
        trials: Number of missing trials that finish within the limits.
        missing: Number of missing trials of known duration.
        unknown: Number of missing trials of unknown duration.
        all_s: Seconds until all trials of known duration would have ended.
        all_gpu_hours: GPU-hours that these trials would use.
    """

    time_s: float | None
    gpu_hours: float | None
    used_gpu_hours: float
    slots: int
    trials: int
    missing: int
    unknown: int
    all_s: float
    all_gpu_hours: float


def bought(
    seconds: Sequence[float | None],
    *,
    slots: int,
    gpu: float,
    used_gpu_hours: float = 0.0,
    time_s: float | None = None,
    gpu_hours: float | None = None,
) -> Bought:
    """The trials that one run finishes if each slot starts the next trial that can still finish within the limits.

    Args:
        seconds: Expected duration of each missing trial, in execution order; None if unknown.
        slots: Number of concurrent trials.
        gpu: GPUs per trial.
        used_gpu_hours: GPU-hours that the results folder has used.
        time_s: See `Bought`.
        gpu_hours: See `Bought`.
    """
    known = [its for its in seconds if its is not None]
    gpu_s = math.inf if gpu_hours is None else 3600 * (gpu_hours - used_gpu_hours)
    ended, _ = _schedule(known, slots, math.inf if time_s is None else time_s, gpu_s, gpu)
    _, all_s = _schedule(known, slots, math.inf, math.inf, gpu)
    return Bought(
        time_s=time_s,
        gpu_hours=gpu_hours,
        used_gpu_hours=used_gpu_hours,
        slots=slots,
        trials=ended,
        missing=len(known),
        unknown=len(seconds) - len(known),
        all_s=all_s,
        all_gpu_hours=math.fsum(known) * gpu / 3600,
    )


def _schedule(seconds: Sequence[float], slots: int, time_s: float, gpu_s: float, gpu: float) -> tuple[int, float]:
    """Number of trials that finish within the limits, and the end time of the last one in seconds."""
    free, ended, last = [0.0] * slots, 0, 0.0
    for its in seconds:
        end = free[0] + its
        if end <= time_s and its * gpu <= gpu_s:
            heapq.heapreplace(free, end)
            gpu_s -= its * gpu
            ended, last = ended + 1, max(last, end)
    return ended, last
