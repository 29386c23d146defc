"""Lookup of a Ray cluster by address: whether it responds, its token, and its version of Ray.

Ray's client waits more than a minute for a cluster that does not exist, and exits when a token is missing. Therefore,
`ray status` runs first, in a separate process with a time limit.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import psutil

from agrm_study.execution.resources.ray_folder import PREFIX
from agrm_study.study.errors import InputError

PATIENCE_S: Final = 30.0
"""Timeout for a cluster's response, in seconds."""
CONNECT_S: Final = 5.0
OPTION: Final = "--address"
AUTH_MODE: Final = "RAY_AUTH_MODE"
LOOPBACK: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Environment variable that keeps Ray on the loopback interface; must be set before Ray is imported."""
LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "::1")
_TOKEN: Final = re.compile("AuthenticationError|authentication token|InvalidAuthToken", re.IGNORECASE)
_RAY_VERSION: Final = re.compile(r"cluster has Ray version (\S+)")


class Reached(NamedTuple):
    """``host:port`` at which this machine reaches a cluster's head, and the environment variables that Ray needs.

    The variables must be set before Ray is imported.
    """

    address: str
    environment: dict[str, str]


class Status(NamedTuple):
    """Exit code of ``ray status`` (``None`` on timeout), and its output."""

    code: int | None
    text: str


def reach(address: str) -> Reached:
    """Finds the cluster at ``HOST:PORT``; for ``auto``, the cluster at ``$RAY_ADDRESS`` or on this machine.

    Raises:
        InputError: If nothing, or a service other than Ray, responds; if the cluster requires a token that is missing
            here; or if it runs a different version of Ray.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "") or _on_this_machine()
    if "://" in address:
        raise InputError(
            "a study connects to a cluster from one of its nodes, not through the Ray Client server",
            field=OPTION,
            given=address,
            allowed="HOST:PORT of the head node (its GCS port, 6379 by default), auto",
            hint="Run the command on the head node, or with `ray job submit -- agrm-study run … --address auto`.",
        )
    found = _listening(address)
    environment = LOOPBACK if found.startswith("127.") else {}
    status = ray_status(found, environment)
    if _wants_token(status) and AUTH_MODE not in os.environ:
        environment = environment | {AUTH_MODE: "token"}
        status = ray_status(found, environment)
    if status.code == 0:
        return Reached(found, environment)
    raise _refusal(address, status)


def ray_status(address: str, environment: Mapping[str, str]) -> Status:
    """Runs ``ray status`` with the given environment variables; it also compares the versions of Ray."""
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired:
        return Status(None, "")
    return Status(done.returncode, done.stdout)


def different_versions(theirs: Mapping[str, str]) -> InputError:
    """The error for a cluster whose versions (of ``ray`` and ``python``) differ from the versions on this machine."""
    ours = {"ray": importlib.metadata.version("ray"), "python": platform.python_version()}
    return InputError(
        "the cluster and this machine must run the same versions",
        field=OPTION,
        given=", ".join(f"{name} {version}" for name, version in theirs.items()),
        allowed=", ".join(f"{name} {ours[name]}" for name in theirs),
        hint="Install the same environment on every node, including this one.",
    )


def _on_this_machine() -> str:
    """Address of the only cluster with a node on this machine; this user's cluster if other users also run clusters.

    Raises:
        InputError: If there is no such cluster, or more than one.
    """
    found = dict(_local_clusters())
    own = [address for address, uid in found.items() if uid == os.getuid()] or list(found)
    if len(own) == 1:
        return own[0]
    if own:
        raise InputError(
            "several Ray clusters have a node on this machine: specify one with --address",
            field=OPTION,
            given="auto",
            allowed=", ".join(sorted(own)),
        )
    raise _no_answer("auto", "No Ray cluster is running on this machine.")


def _local_clusters() -> Iterator[tuple[str, int]]:
    """Head address and user of each raylet on this machine, except raylets that local study runs have started."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() != "raylet":
                continue
            words = process.cmdline()
            if not any(f"/{PREFIX}" in word for word in words):
                for word in words:
                    if word.startswith("--gcs-address="):
                        yield word.partition("=")[2], process.uids().real


def _listening(address: str) -> str:
    """The reachable form of an address: a loopback address is replaced by the node's network address in Ray.

    Raises:
        InputError: If the address is invalid, or nothing listens on it.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit():
        raise InputError("must be the address of a Ray cluster", field=OPTION, given=address, allowed="HOST:PORT, auto")
    reason = ""
    for candidate in [_own_address(), "127.0.0.1"] if host in LOOPBACK_HOSTS else [host]:
        try:
            socket.create_connection((candidate, int(port)), timeout=CONNECT_S).close()
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            continue
        return f"[{candidate}]:{port}" if ":" in candidate else f"{candidate}:{port}"
    raise _no_answer(address, _sentence(reason))


def _own_address() -> str:
    """This machine's address as seen by other machines; the loopback address if there is no network."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:
        towards.connect(("192.0.2.1", 9))  # an address reserved for documentation (RFC 5737); nothing is sent
        return str(towards.getsockname()[0])
    return "127.0.0.1"


def _wants_token(status: Status) -> bool:
    return status.code != 0 and _TOKEN.search(status.text) is not None


def _refusal(address: str, status: Status) -> InputError:
    if _wants_token(status):
        return InputError(
            "the Ray cluster requires a token that this machine does not have",
            field=OPTION,
            given=address,
            hint="Copy ~/.ray/auth_token from the head node (or set RAY_AUTH_TOKEN_PATH to a copy) and set "
            "RAY_AUTH_MODE=token.",
        )
    if version := _RAY_VERSION.search(status.text):
        return different_versions({"ray": version[1]})
    if status.code is None:
        return InputError(
            f"a Ray cluster must respond within {PATIENCE_S:.0f} s",
            field=OPTION,
            given=address,
            hint=f"The address accepts connections but does not respond like the head of a Ray cluster. {_WHERE}",
        )
    lines = [line for line in status.text.splitlines() if line.strip()]
    return _no_answer(address, _sentence(lines[-1][:200] if lines else f"`ray status` exited with code {status.code}"))


_WHERE: Final = "`ray status` on the head node shows whether the cluster is up; `ray start --head` starts one."


def _no_answer(address: str, reason: str) -> InputError:
    return InputError("a Ray cluster must respond", field=OPTION, given=address, hint=f"{reason} {_WHERE}".strip())


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""
