"""Time and memory of a training step, compared with its arithmetic alone and with a straightforward implementation.

    OMP_NUM_THREADS=1 python benchmarks/step.py                     # 8 frames of 64 x 64, one thread
    OMP_NUM_THREADS=1 python benchmarks/step.py --shape demo        # the shape of `make demo`
    OMP_NUM_THREADS=1 python benchmarks/step.py --shape paper       # 16 frames of 224 x 224, R3D-18
    python benchmarks/step.py --shape paper --device cuda

The following are timed in turn, over several rounds in one process, so that the ratios of their medians refer to the
same state of the machine:

- `step`: an AGRM step of `agrm_study.training`, from the stored bytes to the updated teacher;
- `parts`: the necessary arithmetic, on the bare network: forward and backward passes of the labelled and the unlabelled
  clips, and the forward pass of the teacher;
- `extras`: the additional work of the step alone: reading and rendering the three views, and updating the teacher's
  average;
- `joint`: the step with `ssl.batch_norm: joint`, labelled and unlabelled clips in one pass of the student;
- `bf16`: the step in bf16, if the device supports bf16 and `--precision` is fp32;
- `loop`: the straightforward torchvision loop: contiguous tensors, transforms.v2 clip by clip, one graph for both
  losses, an average over the state dict in Python.

Peak memory is the peak of tensor memory during a step minus the tensor memory before it.
"""

from __future__ import annotations

import argparse
import copy
import gc
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torchvision.transforms import v2

from agrm_study.study.recipe import Recipe
from agrm_study.training.augment.pixels import MEAN, STD, Renderer
from agrm_study.training.batches import Batches, LabelledBatch, UnlabelledBatch
from agrm_study.training.bf16 import bf16_problem
from agrm_study.training.clipset import ClipSet
from agrm_study.training.device import Device
from agrm_study.training.models.build import build_model
from agrm_study.training.schedule import build_optimizer
from agrm_study.training.ssl.losses import build_loss
from agrm_study.training.ssl.networks import Networks
from agrm_study.training.ssl.pseudo import PseudoStats
from agrm_study.training.ssl.step import Learner
from agrm_study.training.ssl.thresholds import build_policy

SHAPES = {
    "demo": {"width": 8, "depth": 10, "frames": 4, "size": 48, "cpu": 8, "cuda": 64},
    "small": {"width": 16, "depth": 18, "frames": 8, "size": 64, "cpu": 16, "cuda": 64},
    "paper": {"width": 64, "depth": 18, "frames": 16, "size": 224, "cpu": 2, "cuda": 16},
}
"""Labelled clips per batch by device, with the same number of unlabelled clips (the paper's 16 + 16 do not fit on a
laptop)."""


class ArrayStore:
    """A clip store that returns random bytes."""

    def __init__(self, clips: int, frames: int, side: int) -> None:
        self._bytes = np.random.default_rng(0).integers(0, 256, (clips, frames, 3, side, side), dtype=np.uint8)

    def gather(self, rows_B, frames_BT, tops_B, lefts_B, size: int) -> np.ndarray:
        windows = zip(rows_B, frames_BT, tops_B, lefts_B, strict=True)
        return np.stack([self._bytes[row][frames, :, t : t + size, x : x + size] for row, frames, t, x in windows])

    def clip(self, row: int, first: int, frames: int) -> np.ndarray:
        return self._bytes[row, first : first + frames]


def clip_set(count: int, frames: int, side: int, first_row: int) -> ClipSet:
    """Clips of equal length and size, in rows starting at `first_row`."""
    names = tuple(f"clip{index}" for index in range(count))
    full = np.full(count, side)
    return ClipSet(
        clip_ids=names,
        subject_ids=names,
        rows_N=np.arange(first_row, first_row + count),
        lengths_N=np.full(count, frames),
        heights_N=full,
        widths_N=full,
        labels_N=np.arange(count) % 3,
    )


class Ours:
    """The training step of the package."""

    def __init__(
        self, recipe: Recipe, device_name: str, store: ArrayStore, count: int, stored: int, side: int, *, ahead: int = 0
    ) -> None:
        self.device = Device(device_name, recipe)
        self.student = build_model(recipe.model, n_outputs=3, frames=recipe.clip.frames, size=recipe.clip.size, seed=0)
        self.device.place(self.student)
        self.device.compile(self.student)
        self.networks = Networks(self.student, recipe.ssl.ema, self.device)
        self.networks.start_teacher()
        self.learner = Learner(
            recipe,
            networks=self.networks,
            optimizer=build_optimizer(recipe.optimizer, list(self.student.parameters())),
            loss=build_loss(recipe.loss, recipe.classes, [1, 1, 1], order=recipe.task.order),
            policy=build_policy(recipe.ssl.threshold, 3, count),
            device=self.device,
        )
        self.renderer = Renderer(0, recipe.clip.size, self.device.torch)
        self.batches = Batches(
            recipe,
            store=store,
            labelled=clip_set(count, stored, side, 0),
            unlabelled=clip_set(count, stored, side, count),
            renderer=self.renderer,
            device=self.device,
            label_view=True,
            ahead=ahead,
        )
        self.batch = recipe.batch.labelled
        self.stats = PseudoStats(3, self.device.torch)
        self._epoch, self._steps = 0, iter(())
        self._store, self._recipe = store, recipe
        self.student.train()

    def next_batch(self) -> tuple[LabelledBatch, UnlabelledBatch]:
        for step in self._steps:
            return step
        self._epoch += 1
        self._steps = self.batches.epoch(self._epoch, unlabelled=True)
        return next(self._steps)

    def step(self) -> None:
        self.learner.step(*self.next_batch(), 1.0, self.stats)

    def extras(self) -> None:
        """Reading and rendering of the three views of a step, and the update of the teacher's average."""
        self.next_batch()
        self.networks.teacher.update()


class Parts:
    """The arithmetic of the network alone."""

    def __init__(self, ours: Ours) -> None:
        self.student, self.autocast = copy.deepcopy(ours.student), ours.device.autocast
        self.teacher = copy.deepcopy(ours.student).requires_grad_(False).eval()
        labelled, unlabelled = ours.next_batch()
        self.labelled, self.student_view, self.label_view = (
            labelled.clips_BCTHW, unlabelled.student_BCTHW, unlabelled.label_BCTHW,
        )  # fmt: skip

    def step(self) -> None:
        for parameter in self.student.parameters():
            parameter.grad = None
        for clips in (self.labelled, self.student_view):
            with self.autocast():
                total = self.student(clips).float().square().sum()
            total.backward()
        with torch.no_grad(), self.autocast():
            self.teacher(self.label_view)


class Loop:
    """A straightforward implementation with torchvision."""

    def __init__(self, recipe: Recipe, device: torch.device, store: ArrayStore, count: int, stored: int) -> None:
        clip, strong, self.recipe = recipe.clip, recipe.augment.strong, recipe
        self.student = build_model(recipe.model, n_outputs=3, frames=clip.frames, size=clip.size, seed=0).to(device)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False).eval()
        self.optimizer = torch.optim.Adam(self.student.parameters(), lr=1e-4)
        normalise = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
        self.weak = v2.Compose([v2.RandomCrop(clip.size), v2.RandomHorizontalFlip(), *normalise])
        self.strong = v2.Compose(
            [
                v2.RandomCrop(clip.size),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(strong.brightness, strong.contrast, strong.saturation, strong.hue),
                v2.ToDtype(torch.float32, scale=True),
                v2.GaussianNoise(sigma=strong.noise / 2),
                v2.Normalize(MEAN, STD),
                v2.RandomErasing(p=strong.erase, scale=strong.erase_area),
            ]
        )
        self.device, self.store, self.count, self.stored = device, store, count, stored
        self.rng = np.random.default_rng(0)
        self.half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(recipe.precision)

    def views(self, rows: np.ndarray, transform: Callable[[Tensor], Tensor]) -> Tensor:
        frames = self.recipe.clip.frames
        clips = []
        for row in rows:
            first = int(self.rng.integers(0, self.stored - frames + 1))
            clips.append(transform(torch.from_numpy(self.store.clip(row, first, frames).copy()).to(self.device)))
        return torch.stack(clips).transpose(1, 2).contiguous()

    def step(self) -> None:
        batch = self.recipe.batch
        rows_l = self.rng.integers(0, self.count, batch.labelled)
        rows_u = self.count + self.rng.integers(0, self.count, batch.unlabelled)
        labels = torch.from_numpy(rows_l % 3).to(self.device)
        clips_l, student_u = self.views(rows_l, self.strong), self.views(rows_u, self.strong)
        label_u = self.views(rows_u, self.weak)
        with torch.autocast(self.device.type, dtype=self.half, enabled=self.half is not None):
            supervised = F.cross_entropy(self.student(clips_l), labels)
            logits_u = self.student(student_u)
            with torch.no_grad():
                target = self.teacher(label_u).softmax(1)
            consistency = (logits_u.softmax(1) - target).square().sum(1).mean()
            confidence, pseudo_labels = target.max(1)
            accepted = (confidence > self.recipe.ssl.threshold.tau).float()
            pseudo = (accepted * F.cross_entropy(logits_u, pseudo_labels, reduction="none")).mean()
            loss = supervised + consistency + pseudo
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        student = self.student.state_dict()
        with torch.no_grad():
            for name, value in self.teacher.state_dict().items():
                if value.is_floating_point():
                    value.copy_(0.99 * value + 0.01 * student[name])


def timed(call: Callable[[], None], device: torch.device) -> float:
    """Duration of a call in seconds, including the work of the device."""
    wait(device)
    started = time.perf_counter()
    call()
    wait(device)
    return time.perf_counter() - started


def wait(device: torch.device) -> None:
    """Wait until the GPU has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_mib(call: Callable[[], None], device: torch.device) -> float:
    """Peak tensor memory of a call, minus the memory allocated before it."""
    gc.collect()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        wait(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = itertools.accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns()))
    return max(held) / 2**20


def variants(shape: str, device_name: str, precision: str, compile_networks: bool) -> Iterator[tuple[str, object]]:
    """The step of the package, its parts and the loop, for the same shape and device."""
    sizes = SHAPES[shape]
    batch = sizes["cuda" if device_name.startswith("cuda") else "cpu"]
    side, stored, count = sizes["size"] * 8 // 7, sizes["frames"] + 12, 4 * batch
    recipe = Recipe.model_validate(
        {
            "clip": {"frames": sizes["frames"], "resize": side, "size": sizes["size"]},
            "model": {"width": sizes["width"], "depth": sizes["depth"]},
            "batch": {"labelled": batch, "unlabelled": batch},
            "precision": precision,
            "compile": compile_networks,
        }
    )
    store = ArrayStore(2 * count, stored, side)
    ours = Ours(recipe, device_name, store, count, stored, side)
    yield "ours", ours
    yield "parts", Parts(ours)
    together = recipe.ssl.model_copy(update={"batch_norm": "joint"})
    yield "joint", Ours(recipe.model_copy(update={"ssl": together}), device_name, store, count, stored, side)
    if precision == "fp32" and bf16_problem(ours.device.torch) is None:
        half = recipe.model_copy(update={"precision": "bf16"})
        yield "bf16", Ours(half, device_name, store, count, stored, side)
    yield "loop", Loop(recipe, ours.device.torch, store, count, stored)


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Time all variants in turn."""
    made = dict(variants(arguments.shape, arguments.device, arguments.precision, arguments.compile))
    device = made["ours"].device.torch
    calls = {
        "step": made["ours"].step,
        "parts": made["parts"].step,
        "extras": made["ours"].extras,
        "joint": made["joint"].step,
        **({"bf16": made["bf16"].step} if "bf16" in made else {}),
        "loop": made["loop"].step,
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for index in range(arguments.warm_up + arguments.rounds):
        for name, call in calls.items():
            taken = [timed(call, device) for _ in range(arguments.in_a_row)]
            if index >= arguments.warm_up:
                seconds[name].append(statistics.median(taken[1:] or taken))
        print(f"round {index + 1} of {arguments.warm_up + arguments.rounds}", file=sys.stderr)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    peaks = {"step": peak_mib(made["ours"].step, device), "loop": peak_mib(made["loop"].step, device)}
    network: nn.Module = made["ours"].student
    return {
        "shape": arguments.shape,
        "device": made["ours"].device.description,
        "threads": torch.get_num_threads(),
        "batch": made["ours"].batch,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "median_ms": {name: 1e3 * value for name, value in median.items()},
        "spread_ms": {name: 1e3 * (max(values) - min(values)) for name, values in seconds.items()},
        "step_over_parts": statistics.median(a / b for a, b in zip(seconds["step"], seconds["parts"], strict=True)),
        "extras_over_step": statistics.median(a / b for a, b in zip(seconds["extras"], seconds["step"], strict=True)),
        "loop_over_step": statistics.median(a / b for a, b in zip(seconds["loop"], seconds["step"], strict=True)),
        "joint_over_step": statistics.median(a / b for a, b in zip(seconds["joint"], seconds["step"], strict=True)),
        "bf16_over_step": statistics.median(a / b for a, b in zip(seconds["bf16"], seconds["step"], strict=True))
        if "bf16" in seconds
        else None,
        "peak_mib": peaks,
    }


def render(found: dict) -> str:
    """The results as two Markdown tables."""
    peaks = found["peak_mib"]
    lines = [
        f"{found['shape']} shape on {found['device']}, {found['threads']} thread(s), "
        f"{found['parameters']:,} parameters, {found['batch']} + {found['batch']} clips",
        "",
        "| | median ms | max − min ms |",
        "| --- | --- | --- |",
        *(f"| {name} | {value:.1f} | {found['spread_ms'][name]:.1f} |" for name, value in found["median_ms"].items()),
        "",
        "| ratio | measured | target |",
        "| --- | --- | --- |",
        f"| step / its parts | {found['step_over_parts']:.3f} | ≤ 1.10 |",
        f"| augmentation and average / step | {found['extras_over_step']:.3f} | < 0.10 |",
        f"| torchvision loop / step | {found['loop_over_step']:.2f} | ≥ 1.5 |",
        f"| one joint pass / step | {found['joint_over_step']:.3f} | ≤ 0.90 (demo) |",
        *([f"| bf16 / step | {found['bf16_over_step']:.3f} | ≤ 0.65 |"] if found["bf16_over_step"] else []),
        f"| peak memory, step / loop | {peaks['step'] / peaks['loop']:.2f} | ≤ 1.10 |",
    ]
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--compile", action="store_true", help="torch.compile the networks of the step")
    parser.add_argument("--rounds", type=int, help="default: 12, or 2 if a step takes a minute")
    parser.add_argument(
        "--in-a-row",
        type=int,
        help="calls of each variant per round, the first of which is a warm-up and is discarded; default: 4, or 1 if "
        "a step takes a minute",
    )
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    arguments = parser.parse_args()
    takes_a_minute = (arguments.shape, arguments.device) == ("paper", "cpu")
    arguments.rounds = arguments.rounds or (2 if takes_a_minute else 12)
    arguments.in_a_row = arguments.in_a_row or (1 if takes_a_minute else 4)
    found = measure(arguments)
    print(json.dumps(found, indent=2) if arguments.json else render(found))


if __name__ == "__main__":
    main()
