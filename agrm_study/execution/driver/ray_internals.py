"""Private interface of Ray that the autoscaler check needs: a connection to the cluster's head.

No public interface reports whether an autoscaler can start a node for a request: `ray status` and `ray.util.state` list
requests that wait, not those that no kind of node can hold.
"""

from __future__ import annotations

from typing import Any, Final

METHODS: Final = ("get_cluster_status", "internal_kv_get")
"""Methods called on the connection."""


def head_connection() -> Any | None:
    """This process's connection to the head of its cluster; ``None`` if this version of Ray lacks it."""
    try:
        from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply  # noqa: F401 - message types of the head's replies
        from ray.experimental.internal_kv import internal_kv_get_gcs_client
    except ImportError:
        return None
    head = internal_kv_get_gcs_client()
    return head if all(callable(getattr(head, name, None)) for name in METHODS) else None


def cluster_status(head: Any) -> Any:
    """The head's state of requests for nodes, and the reply of its second autoscaler (autoscaler.proto)."""
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    return GetClusterStatusReply.FromString(head.get_cluster_status())


def first_autoscaler_report(head: Any) -> bytes | None:
    """The last report of Ray's first autoscaler, as JSON; ``None`` if it has not run yet."""
    report: bytes | None = head.internal_kv_get(b"__autoscaling_status", None)
    return report
