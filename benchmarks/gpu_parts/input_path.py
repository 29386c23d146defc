"""Clips per second of the input path: from a clip store's mapped file to rendered views on the device."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from step import wait

from agrm_study.execution.provenance import available_cpus
from agrm_study.study.recipe import Recipe
from agrm_study.training.augment.pixels import Renderer
from agrm_study.training.batches import Batches
from agrm_study.training.clipset import clips_of_parts
from agrm_study.training.data.datasets.synthetic import write_synthetic
from agrm_study.training.data.open_data import TrialData, open_data
from agrm_study.training.device import Device
from gpu_parts.rows import Deadline, Row, measured
from gpu_parts.shapes import Shape

SUBJECTS, UNLABELLED = 40, 24
NEEDS_S = 40.0
"""Time limit for generating, decoding and measuring, in seconds."""
AHEAD = (0, 2)
"""Numbers of steps read in advance: none, and the number used by a trial on a GPU."""


def input_rows(shape: Shape, device: str, deadline: Deadline) -> Iterator[Row]:
    """One row for each number of steps read in advance.

    Args:
        shape: Shape of a step.
        device: ``cpu`` or ``cuda``.
        deadline: Deadline of the script.
    """
    recipe = shape.recipe(data={"unlabelled_train": UNLABELLED * 2 // 3, "unlabelled_val": UNLABELLED // 3})
    with tempfile.TemporaryDirectory(prefix="agrm-study-gpu-") as folder:
        data: list[TrialData] = []

        def row(ahead: int) -> Row:
            if not data:
                manifest = write_synthetic(
                    Path(folder, "videos"), subjects=SUBJECTS, unlabelled=UNLABELLED, seed=0, difficulty="easy",
                    workers=available_cpus(),
                )  # fmt: skip
                data.append(open_data(recipe, manifest, cache=Path(folder, "stores"), workers=available_cpus()))
            found = {"clips_per_s": clips_per_s(recipe, data[0], device, ahead, seconds=3.0 * shape.steps / 8)}
            where = "on the CPU" if device == "cpu" else "on the GPU"
            note = f"views of {shape.frames} x {shape.size} x {shape.size}, rendered {where}"
            return Row(part="input", setting=f"{ahead} steps ahead", state="measured", figures=found, note=note)

        for ahead in AHEAD:
            yield measured("input", f"{ahead} steps ahead", deadline, NEEDS_S, lambda ahead=ahead: row(ahead))
        for opened in data:
            opened.store.close()


def clips_per_s(recipe: Recipe, data: TrialData, device: str, ahead: int, *, seconds: float) -> float:
    """Views per second: each labelled clip counts once, each unlabelled clip twice (student's and teacher's view).

    Args:
        recipe: Batch sizes, clip and augmentation.
        data: Clip store, manifest and split.
        device: ``cpu`` or ``cuda``.
        ahead: Number of steps that a thread reads in advance.
        seconds: Duration of the measurement, after one untimed epoch.
    """
    place = Device(device, recipe)
    clips = clips_of_parts(recipe, data.manifest, data.store, data.split, needs_test=False)
    batches = Batches(
        recipe,
        store=data.store,
        labelled=clips["train"],
        unlabelled=clips["unlabelled_train"],
        renderer=Renderer(recipe.seed, recipe.clip.size, place.torch, noise=recipe.augment.strong.noise > 0),
        device=place,
        label_view=True,
        ahead=ahead,
    )
    with torch.no_grad():
        _epoch(batches, 1)
        wait(place.torch)
        made, epoch, started = 0, 1, time.perf_counter()
        while time.perf_counter() - started < seconds:
            epoch += 1
            made += _epoch(batches, epoch)
            wait(place.torch)
        return made / (time.perf_counter() - started)


def _epoch(batches: Batches, epoch: int) -> int:
    views = 0
    for labelled, unlabelled in batches.epoch(epoch, unlabelled=True):
        views += len(labelled.labels_B) + (0 if unlabelled is None else 2 * len(unlabelled.ids_B))
    return views
