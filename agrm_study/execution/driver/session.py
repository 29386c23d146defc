"""Ray sessions: a connection to a private local Ray instance or a cluster, and the number of trials that fit."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from agrm_study.execution.driver.address import LOOPBACK, different_versions, reach
from agrm_study.execution.driver.child_process import MARK, ray_suffix
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.ray_watch import watched_ray
from agrm_study.execution.fitness.machine import check_ray_start
from agrm_study.execution.resources.capacity import (
    Placement,
    Resources,
    Slots,
    alive_nodes,
    in_words,
    local_gpus,
    local_slots,
    trials_on,
)
from agrm_study.execution.resources.ray_folder import new_token, ray_folder
from agrm_study.study.errors import InputError

OBJECT_STORE_BYTES: Final = 80 * 2**20
"""Size of Ray's object store, which trials do not use: Ray's minimum plus a margin."""

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
LAST_LINES: Final = 3
"""Number of lines of each of Ray's error logs that are shown to explain a failure to start."""
_VERSIONS: Final = re.compile(r"cluster was started with:\s+Ray: (\S+)\s+Python: (\S+)")


@contextlib.contextmanager
def ray_session(placement: Placement) -> Iterator[Slots]:
    """Connects to Ray for the duration of the block; yields the number of trials that may run concurrently.

    Call it in a dedicated process: it sets environment variables, which Ray reads on import, and Ray replaces the
    process's SIGTERM handler.

    Without an address, a private Ray instance starts on this machine; it ends with the block.

    Raises:
        InputError: When the cluster cannot be reached, something on this machine prevents Ray from starting, or no
            trial fits.
        ExecutionLost: When a private Ray instance dies during start-up.
    """
    with contextlib.ExitStack() as stack:
        if placement.address is None:
            for finding in check_ray_start():
                if finding.level == "problem":
                    raise InputError(f"Ray cannot start on this machine: {finding.text}", hint=finding.advice)
            folder = stack.enter_context(ray_folder(ray_suffix(os.environ.get(MARK, ""))))
            os.environ.update(ENVIRONMENT | private_environment(folder))
            stack.enter_context(watched_ray())
            slots = placement.slots or local_slots(placement.resources)
            placement = replace(placement, slots=slots)
            _start(stack, folder, placement.resources, slots)
        else:
            reached = reach(placement.address)
            os.environ.update(ENVIRONMENT | reached.environment)
            _join(stack, reached.address)
        if not placement.grows:
            _check_fit(placement.each_kind().values(), on_cluster=placement.address is not None)
        yield Slots(placement)


def private_environment(folder: Path) -> dict[str, str]:
    """Environment of a local Ray instance that other machines and other users cannot access.

    Args:
        folder: Folder that only this user may enter, for Ray's sockets, logs and token.
    """
    return LOOPBACK | {
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(new_token(folder)),
        # A kill by Ray's monitor aborts the whole Tune run; `memory_watchdog` kills the largest worker instead
        "RAY_memory_monitor_refresh_ms": "0",
        # A driver that waits for the first workers waits indefinitely if one of them dies
        "RAY_prestart_worker_first_driver": "0",
    }


def _start(stack: contextlib.ExitStack, folder: Path, resources: Resources, slots: int) -> None:
    import ray

    stack.callback(ray.shutdown)
    try:
        ray.init(
            address="local",
            num_cpus=max(1, math.ceil(slots * resources.cpu)),
            num_gpus=0 if resources.gpu == 0 else None,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # many exception types are possible if a Ray process dies while others wait for it
        reason = f"Ray could not be started on this machine ({_reason(error)})"
        raise ExecutionLost("\n".join([reason, *_last_lines(folder)])) from None


def _join(stack: contextlib.ExitStack, address: str) -> None:
    import ray

    stack.callback(ray.shutdown)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        if versions := _their_versions(error):
            raise different_versions(versions) from None
        raise InputError(
            "a study must be run from a node of its Ray cluster",
            field="--address",
            given=address,
            hint=f"The cluster responds, but this machine could not join it ({_reason(error)}): run the command on the "
            "head node, or `ray start --address=…` here first.",
        ) from None


def _reason(error: BaseException) -> str:
    """The first line of the root cause, which Ray wraps in less specific errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).partition("\n")[0] or type(error).__name__).rstrip(".")


def _their_versions(error: BaseException | None) -> dict[str, str]:
    """Versions on a cluster that Ray rejected because they differ; empty if Ray rejected it for a different reason."""
    while error is not None:
        if found := _VERSIONS.search(str(error)):
            return {"ray": found[1], "python": found[2]}
        error = error.__cause__ or error.__context__
    return {}


def _last_lines(folder: Path) -> list[str]:
    """The last lines of the error logs of a Ray instance that did not start."""
    found = []
    for log in sorted(folder.glob("ray/session_latest/logs/*.err")):
        with contextlib.suppress(OSError):
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            found += [f"{log.stem}: {line[:200]}" for line in lines[-LAST_LINES:]]
    return found


def _check_fit(kinds: Iterable[Resources], *, on_cluster: bool) -> None:
    """Rejects trials that would wait indefinitely.

    Raises:
        InputError: When no trial of a kind fits.
    """
    nodes = alive_nodes()
    for resources in kinds:
        if not any(trials_on(node["Resources"], resources) for node in nodes):
            raise InputError(
                f"one trial must fit {'on a node of the cluster' if on_cluster else 'on this machine'}",
                field="resources",
                given=str(resources),
                allowed=f"available: {in_words(nodes)}",
                hint="`--autoscale --slots N` waits for nodes that an autoscaler starts." if on_cluster else None,
            )


def require_local_gpus(asked: float | Literal["auto"]) -> None:
    """Rejects trials that request more GPUs than this machine has; processors can be oversubscribed, GPUs cannot.

    Raises:
        InputError: If a trial requests more GPUs than there are.
    """
    if asked == "auto" or asked == 0 or (gpus := local_gpus()) >= asked:
        return
    raise InputError(
        "one trial must fit on this machine",
        field="resources.gpu",
        given=asked,
        allowed=f"up to {gpus} here",
        hint="`--set resources.gpu=0` runs on the CPU; `--address` runs on a Ray cluster.",
    )
