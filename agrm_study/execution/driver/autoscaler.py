"""Early check of whether the cluster's autoscaler can start a node that can run a trial.

Ray does not list the node types that an autoscaler may start, so the check requests a node as a trial would. If a node
type fits, the autoscaler starts a node while the data are prepared, and stops it again after an idle period. Otherwise
Ray's autoscaler v2 (`ray up`, KubeRay) reports the request as infeasible, and v1 does nothing.

The check uses private APIs of Ray, since `ray status` and `ray.util.state` list only pending requests, not infeasible
ones. With versions of Ray that lack these APIs, the check is skipped.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, Final

from agrm_study.execution.resources.capacity import Placement, Resources, alive_nodes, in_words, trials_on
from agrm_study.study.errors import InputError

UNDESCRIBED: Final = re.compile("node_[0-9a-f]+")
"""Node type that Ray's autoscaler v1 assigns to a node that its configuration does not describe."""
PATIENCE_S: Final = 60.0
"""Timeout for the autoscaler's response, in seconds; it updates every five seconds and queries the cloud provider in
between."""
LOOK_EVERY_S: Final = 0.5
FIRST_ROUNDS: Final = 4
"""Number of update rounds within which Ray's autoscaler v1 starts a node; v1 does not report infeasible requests."""
SEE: Final = "`ray status` on the head node shows its progress."


def check_autoscaler(placement: Placement, tick: Callable[[], None]) -> list[str]:
    """Requests a node for each kind of trial that does not fit on any node; does not wait for the node to start.

    Args:
        tick: Called several times a second; may raise to abort.

    Returns:
        Non-fatal notes.

    Raises:
        InputError: If the autoscaler cannot start a suitable node, or the cluster has no autoscaler.
    """
    notes = []
    head = _head()
    for each in placement.each_kind().values():
        if any(trials_on(node["Resources"], each) for node in alive_nodes()):
            continue
        lacks = f"No node can run a trial yet ({each})"
        if head is None:
            notes.append(
                f"{lacks}, and this version of Ray does not report whether the autoscaler can start one: trials wait "
                f"until it does. {SEE}"
            )
        else:
            _request(head, each, tick)
            notes.append(f"{lacks}: the autoscaler starts one. {SEE}")
    return notes


def _head() -> Any | None:
    """This process's connection to the head of its cluster; ``None`` if this version of Ray lacks the private APIs."""
    try:
        from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply  # noqa: F401
        from ray.experimental.internal_kv import internal_kv_get_gcs_client
    except ImportError:
        return None
    head = internal_kv_get_gcs_client()
    called = ("get_cluster_status", "internal_kv_get")
    return head if all(callable(getattr(head, name, None)) for name in called) else None


def _request(head: Any, resources: Resources, tick: Callable[[], None]) -> None:
    """Waits until the autoscaler has seen a request for one trial.

    Raises:
        InputError: If the autoscaler cannot start a suitable node, or there is no autoscaler.
    """
    import ray

    request = ray.util.placement_group([{name: much for name, much in resources.bundle().items() if much}])
    second, first = _second(head, request.id.hex()), _first(head)
    end = time.monotonic() + PATIENCE_S
    try:
        while not request.wait(LOOK_EVERY_S):
            tick()
            answer = second()
            if answer is None:
                answer = first()
            if answer:
                return
            if answer is False:
                raise InputError(
                    "the cluster's autoscaler must be able to start a node that can run one trial",
                    field="resources",
                    given=str(resources),
                    allowed=f"available: {in_words(alive_nodes())}",
                    hint="It cannot start such a node: no configured node type is large enough or has the accelerator, "
                    "or `max_workers` is reached.",
                )
            if time.monotonic() > end:
                raise _no_autoscaler(f"No autoscaler of this cluster responded within {PATIENCE_S:.0f} s.")
    finally:
        ray.util.remove_placement_group(request)


def _second(head: Any, request: str) -> Callable[[], bool | None]:
    """A check of whether Ray's autoscaler v2 can start a node for a request; ``None`` until it has seen the request."""
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    requested_in: list[int] = []  # version of the cluster's state that first included the request

    def answered() -> bool | None:
        status = GetClusterStatusReply.FromString(head.get_cluster_status())
        cluster, autoscaler = status.cluster_resource_state, status.autoscaling_state
        if not requested_in:
            if _among(request, cluster.pending_gang_resource_requests):
                requested_in.append(cluster.cluster_resource_state_version)
            return None
        if autoscaler.last_seen_cluster_resource_state_version < requested_in[0]:
            return None
        return not _among(request, autoscaler.infeasible_gang_resource_requests)

    return answered


def _among(request: str, requests: Any) -> bool:
    return any(each.details.startswith(request) for each in requests)


def _first(head: Any) -> Callable[[], bool | None]:
    """A check of whether Ray's autoscaler v1 starts nodes; ``None`` before it has had time to do so, or if v2 runs."""
    rounds: set[float] = set()

    def answered() -> bool | None:
        found = json.loads(head.internal_kv_get(b"__autoscaling_status", None) or b"{}")
        if not (report := found.get("autoscaler_report")):
            return None
        if all(UNDESCRIBED.fullmatch(kind) for kind in report["active_nodes"]):
            raise _no_autoscaler("The head of this cluster was started without one (`ray start --autoscaling-config`).")
        tried = report["node_availability_summary"]["node_availabilities"]
        if report["pending_launches"] or report["pending_nodes"] or tried:
            return True
        rounds.add(found["time"])
        return False if len(rounds) > FIRST_ROUNDS else None

    return answered


def _no_autoscaler(why: str) -> InputError:
    return InputError(
        "requires a cluster with an autoscaler that starts nodes",
        field="--autoscale",
        allowed=f"available: {in_words(alive_nodes())}",
        hint=f"{why} Without `--autoscale` a study runs on the available nodes.",
    )
