"""Does a Ray cluster answer at an address? Asked in a process of its own: ``python -m … ADDRESS`` prints JSON.

Ray's client waits more than a minute for a cluster that is not there and writes about it to the terminal, from C++,
where nobody can catch it. This process is given some seconds, and what it writes is read by who started it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

CONNECT_S = 5.0
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


def probe(address: str) -> dict[str, Any]:
    """What answers: ``address, loopback, auth, ray, python``, or ``refused`` with ``detail``.

    ``refused`` is one of ``address`` (it cannot be an address), ``nothing`` (nobody listens there) and ``token``.
    """
    from ray._private import services

    if address == "auto":
        found = services.get_ray_address_from_environment("auto", None)
        if found is None:
            return {"refused": "nothing", "detail": "no Ray cluster runs on this machine"}
        address = str(found)
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit():
        return {"refused": "address", "detail": "HOST:PORT"}
    hosts = [services.get_node_ip_address(), "127.0.0.1"] if host in LOOPBACK_HOSTS else [host]
    reason = ""
    for candidate in hosts:
        try:
            socket.create_connection((candidate, int(port)), timeout=CONNECT_S).close()
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            continue
        return _ask(f"[{candidate}]:{port}" if ":" in candidate else f"{candidate}:{port}")
    return {"refused": "nothing", "detail": reason}


def _ask(address: str) -> dict[str, Any]:
    """Speaks to the head, with the token of this machine where it wants one."""
    import ray
    from ray._common.usage import usage_lib
    from ray._private.authentication import authentication_token_setup as setup
    from ray.exceptions import AuthenticationError

    try:
        head = ray._raylet.GcsClient(address=address)
    except AuthenticationError:
        if setup.AUTH_MODE_ENV_VAR in os.environ or not setup.maybe_enable_token_auth_if_token_available(False):
            return {"refused": "token", "detail": address}
        try:
            head = ray._raylet.GcsClient(address=address)
        except AuthenticationError:
            return {"refused": "token", "detail": address}
    about = usage_lib.get_cluster_metadata(head)
    return {
        "address": address,
        "loopback": address.startswith("127."),
        "auth": os.environ.get(setup.AUTH_MODE_ENV_VAR, ""),
        "ray": str(about.get("ray_version", "")),
        "python": str(about.get("python_version", "")),
    }


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1])))
