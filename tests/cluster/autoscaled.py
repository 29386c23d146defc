"""A cluster head with Ray's own autoscaler, which starts real nodes on this machine.

Ray provides such a cluster for its tests (`ray.cluster_utils.AutoscalingCluster`), but it stops all Ray processes of
the user by name, and listens on all interfaces.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil
from nodes import Node, Nodes
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FakeMultiNodeProvider
from ray.autoscaler._private.monitor import BASE_READONLY_CONFIG

HEAD: Final = "ray.head.default"
OBJECT_STORE: Final = {"object_store_memory": 80 * 2**20}


class SoldOut(FakeMultiNodeProvider):  # type: ignore[misc]
    """A cloud that has no machine left."""

    def create_node_with_resources_and_labels(self, *asked: Any) -> None:
        raise RuntimeError("InsufficientInstanceCapacity")


def kind(at_most: int, **resources: float) -> dict[str, Any]:
    """A kind of node that the autoscaler may start, from none to so many."""
    return {"resources": {**resources, **OBJECT_STORE}, "node_config": {}, "min_workers": 0, "max_workers": at_most}


def start_head(
    nodes: Nodes,
    kinds: Mapping[str, Mapping[str, Any]],
    *,
    cpus: int = 0,
    idle_s: float = 600.0,
    version: int = 2,
    cloud: type[FakeMultiNodeProvider] = FakeMultiNodeProvider,
) -> Node:
    """Starts the head of a cluster whose autoscaler brings nodes.

    Args:
        nodes: A cluster that has no node yet.
        kinds: Kinds of node (`kind`), by their names.
        cpus: Of the head.
        idle_s: Seconds without work after which a node leaves.
        version: Of the autoscaler: `ray up` and KubeRay start the second, `ray start` of itself the first.
        cloud: Where the nodes come from.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes.environment |= {
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_enable_autoscaler_v2": str(int(version == 2)),
        "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
        "RAY_NODE_TYPE_NAME": HEAD,
        "PYTHONPATH": str(Path(__file__).parent),  # of the autoscaler, which makes the cloud
    }
    head = {"resources": {"CPU": cpus}, "node_config": {}, "max_workers": 0}
    return nodes.start(
        cpus=cpus,
        port=port,
        autoscaling={
            **BASE_READONLY_CONFIG,
            "cluster_name": "grows",
            "max_workers": sum(each["max_workers"] for each in kinds.values()),
            "upscaling_speed": 1.0,
            "idle_timeout_minutes": idle_s / 60,
            "provider": {
                "type": "external",  # by its own name it wants a file that Ray's wheel lacks
                "module": f"{cloud.__module__}.{cloud.__name__}",
                "head_node_id": FAKE_HEAD_NODE_ID,
                "gcs_address": f"127.0.0.1:{port}",
                "launch_multiple": version == 2,
                "use_node_id_as_ip": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
            },
            "available_node_types": {**kinds, HEAD: head},
            "head_node_type": HEAD,
        },
    )


def kind_of(pid: int) -> str:
    """The kind of node that a process runs on; empty when it has ended."""
    try:
        return psutil.Process(pid).environ().get("RAY_NODE_TYPE_NAME", "")
    except psutil.Error:
        return ""


def started(nodes: Nodes) -> list[psutil.Process]:
    """What holds each node that the autoscaler has started (Ray's raylet)."""
    found = []
    for process in nodes.nodes[0].processes():
        with contextlib.suppress(psutil.Error):
            if process.name() == "raylet" and kind_of(process.pid) != HEAD:
                found.append(process)
    return found
