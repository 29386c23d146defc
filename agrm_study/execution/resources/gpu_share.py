"""Measurement of the GPU share of a trial for `gpu: auto`.

One training step of each of the heaviest kinds of trial is run on one GPU; the share is the smallest 1/k of the GPU
that fits the largest step with a reserve. Measurements are stored in the results folder, by kind of step and GPU name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from agrm_study.execution.resources.capacity import local_gpus
from agrm_study.plan.order import step_cost
from agrm_study.records.location import Location
from agrm_study.records.parsing import read_typed
from agrm_study.study.recipe import Recipe

FILE: Final = "gpu_memory.json"
VERSION: Final = 1
RESERVE: Final = 1.15
"""Minimum ratio of a share to the measured memory, since memory is allocated in blocks and steps differ slightly."""
MOST_ON_ONE: Final = 16
"""Maximum number of trials on one GPU; more trials would only wait for each other."""
MOST_MEASURED: Final = 4
"""Maximum number of kinds of step that are measured, the heaviest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measurements on one GPU.

    Attributes:
        total: Total memory, in bytes.
        peaks: Peak memory of a step, in bytes, by kind (`kind_of`); the total memory if a step did not fit.
    """

    name: str
    total: Annotated[int, Field(gt=0)]
    peaks: Mapping[str, Annotated[int, Field(ge=0)]]


@dataclass(frozen=True, slots=True)
class _File:
    gpus: tuple[Measured, ...]


Measure = Callable[[Mapping[str, Recipe], Sequence[Measured]], Measured]
"""Measures steps on a GPU, by kind; skips steps that were already measured on a GPU with the same name."""


@dataclass(frozen=True, slots=True)
class Share:
    """The GPU share of a trial, and a note about it for the user."""

    gpu: float
    note: str = ""


def gpu_share(asked: float | Literal["auto"], address: str | None) -> tuple[float, str | None]:
    """Number of GPUs per trial before any measurement, and a note for the user if there is nothing to measure.

    ``auto`` is a whole GPU if there is one (on a cluster: always), otherwise none.
    """
    if asked != "auto":
        return float(asked), None
    if address is not None or local_gpus() > 0:
        return 1.0, None
    return 0.0, "gpu: auto found no GPU on this machine: trials run on the CPU."


def kind_of(recipe: Recipe) -> str:
    """Short key of the settings that determine the memory of a step; equal for steps that need the same memory."""
    settings = {
        "model": recipe.model.model_dump(mode="json", exclude={"weights"}),
        "clip": [recipe.clip.frames, recipe.clip.size],
        "batch": recipe.batch.model_dump(mode="json"),
        "method": [recipe.ssl.method, recipe.ssl.views, recipe.ssl.batch_norm == "joint"],
        "optimizer": recipe.optimizer.name,
        "precision": [recipe.precision, recipe.compile],
        "evaluate": recipe.evaluate.batch,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def heaviest(recipes: Iterable[Recipe]) -> dict[str, Recipe]:
    """The recipes with the costliest steps, one of each kind, by kind."""
    kinds = {kind_of(recipe): recipe for recipe in recipes}
    ranked = sorted(kinds.items(), key=lambda item: -step_cost(item[1]))
    return dict(ranked[:MOST_MEASURED])


def share_for(peak: int, total: int) -> float:
    """The smallest 1/k of a GPU that fits a peak with the reserve; a whole GPU if no smaller share does."""
    return 1.0 / max(1, min(MOST_ON_ONE, int(total / (peak * RESERVE)))) if peak else 1.0


def decide(kinds: Iterable[str], measured: Measured) -> Share | None:
    """The share for the measured kinds; None if one of them was not measured."""
    peaks = [measured.peaks.get(kind) for kind in kinds]
    known = [peak for peak in peaks if peak is not None]
    if not known or len(known) < len(peaks):
        return None
    peak = max(known)
    if peak >= measured.total:
        return Share(
            1.0, f"gpu: auto: one step did not fit on {measured.name} ({_gib(measured.total)}); trials start anyway."
        )
    share = share_for(peak, measured.total)
    together = f", {round(1 / share)} trials at a time on one GPU" if share < 1 else ""
    note = (
        f"gpu: auto measured up to {_gib(peak)} for a step on {measured.name} ({_gib(measured.total)}): "
        f"{share_words(share)} per trial{together}."
    )
    return Share(share, note)


def known_share(results: Location, recipes: Iterable[Recipe]) -> Share | None:
    """The share from earlier measurements on the GPU that was measured last; None if a measurement is missing."""
    kinds = list(heaviest(recipes))
    return next((share for m in reversed(read(results)) if (share := decide(kinds, m)) is not None), None)


def measured_share(results: Location, recipes: Iterable[Recipe], measure: Measure) -> Share:
    """The GPU share of a study's trials; new kinds are measured and stored."""
    wanted, known = heaviest(recipes), read(results)
    found = measure(wanted, known)
    old = next((m.peaks for m in known if m.name == found.name), {})
    found = Measured(name=found.name, total=found.total, peaks={**old, **found.peaks})
    write(results, [*(m for m in known if m.name != found.name), found])
    share = decide(wanted, found)
    assert share is not None
    return share


def read(results: Location) -> list[Measured]:
    """Earlier measurements, most recent GPU last; empty if the file is missing or cannot be read."""
    found = read_typed(_File, results / FILE, gpu_memory_version=VERSION)
    return [] if found is None else list(found.gpus)


def write(results: Location, measured: Sequence[Measured]) -> None:
    """Stores measurements; readers see either the old file or the new one."""
    gpus = [{"name": m.name, "total": m.total, "peaks": dict(m.peaks)} for m in measured]
    text = json.dumps({"gpu_memory_version": VERSION, "gpus": gpus}, indent=1)
    (results / FILE).write_atomic((text + "\n").encode())


def measure_here(wanted: Mapping[str, Recipe], known: Sequence[Measured]) -> Measured:
    """Measures steps on the first GPU that is visible to this process.

    A step that does not fit counts as using all memory.
    """
    import torch

    from agrm_study.training.exhausted_memory import exhausted_memory
    from agrm_study.training.step_memory import CudaGauge, step_bytes

    gauge, name = CudaGauge(), torch.cuda.get_device_name(0)
    peaks = dict(next((m.peaks for m in known if m.name == name), {}))
    for kind, recipe in wanted.items():
        if kind not in peaks:
            try:
                peaks[kind] = step_bytes(recipe, "cuda", gauge)
            except Exception as error:
                if exhausted_memory(error) != "gpu":
                    raise
                peaks[kind] = gauge.total()
    return Measured(name=name, total=gauge.total(), peaks=peaks)


def keep_to_share(share: float) -> None:
    """Limits this process to its share of GPU memory, so that exceeding it fails in this process and not in another."""
    if not 0 < share < 1:
        return
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(share)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def share_words(share: float) -> str:
    """A share of a GPU as text."""
    if share >= 1:
        return "a whole GPU"
    return f"1/{round(1 / share)} of a GPU"
