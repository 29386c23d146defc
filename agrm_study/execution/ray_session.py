"""How is Ray started so that it is quiet, local and small, and what may a study use of it?"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal
from unittest import mock

from agrm_study.execution.provenance import available_cpus
from agrm_study.study.errors import InputError

OBJECT_STORE_BYTES: Final = 80 * 2**20
"""Trials pass nothing through Ray's object store; this is the least that Ray accepts with some room."""

LOOPBACK: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""A local Ray listens on the loopback interface only."""

ENVIRONMENT: Final = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "10",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one trial takes.

    Attributes:
        cpu: Processors.
        gpu: GPUs; a whole number, or 1/k.
        accelerator: Type of accelerator that its node must have, by Ray's name.
    """

    cpu: float = 1.0
    gpu: float = 0.0
    accelerator: str | None = None

    def bundle(self) -> dict[str, float]:
        """By Ray's names."""
        named = {f"accelerator_type:{self.accelerator}": 0.001} if self.accelerator else {}
        return {"CPU": self.cpu, "GPU": self.gpu, **named}


def gpu_share(asked: float | Literal["auto"], address: str | None) -> tuple[float, str | None]:
    """GPUs of a trial, and a note for the user where that was decided here.

    ``auto`` is a whole GPU where there is one (on a cluster: always), and none elsewhere.
    """
    if asked != "auto":
        return float(asked), None
    if address is not None or _local_gpus() > 0:
        return 1.0, "gpu: auto gives each trial a whole GPU; `resources.gpu: 0.5` puts two trials on one."
    return 0.0, "gpu: auto finds no GPU here: trials run on the CPU."


def dead_parts() -> list[str]:
    """Parts of the Ray that this process started without which no trial runs any more, and that have died.

    Tune would wait for them without end. A cluster of others is not looked at: it may come back.
    """
    from ray._private import worker

    node = worker._global_node
    return [] if node is None else [name for name, _ in node.dead_processes() if name in ("raylet", "gcs_server")]


@contextlib.contextmanager
def ray_session(address: str | None, resources: Resources, slots: int | None) -> Iterator[int]:
    """A connection to Ray for the duration of the block; gives the number of trials that may run at once.

    Args:
        address: A cluster; ``None`` starts a Ray of its own on this machine, which ends with the block.
        resources: What one trial takes.
        slots: Trials at once; ``None`` for as many as fit.

    Raises:
        InputError: When the cluster cannot be reached, or not one trial fits into it.
    """
    local = address is None
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, ENVIRONMENT | (LOOPBACK if local else {})))
        import ray
        from ray._private import ray_constants, worker

        # Set as well, as Ray reads its environment when it is imported, which may have been long ago
        stack.enter_context(mock.patch.object(ray_constants, "ENABLE_RAY_CLUSTER", not local))
        # Ray prints what it knows of dead workers to standard output, where only results belong
        stack.enter_context(mock.patch.object(worker, "print_to_stdstream", return_value=None))
        logging.getLogger("ray").setLevel(logging.ERROR)
        if local:
            slots = slots or local_slots(resources)
        _connect(address, resources, slots)
        stack.callback(ray.shutdown)
        fitting = _check_fit(resources)
        yield min(slots, fitting) if slots else fitting


def _connect(address: str | None, resources: Resources, slots: int | None) -> None:
    import ray

    if address is None:
        options: dict[str, Any] = {
            "address": "local",
            "num_cpus": max(1, math.ceil((slots or 1) * resources.cpu)),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
        }
        if resources.gpu == 0:
            options["num_gpus"] = 0
    else:
        options = {"address": address}
    try:
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        rule = "the Ray cluster must be reachable"
        raise InputError(rule, field="--address", given=address, hint=str(error)) from None


def _check_fit(resources: Resources) -> int:
    """Trials that fit into the cluster at once.

    Raises:
        InputError: When not one does.
    """
    import ray

    available = ray.cluster_resources()
    fitting = _fitting(available.get("CPU", 0.0), available.get("GPU", 0.0), resources)
    if fitting < 1:
        raise InputError(
            "one trial must fit into the machine",
            field="resources",
            given=f"cpu {resources.cpu:g}, gpu {resources.gpu:g}",
            allowed=f"up to {available.get('CPU', 0):g} CPUs and {available.get('GPU', 0):g} GPUs",
        )
    return fitting


def require_local_gpus(asked: float | Literal["auto"]) -> None:
    """Refuse at once what this machine will never have; processors are shared, GPUs are not.

    Raises:
        InputError: When a trial asks for more GPUs than there are.
    """
    if asked == "auto" or asked == 0 or (gpus := _local_gpus()) >= asked:
        return
    raise InputError(
        "one trial must fit into the machine",
        field="resources.gpu",
        given=asked,
        allowed=f"up to {gpus} here",
        hint="`--set resources.gpu=0` runs on the processors; `--address` runs on a Ray cluster.",
    )


def local_slots(resources: Resources) -> int:
    """Trials that this machine can run at once."""
    gpus = float(_local_gpus()) if resources.gpu else 0.0
    return max(1, _fitting(float(available_cpus()), gpus, resources))


def _fitting(cpus: float, gpus: float, resources: Resources) -> int:
    by_cpu = int(cpus / resources.cpu + 1e-6) if resources.cpu else 10**6
    by_gpu = int(gpus / resources.gpu + 1e-6) if resources.gpu else 10**6
    return min(by_cpu, by_gpu)


def _local_gpus() -> int:
    import torch

    return torch.cuda.device_count()
