"""How is Ray started so that it is quiet, local and small, and what may a study use of it?"""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from agrm_study.execution.driver.address import Reached, reach
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.patching import patched_attribute, patched_environment
from agrm_study.execution.driver.ray_watch import dead_among, watched_ray
from agrm_study.execution.resources.capacity import (
    Resources,
    Slots,
    alive_nodes,
    each_kind,
    in_words,
    local_gpus,
    local_slots,
    trials_on,
)
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


def dead_parts() -> list[str]:
    """Parts of the Ray that this process started without which no trial runs any more, and that have died.

    Tune would wait for them without end. A cluster of others is not looked at: it may come back.
    """
    from ray._private import worker

    node = worker._global_node
    return [] if node is None else dead_among([node])


@contextlib.contextmanager
def ray_session(
    address: str | None,
    resources: Resources,
    slots: int | None,
    *,
    grows: bool = False,
    kinds: Sequence[str] = (),
) -> Iterator[Slots]:
    """A connection to Ray for the duration of the block; gives the number of trials that may run at once.

    Args:
        address: A cluster; ``None`` starts a Ray of its own on this machine, which ends with the block.
        resources: What one trial takes.
        slots: Trials at once; ``None`` for as many as fit.
        grows: Whether the cluster's autoscaler brings nodes that are not there yet.
        kinds: Accelerators that trials name; none when they do not.

    Raises:
        InputError: When the cluster cannot be reached, or not one trial fits into it.
        ExecutionLost: When a Ray of its own cannot be started.
    """
    reached = reach(address) if address is not None else None
    with contextlib.ExitStack() as stack:
        on_loopback = reached is None or reached.loopback
        auth = {"RAY_AUTH_MODE": reached.auth} if reached is not None and reached.auth else {}
        stack.enter_context(patched_environment(ENVIRONMENT | (LOOPBACK if on_loopback else {}) | auth))
        import ray
        from ray._private import ray_constants, utils, worker

        # Set as well, as Ray reads its environment when it is imported, which may have been long ago
        stack.enter_context(patched_attribute(ray_constants, "ENABLE_RAY_CLUSTER", not on_loopback))
        if auth:
            ray._raylet.Config.initialize("")
        stack.enter_context(patched_attribute(utils, "set_sigterm_handler", lambda handler: None))
        stack.callback(_take_sigterm_back)
        # Ray prints what it knows of dead workers to standard output, where only results belong
        stack.enter_context(patched_attribute(worker, "print_to_stdstream", lambda *args, **options: None))
        logging.getLogger("ray").setLevel(logging.ERROR)
        if reached is None:
            slots = slots or local_slots(resources)
            stack.enter_context(watched_ray())
        _connect(reached, resources, slots)
        stack.callback(ray.shutdown)
        _take_sigterm_back()
        if not grows:
            for each in each_kind(resources, kinds).values():
                _check_fit(each, on_cluster=reached is not None)
        yield Slots(resources, slots, grows=grows, kinds=kinds)


def _take_sigterm_back() -> None:
    """Ends a run in order again at SIGTERM.

    Ray takes the signal in Python, where it is not let, and below, where Python does not notice: while it is connected
    the process ends with a trace, and afterwards without a word.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _connect(reached: Reached | None, resources: Resources, slots: int | None) -> None:
    import ray

    if reached is None:
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
        options = {"address": reached.address}
    try:
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of many classes, when a part of Ray dies while the others wait for it
        reason = (str(error).partition("\n")[0] or type(error).__name__).rstrip(".")
        if reached is None:
            raise ExecutionLost(f"Ray could not be started on this machine ({reason})") from None
        raise InputError(
            "a study is run from a node of its Ray cluster",
            field="--address",
            given=reached.address,
            hint=f"The cluster answers, but this machine could not join it ({reason}): run the command on the head "
            "node, or `ray start --address=…` here first.",
        ) from None


def _check_fit(resources: Resources, *, on_cluster: bool) -> None:
    """Refuses what would wait for ever.

    Raises:
        InputError: When not one trial fits.
    """
    nodes = alive_nodes()
    if any(trials_on(node["Resources"], resources) for node in nodes):
        return
    raise InputError(
        "one trial must fit onto a node of the cluster" if on_cluster else "one trial must fit into the machine",
        field="resources",
        given=str(resources),
        allowed=f"what is there: {in_words(nodes)}",
        hint="`--autoscale --slots N` waits for nodes that an autoscaler brings." if on_cluster else None,
    )


def require_local_gpus(asked: float | Literal["auto"]) -> None:
    """Refuse at once what this machine will never have; processors are shared, GPUs are not.

    Raises:
        InputError: When a trial asks for more GPUs than there are.
    """
    if asked == "auto" or asked == 0 or (gpus := local_gpus()) >= asked:
        return
    raise InputError(
        "one trial must fit into the machine",
        field="resources.gpu",
        given=asked,
        allowed=f"up to {gpus} here",
        hint="`--set resources.gpu=0` runs on the processors; `--address` runs on a Ray cluster.",
    )
