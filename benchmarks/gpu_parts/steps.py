"""Training step in each precision, compared with a plain torchvision loop and with the FLOPs of the step.

- `step`: an AGRM step as in a trial, from stored bytes (read two steps ahead) to the updated teacher;
- `learn`: the same on rendered clips;
- `loop`: torchvision's `r3d_18` on the same clips: contiguous tensors, one graph for both losses, `torch.optim.Adam`,
  the teacher's average over the state dict in Python;
- FLOPs of a step are counted by `torch.utils.flop_counter` (a multiply-add counts as two), divided by the time of
  `learn`, and compared with the FLOP/s of a product of large square matrices on the same device in the same precision,
  and with the vendor's figure for the GPU if it is listed here.
"""

from __future__ import annotations

import copy
import gc
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from step import ArrayStore, Ours, timed, wait
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.video import r3d_18

from gpu_parts.rows import NEEDS_GPU, Deadline, Row, measured
from gpu_parts.shapes import Shape

NEEDS_S = 45.0
"""Time limit for a precision with the paper's input shape in seconds, including kernel selection; compiled steps get
twice as long."""


@dataclass(frozen=True, slots=True)
class Precision:
    """Numerical settings of a step.

    Attributes:
        name: Name in the table.
        recipe: Value of the recipe's `precision`.
        tf32: Whether convolutions and matrix products in single precision may use TF32.
        compiled: Whether the networks are compiled.
        deterministic: Whether only deterministic algorithms may be used.
    """

    name: str
    recipe: str
    tf32: bool = True
    compiled: bool = False
    deterministic: bool = False


PRECISIONS = (
    Precision("fp32", "fp32", tf32=False),
    Precision("tf32", "fp32"),
    Precision("bf16", "bf16"),
    Precision("fp16", "fp16"),
    Precision("bf16, compiled", "bf16", compiled=True),
    Precision("bf16, deterministic", "bf16", deterministic=True),
)
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}

VENDOR_TFLOPS = {
    "NVIDIA A100": {"fp32": 19.5, "tf32": 156.0, "bf16": 312.0, "fp16": 312.0},
    "NVIDIA H100 PCIe": {"fp32": 51.0, "tf32": 378.0, "bf16": 756.0, "fp16": 756.0},
    "NVIDIA H100 80GB HBM3": {"fp32": 67.0, "tf32": 494.0, "bf16": 989.0, "fp16": 989.0},
    "NVIDIA H200": {"fp32": 67.0, "tf32": 494.0, "bf16": 989.0, "fp16": 989.0},
}
"""TFLOP/s without sparsity from NVIDIA's data sheets, by prefix of the GPU's name."""


def step_rows(shape: Shape, device: str, deadline: Deadline) -> Iterator[Row]:
    """One row per precision; on a CPU, single precision only.

    Args:
        shape: Shape of a step.
        device: ``cpu`` or ``cuda``.
        deadline: Deadline of the script.
    """
    tflop: float | None = None
    for precision in PRECISIONS:
        if device == "cpu" and precision.name != "fp32":
            yield Row(part="step", setting=precision.name, state="not run", note=NEEDS_GPU)
            continue
        needs = 0.0 if device == "cpu" else NEEDS_S * (1 + precision.compiled)
        with using_tf32(precision.tf32):
            row = measured("step", precision.name, deadline, needs, partial(step_row, precision, shape, device, tflop))
        tflop = row.figures.get("step_tflop", tflop)
        yield row
        gc.collect()
        if device == "cuda":
            torch.cuda.empty_cache()


def step_row(precision: Precision, shape: Shape, device: str, tflop: float | None = None) -> Row:
    """Time one precision.

    Args:
        precision: Numerical settings of the step.
        shape: Shape of a step.
        device: ``cpu`` or ``cuda``.
        tflop: Operations per step in 10¹², equal in every precision; counted if not given, which is impossible for a
            compiled network because its graph hides the operators.
    """
    recipe = shape.recipe(precision=precision.recipe, compile=precision.compiled, deterministic=precision.deterministic)
    side, stored, count = shape.size * 8 // 7, shape.frames + 12, 4 * shape.batch
    store = ArrayStore(2 * count, stored, side)
    ours = Ours(recipe, device, store, count, stored, side, ahead=2 if device == "cuda" else 0)
    place = ours.device
    with place.session(1):
        batches = ours.next_batch()

        def learn() -> None:
            ours.learner.step(*batches, 1.0, ours.stats)

        if tflop is None and not precision.compiled:
            tflop = step_flops(learn) / 1e12
        figures = {**timing("step", ours.step, place.torch, shape), **timing("learn", learn, place.torch, shape)}
        note = f"{shape.batch} + {shape.batch} clips of {shape.frames} x {shape.size} x {shape.size}"
        note += " on the CPU" if device == "cpu" else ""
        if not precision.deterministic:  # the loop's pooling may lack a deterministic algorithm
            loop = Loop(batches[0].clips_BCTHW, batches[0].labels_B, batches[1].student_BCTHW, batches[1].label_BCTHW,
                        precision=precision.recipe, tau=recipe.ssl.threshold.tau)  # fmt: skip
            try:
                figures |= timing("loop", loop.step, place.torch, shape)
                figures["loop_over_learn"] = figures["loop_ms"] / figures["learn_ms"]
                figures["loop_over_step"] = figures["loop_ms"] / figures["step_ms"]
            except torch.OutOfMemoryError:
                note += "; not enough memory for the loop"
    if tflop is not None:
        reached = tflop / figures["learn_ms"] * 1e3
        figures |= {"step_tflop": tflop, "tflop_per_s": reached}
        figures["share_of_product"] = reached / product_tflops(shape.product, place.torch, HALF.get(precision.recipe))
        kind = precision.name.partition(",")[0]
        if vendor := vendor_tflops(place.description, kind):
            figures["share_of_vendor"] = reached / vendor
    return Row(part="step", setting=precision.name, state="measured", figures=figures, note=note)


class Loop:
    """A Mean Teacher step with pseudo-labels around torchvision's `r3d_18`, on one batch.

    Args:
        labelled_BCTHW: Labelled clips.
        labels_B: Their classes.
        student_BCTHW: The student's view of the unlabelled clips.
        label_BCTHW: The teacher's view of the same clips.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        tau: Minimum confidence of a pseudo-label.
    """

    def __init__(
        self, labelled_BCTHW: Tensor, labels_B: Tensor, student_BCTHW: Tensor, label_BCTHW: Tensor, *,
        precision: str, tau: float,
    ) -> None:  # fmt: skip
        device = labelled_BCTHW.device
        self.labelled, self.student_view, self.label_view = (
            clips.contiguous() for clips in (labelled_BCTHW, student_BCTHW, label_BCTHW)
        )
        self.labels, self.tau, self.half, self.kind = labels_B, tau, HALF.get(precision), device.type
        self.student: nn.Module = r3d_18(num_classes=3).to(device).train()
        self.teacher = copy.deepcopy(self.student).requires_grad_(False).eval()
        self.optimizer = torch.optim.Adam(self.student.parameters(), lr=1e-4)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half is torch.float16)

    def step(self) -> None:
        with nullcontext() if self.half is None else torch.autocast(self.kind, dtype=self.half):
            supervised = F.cross_entropy(self.student(self.labelled), self.labels)
            logits = self.student(self.student_view)
            with torch.no_grad():
                target = self.teacher(self.label_view).softmax(1)
            consistency = (logits.softmax(1) - target).square().sum(1).mean()
            confidence, pseudo = target.max(1)
            accepted = (confidence > self.tau).float()
            loss = supervised + consistency + (accepted * F.cross_entropy(logits, pseudo, reduction="none")).mean()
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        student = self.student.state_dict()
        with torch.no_grad():
            for name, value in self.teacher.state_dict().items():
                if value.is_floating_point():
                    value.copy_(0.99 * value + 0.01 * student[name])


def step_flops(call: Callable[[], None]) -> int:
    """Floating-point operations of the convolutions and matrix products in a call, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def product_tflops(rows: int, device: torch.device, half: torch.dtype | None) -> float:
    """Measured TFLOP/s of the product of two square matrices."""
    one, two = (torch.randn(rows, rows, device=device, dtype=half or torch.float32) for _ in range(2))

    def product() -> None:
        one @ two

    product()
    return 2 * rows**3 / min(timed(product, device) for _ in range(5)) / 1e12


def vendor_tflops(card: str, precision: str) -> float | None:
    """The vendor's TFLOP/s for a GPU and a precision; None if the GPU is not listed."""
    known = next((value for name, value in VENDOR_TFLOPS.items() if card.startswith(name)), {})
    return known.get(precision)


def timing(name: str, call: Callable[[], Any], device: torch.device, shape: Shape) -> dict[str, float]:
    """Duration of a call in milliseconds, and on a GPU its memory."""
    found = {f"{name}_ms": 1e3 * seconds(call, device, shape)}
    return found if device.type == "cpu" else found | {f"{name}_peak_mib": peak_mib(call, device)}


def seconds(call: Callable[[], Any], device: torch.device, shape: Shape) -> float:
    """Median duration of a call after the warm-up, in seconds."""
    for _ in range(shape.warm_up):
        call()
    return statistics.median(timed(call, device) for _ in range(shape.steps))


def peak_mib(call: Callable[[], Any], device: torch.device) -> float:
    """Peak tensor memory of a call, minus the memory allocated before it, in MiB."""
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    wait(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


@contextmanager
def using_tf32(allowed: bool) -> Iterator[None]:
    """Context that enables or disables TF32 in convolutions and matrix products."""
    was = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = was
