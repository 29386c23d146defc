"""One node of a Ray cluster, in the foreground: `python ray_node.py '{"gcs": null, …}'` (see `nodes.Node`).

`ray start` refuses a second node if Ray is restricted to the loopback interface; this script starts one in the same way
as Ray's own tests.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any


def main(asked: dict[str, Any]) -> None:
    """Starts the node, prints the address of its cluster, and lives until it is ended."""
    from ray._private import node, parameter, ray_constants
    from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled
    from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

    if asked["ip"].startswith("127."):
        ray_constants.ENABLE_RAY_CLUSTER = False
    ensure_token_if_auth_enabled(None, create_token_if_missing=True)
    params = parameter.RayParams(
        node_ip_address=asked["ip"],
        num_cpus=asked["cpus"],
        num_gpus=asked["gpus"],
        resources=asked["resources"],
        labels=asked.get("labels"),
        object_store_memory=80 * 2**20,
        min_worker_port=0,
        max_worker_port=0,
        temp_dir=asked["folder"],
        include_dashboard=False,
        include_log_monitor=False,
        _system_config=asked["system"] or None,
    )
    if asked["gcs"] is None:
        params.gcs_server_port = asked["port"]
        params.update_if_absent(dashboard_agent_listen_port=0)
        if asked["autoscaling"] is not None:
            told = Path(asked["folder"]) / "autoscaling.json"
            told.write_text(json.dumps(asked["autoscaling"]))
            params.autoscaling_config = str(told)
            params.env_vars = {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID}
    else:
        params.gcs_address = asked["gcs"]
        params.redis_address = asked["gcs"]
        params.node_manager_port = 0
    started = node.Node(params, head=asked["gcs"] is None, shutdown_at_exit=True, spawn_reaper=True)
    print(json.dumps({"gcs": started.gcs_address, "node_id": started.node_id}), flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
