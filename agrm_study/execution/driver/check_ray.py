"""Checks of `doctor` that need Ray: a local Ray instance starts, or a cluster responds and its nodes are usable."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from agrm_study.execution.driver.preflight import check_cluster
from agrm_study.execution.driver.session import ray_session
from agrm_study.execution.fitness.finding import Finding, note, ok, problem
from agrm_study.execution.resources.capacity import Placement, alive_nodes, in_words
from agrm_study.execution.resources.folders import existing
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError


def check_ray(address: str | None, results: str) -> Iterator[Finding]:
    """Starts a local Ray instance, or connects to a cluster, and checks every node as `run` does.

    Args:
        address: Address of a cluster; ``None`` starts Ray on this machine.
        results: Results folder (or URI) that every node must be able to read and write.
    """
    began = time.monotonic()
    try:
        with ray_session(Placement(address=address, slots=None if address else 1)):
            took = time.monotonic() - began
            yield ok("ray", f"{'connected' if address else 'started'} in {took:.0f} s")
            yield from _check_nodes(results)
    except InputError as error:
        advice = "`ray status` on the head node shows whether the cluster is up." if address else ""
        yield problem("ray", str(error).removesuffix(f". {error.hint}"), error.hint or advice)
    except Exception as error:  # Ray raises exceptions of any type from its own processes
        text = "; ".join(str(error).strip().splitlines()) or type(error).__name__
        yield problem(
            "ray",
            f"does not start ({text})",
            "The reason is followed by an excerpt of Ray's logs; `ulimit -a` and `df -h` show limits and disk space.",
        )


def _check_nodes(results: str) -> Iterator[Finding]:
    """Checks code and versions, shared storage, videos, GPUs and clocks of the nodes."""
    nodes = alive_nodes()
    gpus = any(node["Resources"].get("GPU", 0.0) for node in nodes)
    place = Location.of(results if "://" in results else existing(Path(results)))
    try:
        notes = check_cluster(place, on_gpus=gpus, below="")
    except InputError as error:
        for each in error.singles:
            yield problem("nodes", str(each).removesuffix(f". {each.hint}"), each.hint or "")
        return
    except OSError as error:
        yield note("nodes", f"not checked: {place.address} cannot be written to ({error})", "Fix this first.")
        return
    yield ok("nodes", f"{in_words(nodes)}: same versions, all can read and write {place.address}")
    for text in notes:
        yield note("nodes", text)
