"""Does the cluster's autoscaler have a kind of node for a trial? It is asked before anything else is done.

Ray tells nobody which kinds of node an autoscaler may start. So a node is asked for as a trial would do it. Where there
is a kind for it the autoscaler starts one, which comes while the data are prepared, and leaves again when it has had
nothing to do for a while. Otherwise Ray's second autoscaler (`ray up`, KubeRay) says so, and its first does nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from agrm_study.execution.resources.capacity import Resources, alive_nodes, each_kind, in_words, trials_on
from agrm_study.study.errors import InputError

PATIENCE_S: Final = 60.0
"""Seconds that an autoscaler has to answer; it looks every five seconds, and asks a cloud meanwhile."""
LOOK_EVERY_S: Final = 0.5
FIRST_SAYS: Final = b"__autoscaling_status"
FIRST_ROUNDS: Final = 4
"""Looks of Ray's first autoscaler, which says nothing of what it cannot bring, within which it starts a node."""


def check_autoscaler(resources: Resources, kinds: Sequence[str], tick: Callable[[], None]) -> list[str]:
    """Asks for a node for each kind of trial that no node of the cluster can hold; it is not waited for.

    Args:
        resources: What one trial takes.
        kinds: Accelerators that trials name; none when they do not.
        tick: Called several times a second; may raise to give up.

    Returns:
        What is worth knowing.

    Raises:
        InputError: No node would ever come.
    """
    notes = []
    for each in each_kind(resources, kinds).values():
        if any(trials_on(node["Resources"], each) for node in alive_nodes()):
            continue
        _ask(each, tick)
        notes.append(
            f"No node holds a trial yet ({each}): the autoscaler brings one. `ray status` on the head says how it goes."
        )
    return notes


def _ask(resources: Resources, tick: Callable[[], None]) -> None:
    """Waits until the autoscaler has seen a request for one trial.

    Raises:
        InputError: It can start no node for it, or there is no autoscaler.
    """
    import ray
    from ray._private import worker
    from ray.autoscaler.v2.utils import is_autoscaler_v2

    head = worker.global_worker.gcs_client
    second = is_autoscaler_v2(fetch_from_server=True, gcs_client=head)
    request = ray.util.placement_group([{name: much for name, much in resources.bundle().items() if much}])
    answered = _second(head, request.id.hex()) if second else _first(head)
    end = time.monotonic() + PATIENCE_S
    try:
        while not request.wait(LOOK_EVERY_S):
            tick()
            answer = answered()
            if answer:
                return
            if answer is False:
                raise InputError(
                    "the cluster's autoscaler must be able to bring a node that holds one trial",
                    field="resources",
                    given=str(resources),
                    allowed=f"what is there: {in_words(alive_nodes())}",
                    hint="It starts none: no kind of node that it knows is large enough or has that "
                    "accelerator, or it may start no more nodes than there are (`max_workers`).",
                )
            if time.monotonic() > end:
                raise _no_autoscaler(f"None answers on this one within {PATIENCE_S:.0f} s.")
    finally:
        ray.util.remove_placement_group(request)


def _second(head: Any, request: str) -> Callable[[], bool | None]:
    """Whether Ray's second autoscaler can bring a node for a request; ``None`` until it has seen it."""
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    asked_in: list[int] = []  # number of the cluster's state in which the request was first

    def answered() -> bool | None:
        status = GetClusterStatusReply.FromString(head.get_cluster_status())
        cluster, autoscaler = status.cluster_resource_state, status.autoscaling_state
        if not asked_in:
            if _among(request, cluster.pending_gang_resource_requests):
                asked_in.append(cluster.cluster_resource_state_version)
            return None
        if autoscaler.last_seen_cluster_resource_state_version < asked_in[0]:
            return None
        return not _among(request, autoscaler.infeasible_gang_resource_requests)

    return answered


def _among(request: str, requests: Any) -> bool:
    return any(each.details.startswith(request) for each in requests)


def _first(head: Any) -> Callable[[], bool | None]:
    """Whether Ray's first autoscaler starts nodes; ``None`` until it has had time to."""
    from ray.autoscaler._private.util import format_readonly_node_type

    as_found = re.compile(format_readonly_node_type("[0-9a-f]+"))  # how Ray names a node that nobody has described
    rounds: set[float] = set()

    def answered() -> bool | None:
        said = json.loads(head.internal_kv_get(FIRST_SAYS, None) or b"{}")
        if not (report := said.get("autoscaler_report")):
            return None
        if all(as_found.fullmatch(kind) for kind in report["active_nodes"]):
            raise _no_autoscaler("This one's head was started without one (`ray start --autoscaling-config`).")
        if report["pending_launches"] or report["pending_nodes"]:
            return True
        if report["node_availability_summary"]["node_availabilities"]:  # it has tried to
            return True
        rounds.add(said["time"])
        return False if len(rounds) > FIRST_ROUNDS else None

    return answered


def _no_autoscaler(why: str) -> InputError:
    return InputError(
        "needs a cluster with an autoscaler that brings nodes",
        field="--autoscale",
        allowed=f"what is there: {in_words(alive_nodes())}",
        hint=f"{why} Without `--autoscale` a study runs on the nodes that are there.",
    )
