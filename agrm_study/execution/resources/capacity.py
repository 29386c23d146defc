"""Placement of trials, and the number that can run concurrently on this machine or on a cluster of varying size."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from agrm_study.execution.provenance import available_cpus
from agrm_study.study.counted import counted

LOOK_EVERY_S: Final = 2.0
"""Seconds between two checks of a cluster's nodes."""
_KIND: Final = "accelerator_type:"
_ANY: Final = 10**6
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Resources of one trial.

    Attributes:
        gpu: Number of GPUs: a whole number, or 1/k.
        accelerator: Type of accelerator that its node must have, as named by Ray.
    """

    cpu: float = 1.0
    gpu: float = 0.0
    accelerator: str | None = None

    def bundle(self) -> dict[str, float]:
        """Resources by Ray's resource names."""
        named = {f"{_KIND}{self.accelerator}": 0.001} if self.accelerator else {}
        return {"CPU": self.cpu, "GPU": self.gpu, **named}

    def __str__(self) -> str:
        kind = f", accelerator {self.accelerator}" if self.accelerator else ""
        return f"cpu {self.cpu:g}, gpu {self.gpu:g}{kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the trials of a run are executed with Ray, and what they request.

    Attributes:
        address: A Ray cluster; ``None`` for a private Ray instance on this machine.
        resources: Resources of one trial.
        kinds: Accelerators that trials request; empty if they request no accelerator.
        slots: Number of concurrent trials; ``None`` for as many as fit.
        grows: Whether the cluster's autoscaler adds nodes.
    """

    address: str | None = None
    resources: Resources = Resources()
    kinds: tuple[str, ...] = ()
    slots: int | None = None
    grows: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Placement:
        """The placement from plain JSON values, the inverse of `dataclasses.asdict`."""
        return cls(**{**values, "resources": Resources(**values["resources"]), "kinds": tuple(values["kinds"])})

    def each_kind(self) -> dict[str | None, Resources]:
        """Resources of a trial, by accelerator that it requests (`Work.accelerator`); ``None`` if it requests none."""
        if not self.kinds:
            return {None: self.resources}
        return {kind: replace(self.resources, accelerator=kind) for kind in self.kinds}


def local_slots(resources: Resources) -> int:
    """Number of trials that this machine can run at once, at least 1."""
    return max(1, trials_on({"CPU": float(available_cpus()), "GPU": float(local_gpus())}, resources, pinned=False))


def local_gpus() -> int:
    """Number of GPUs of this machine that torch can use."""
    import torch

    return torch.cuda.device_count()


def trials_on(node: Mapping[str, float], resources: Resources, *, pinned: bool = True) -> int:
    """Number of trials that fit on one node at once; a share of a GPU does not span GPUs.

    The node's resources are given by Ray's resource names; its accelerator type is checked if `pinned`.
    """
    if pinned and resources.accelerator and f"{_KIND}{resources.accelerator}" not in node:
        return 0
    by_cpu = int(node.get("CPU", 0.0) / resources.cpu + _ROUNDING) if resources.cpu else _ANY
    return min(by_cpu, _by_gpu(node.get("GPU", 0.0), resources.gpu))


def _by_gpu(gpus: float, share: float) -> int:
    if share == 0:
        return _ANY
    if share < 1:
        return int(gpus + _ROUNDING) * int(1 / share + _ROUNDING)
    return int(gpus / share + _ROUNDING)


def alive_nodes() -> list[dict[str, Any]]:
    """The live nodes of the connected cluster, as reported by Ray."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def capacity(resources: Resources) -> int:
    """Number of trials that the cluster could run at once if it were idle."""
    return sum(trials_on(node["Resources"], resources) for node in alive_nodes())


def in_words(nodes: Sequence[Mapping[str, Any]]) -> str:
    """Resources of nodes as text: ``2 nodes with 8 CPUs and 1 GPU (A100); 1 node with 4 CPUs``."""
    counts: dict[str, int] = {}
    for node in nodes:
        found = node["Resources"]
        kinds = ", ".join(sorted(name.removeprefix(_KIND) for name in found if name.startswith(_KIND)))
        cpus, gpus = found.get("CPU", 0.0), found.get("GPU", 0.0)
        text = counted(f"{cpus:g}", "CPU")
        if gpus:
            text += f" and {counted(f'{gpus:g}', 'GPU')}"
        if kinds:
            text += f" ({kinds})"
        counts[text] = counts.get(text, 0) + 1
    return "; ".join(f"{counted(n, 'node')} with {text}" for text, n in sorted(counts.items())) or "no nodes"


class Slots:
    """Current number of concurrent trials: the capacity of the cluster, up to the requested number.

    Follows a cluster that grows or shrinks while a study runs. An autoscaler only adds nodes for waiting trials, so
    with an autoscaler, the requested number of trials is always handed out, an equal share on each accelerator.
    """

    def __init__(self, placement: Placement) -> None:
        self._most, self._grows = placement.slots, placement.grows
        self._resources = placement.each_kind()
        self._looked = float("-inf")
        self._fitting: dict[str | None, int] = {}

    def __call__(self) -> int:
        if self._grows and self._most is not None:
            return self._most
        fitting = max(1, sum(self._look().values()))
        return min(self._most, fitting) if self._most is not None else fitting

    def full(self, running: Mapping[str | None, int]) -> frozenset[str | None]:
        """Accelerators without capacity for another trial, given the number of running trials on each.

        If the nodes of one kind are full, or are gone while trials wait for them, other kinds are unaffected.
        """
        if self._most is not None and sum(running.values()) >= self._most:
            return frozenset(self._resources)
        if self._grows and self._most is not None:
            share = max(1, self._most // len(self._resources))
            rooms = dict.fromkeys(self._resources, share)
        else:
            rooms = self._look()
        return frozenset(kind for kind, room in rooms.items() if running.get(kind, 0) >= room)

    def _look(self) -> dict[str | None, int]:
        """Number of trials of each kind that the nodes could run at the last check."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._fitting = {kind: capacity(resources) for kind, resources in self._resources.items()}
        return self._fitting
