"""The driver process: connects to Ray and performs one operation for a run.

It is disposable: all state is in the results folder and in the run, which starts another driver if this one dies.
Operations import Ray only after setting its environment.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from agrm_study.execution.driver.autoscaler import check_autoscaler
from agrm_study.execution.driver.channel import Channel
from agrm_study.execution.driver.check_ray import check_ray
from agrm_study.execution.driver.child_process import MARK, end_family
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.measure import measure_in_task
from agrm_study.execution.driver.preflight import check_cluster
from agrm_study.execution.driver.protocol import Lost, Refused, Result
from agrm_study.execution.driver.session import ray_session
from agrm_study.execution.driver.tune_run import run_trials
from agrm_study.execution.resources.capacity import Placement
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError

SHUTDOWN_S: Final = 5.0
"""Timeout for Ray's shutdown once the run has ended, in seconds."""
Operation = Callable[[Channel, Mapping[str, Any]], Any]
"""Accepts the channel to the run and arguments as JSON values; returns a JSON value."""


def check(channel: Channel, arguments: Mapping[str, Any]) -> list[str]:
    """Checks every node of a cluster, and its autoscaler; returns notes for the user."""
    placement = Placement.of(arguments["placement"])
    with ray_session(placement):
        notes = check_cluster(Location.of(arguments["results"]), on_gpus=arguments["on_gpus"])
        if placement.grows:
            notes += check_autoscaler(placement, channel.tick)
    return notes


def measure(channel: Channel, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measures training steps on a GPU; returns the fields of `Measured`."""
    return asdict(measure_in_task(arguments, channel.tick))


def doctor(channel: Channel, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Checks Ray on this machine or on a cluster; returns the fields of each `Finding`."""
    return [asdict(finding) for finding in check_ray(arguments["address"], arguments["results"])]


OPERATIONS: Final[Mapping[str, Operation]] = {"run": run_trials, "check": check, "measure": measure, "doctor": doctor}


def main(operations: Mapping[str, Operation] = OPERATIONS) -> None:
    """Entry point; the argument of the command is the file descriptor to which messages are written."""
    channel = Channel(int(sys.argv[1]), _end_without_run)
    sys.argv = [str(Path.cwd() / "agrm-study")]  # Ray may put the folder of a script on the workers' module path
    try:
        job = channel.job()
    except EOFError:
        return
    try:
        channel.send(Result(operations[job.operation](channel, job.arguments)))
    except InputError as error:
        channel.send(Refused.of(error))
    except ExecutionLost as lost:
        channel.send(Lost(str(lost), lost.final))
    except Exception as error:  # Ray raises exceptions of any type; another driver resumes
        traceback.print_exc()
        lines = str(error).strip().splitlines() or [""]
        channel.send(Lost(f"{type(error).__name__}: {lines[0]}".rstrip(": ")))


def _end_without_run() -> None:
    """Ends this process and all of its descendants, even if other cleanup fails."""
    try:
        if "ray" in sys.modules:
            shutdown = threading.Thread(target=sys.modules["ray"].shutdown, daemon=True)
            shutdown.start()
            shutdown.join(SHUTDOWN_S)
        end_family(os.getpid(), os.environ[MARK])
        shutil.rmtree(Path.cwd(), ignore_errors=True)  # `cwd` raises if another run has removed it
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
