"""Operations of a driver process, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from agrm_study.execution.driver.channel import Channel
from agrm_study.execution.driver.protocol import Note
from agrm_study.execution.resources.capacity import Resources
from agrm_study.records.location import Location


def run_trials(channel: Channel, arguments: Mapping[str, Any]) -> None:
    """Runs trials on Ray Tune until the run has none left."""
    from agrm_study.execution.driver.tune_run import TuneRun

    TuneRun(channel, **_read(arguments)).run()


def check(channel: Channel, arguments: Mapping[str, Any]) -> list[str]:
    """Checks every node of a cluster, and its autoscaler; returns notes for the user."""
    from agrm_study.execution.driver.autoscaler import check_autoscaler
    from agrm_study.execution.driver.preflight import check_cluster
    from agrm_study.execution.driver.session import ray_session

    given = _read(arguments)
    kinds, resources = given["kinds"], given["resources"]
    with ray_session(given["address"], resources, given["slots"], grows=given["grows"], kinds=kinds):
        notes = check_cluster(Location.of(given["results"]), on_gpus=given["on_gpus"])
        if given["grows"]:
            notes += check_autoscaler(resources, kinds, channel.tick)
    return notes


def measure(channel: Channel, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measures training steps on a GPU."""
    from agrm_study.execution.driver.measure import measure_on_ray

    return dataclasses.asdict(measure_on_ray(tick=channel.tick, **_read(arguments)))


def doctor(channel: Channel, arguments: Mapping[str, Any]) -> None:
    """Checks Ray here or on a cluster; each finding is a note."""
    from agrm_study.execution.driver.check_ray import check_ray

    for finding in check_ray(arguments["address"], arguments["results"]):
        channel.send(Note(dataclasses.asdict(finding)))


def _read(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {**arguments, "resources": Resources(**arguments["resources"])}


OPERATIONS: Final[Mapping[str, Callable[[Channel, Mapping[str, Any]], Any]]] = {
    "run": run_trials,
    "check": check,
    "measure": measure,
    "doctor": doctor,
}
