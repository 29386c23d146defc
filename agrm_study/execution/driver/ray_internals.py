"""The one private member of Ray that the check of an autoscaler needs: a connection to the cluster's head.

No public interface says whether an autoscaler can start a node for a request: `ray status` and `ray.util.state` list
requests that wait, not those that no kind of node can hold.
"""

from __future__ import annotations

from typing import Any, Final

METHODS: Final = ("get_cluster_status", "internal_kv_get")
"""What is called on the connection."""


def head_connection() -> Any | None:
    """This process's connection to the head of its cluster; ``None`` where this version of Ray has it no more."""
    try:
        from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply  # noqa: F401 - what the head answers with
        from ray.experimental.internal_kv import internal_kv_get_gcs_client
    except ImportError:
        return None
    head = internal_kv_get_gcs_client()
    return head if all(callable(getattr(head, name, None)) for name in METHODS) else None


def cluster_status(head: Any) -> Any:
    """What the head knows of requests for nodes, and what its second autoscaler answered (autoscaler.proto)."""
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    return GetClusterStatusReply.FromString(head.get_cluster_status())


def first_autoscaler_report(head: Any) -> bytes | None:
    """What Ray's first autoscaler wrote at its last round, as JSON; ``None`` when there was no round."""
    report: bytes | None = head.internal_kv_get(b"__autoscaling_status", None)
    return report
