"""Training step with backbones other than the paper's, and compilation in two consecutive trials of one worker."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial

import torch
from step import timed

from agrm_study.study.recipe import Recipe
from agrm_study.training.rehearsal import Rehearsal
from gpu_parts.rows import NEEDS_GPU, Deadline, Row, measured
from gpu_parts.shapes import PAPER
from gpu_parts.steps import peak_mib, seconds

BACKBONES = ("s3d", "mvit_v2_s", "swin3d_t", "uniformer_s", "r2plus1d_18")
NEEDS_S = 25.0
"""Time limit for a backbone in seconds, including kernel selection; two compilations get four times as long."""


def recipe(backbone: str = "r3d_18", *, compiled: bool = False) -> Recipe:
    """The base recipe in bf16 with the paper's input shape."""
    return PAPER.recipe(model={"backbone": backbone}, precision="bf16", compile=compiled)


def network_rows(device: str, deadline: Deadline) -> Iterator[Row]:
    """One row for each backbone.

    Args:
        device: ``cpu`` or ``cuda``.
        deadline: Deadline of the script.
    """
    for backbone in BACKBONES:
        if device == "cpu":
            yield Row(part="networks", setting=backbone, state="not run", note=NEEDS_GPU)
            continue
        yield measured("networks", backbone, deadline, NEEDS_S, partial(network_row, backbone, device))
        gc.collect()
        torch.cuda.empty_cache()


def network_row(backbone: str, device: str) -> Row:
    """Time an AGRM step with a backbone on random clips, from rendering to the updated teacher."""
    made = Rehearsal(recipe(backbone), device)
    with made.device.session(1):
        step = partial(made.step, unlabelled=True)
        step_s = seconds(step, made.device.torch, PAPER)
        figures = {"step_ms": 1e3 * step_s, "clips_per_s": 2 * PAPER.batch / step_s}
        if device != "cpu":
            figures["step_peak_mib"] = peak_mib(step, made.device.torch)
    note = f"bf16, {PAPER.batch} + {PAPER.batch} clips of {PAPER.frames} x {PAPER.size} x {PAPER.size}"
    return Row(part="networks", setting=backbone, state="measured", figures=figures, note=note)


def compile_rows(device: str, deadline: Deadline) -> Iterator[Row]:
    """One row: first step of a compiled trial, and of the next trial in the same worker.

    Args:
        device: ``cpu`` or ``cuda``.
        deadline: Deadline of the script.
    """
    setting = "two trials"
    if device == "cpu":
        yield Row(part="compile", setting=setting, state="not run", note=NEEDS_GPU)
        return
    yield measured("compile", setting, deadline, 4 * NEEDS_S, partial(compile_row, setting, device))


def compile_row(setting: str, device: str) -> Row:
    """Time the first steps. Between trials the worker resets the compiler (`AgrmRunner.close`) but keeps its cache on
    disk.

    Raises:
        RuntimeError: If the second trial does not run compiled.
    """
    figures: dict[str, float] = {}
    for trial in ("first", "second"):
        made = Rehearsal(recipe(compiled=True), device, compiled=True)
        with made.device.session(1):
            step = partial(made.step, unlabelled=True)
            figures[f"{trial}_trial_s"] = timed(step, made.device.torch)
            figures[f"{trial}_step_ms"] = 1e3 * seconds(step, made.device.torch, PAPER)
        del made, step
        torch.compiler.reset()
        gc.collect()
        if device != "cpu":
            torch.cuda.empty_cache()
    if figures["second_step_ms"] > 1.25 * figures["first_step_ms"]:
        raise RuntimeError("the second trial of a worker is slower than the first: it does not run compiled")
    return Row(part="compile", setting=setting, state="measured", figures=figures, note="first step, with compiling")
