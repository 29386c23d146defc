"""Does Ray start here, or does a cluster answer, and can each of its nodes do the work?"""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from agrm_study.execution.fitness.finding import Finding, note, ok, problem
from agrm_study.execution.fitness.storage import existing
from agrm_study.execution.provenance import code_version
from agrm_study.execution.ray_session import Resources, ray_session
from agrm_study.study.errors import InputError

NODE_S: Final = 30.0
"""Patience with one node."""


def check_ray(address: str | None, results: Path) -> Iterator[Finding]:
    """Start a Ray of this machine's own, or connect to a cluster, and ask every node about itself.

    Args:
        address: A cluster; ``None`` starts Ray here.
        results: Results folder that every node must see.
    """
    began = time.monotonic()
    try:
        with ray_session(address, Resources(), slots=None if address else 1):
            took = time.monotonic() - began
            yield ok("ray", f"{'connected' if address else 'started'} in {took:.0f} s")
            yield from _check_nodes(results)
    except InputError as error:
        yield problem("ray", str(error), "`ray status` on the head node says whether the cluster is up.")
    except Exception as error:  # Ray raises whatever happened in its own processes
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        yield problem(
            "ray", f"does not start ({text})", "Look at /tmp/ray/session_latest/logs; a full /tmp is the usual cause."
        )


def _check_nodes(results: Path) -> Iterator[Finding]:
    """One task a node: the same code, the results folder within sight, its GPUs."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    place = existing(results)
    token = place / f".agrm-study-doctor-{uuid.uuid4().hex[:8]}"
    ask = ray.remote(num_cpus=0, max_retries=0)(describe_node)
    try:
        token.write_bytes(b"doctor")
        for node in (node for node in ray.nodes() if node["Alive"]):
            name = str(node["NodeManagerHostname"])
            strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            try:
                found = ray.get(ask.options(scheduling_strategy=strategy).remote(str(token)), timeout=NODE_S)
            except Exception as error:
                text = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                advice = "Install agrm-study there, in the environment that Ray was started from."
                yield problem(f"node {name}", f"cannot run a task ({text[:160]})", advice)
                continue
            yield _judge(name, found, node["Resources"], place)
    except OSError:
        yield note("nodes", f"not asked: {place} cannot be written to", "Mend the results folder first.")
    finally:
        token.unlink(missing_ok=True)


def _judge(name: str, found: dict[str, Any], resources: dict[str, float], place: Path) -> Finding:
    """The finding about one node."""
    check = f"node {name}"
    cpus, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    if found["code_version"] != code_version():
        text = f"has another training code ({found['code_version']}, here {code_version()})"
        return problem(check, text, "Install the same agrm-study everywhere: its results could not be compared.")
    if not found["sees"]:
        advice = "Give `--results` on storage that every node mounts at the same path."
        return problem(check, f"does not see {place}", advice)
    return ok(check, f"Python {found['python']}, {cpus:g} processors and {gpus:g} GPUs for Ray, sees {place}")


def describe_node(token: str) -> dict[str, Any]:
    """What a node says of itself; runs there."""
    return {"python": platform.python_version(), "code_version": code_version(), "sees": os.path.exists(token)}  # noqa: PTH110
