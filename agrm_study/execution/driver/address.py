"""Does a Ray cluster answer at the address that was given, and does it speak this process's language?"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final

from agrm_study.study.errors import InputError

PATIENCE_S: Final = 20.0
"""Seconds that a cluster has to answer; Ray's own client waits more than a minute."""
OPTION: Final = "--address"


@dataclass(frozen=True, slots=True)
class Reached:
    """A cluster that answers.

    Attributes:
        address: ``host:port`` of its head, as this machine reaches it.
        loopback: Whether the cluster lives on this machine's loopback interface only.
        auth: Value of ``RAY_AUTH_MODE`` with which it answers; empty for Ray's own default.
    """

    address: str
    loopback: bool
    auth: str


def reach(address: str) -> Reached:
    """Asks for a cluster at ``HOST:PORT``, or at ``auto``: the one of ``$RAY_ADDRESS``, or that runs on this machine.

    Raises:
        InputError: Nothing answers there, something else than Ray does, it wants a token that is not here, or it runs
            another version of Ray or Python.
    """
    if "://" in address:
        raise InputError(
            "a study speaks to a cluster from one of its nodes, not through Ray's client server",
            field=OPTION,
            given=address,
            allowed="HOST:PORT of the head node (its GCS port, 6379 by default), auto",
            hint="Run the command on the head node, or with `ray job submit -- agrm-study run … --address auto`.",
        )
    found = _probe(address)
    if "refused" in found:
        raise _refusal(address, found["refused"], found["detail"])
    ours = {"ray": importlib.metadata.version("ray"), "python": platform.python_version()}
    theirs = {name: found[name] for name in ours if found[name]}
    if any(version != ours[name] for name, version in theirs.items()):
        raise InputError(
            "the cluster and this machine must run the same versions",
            field=OPTION,
            given=", ".join(f"{name} {version}" for name, version in theirs.items()),
            allowed=", ".join(f"{name} {version}" for name, version in ours.items()),
            hint="Install the same environment on every node, this one included.",
        )
    return Reached(found["address"], found["loopback"], found["auth"])


def _probe(address: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "agrm_study.execution.driver.probe", address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return {"refused": "silent", "detail": ""}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines()
        return {"refused": "broken", "detail": said[-1] if said else f"exit code {done.returncode}"}
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def _refusal(address: str, kind: str, detail: str) -> InputError:
    where = "`ray status` on the head node says whether the cluster is up, `ray start --head` starts one."
    if kind == "address":
        return InputError(
            "must be the address of a Ray cluster", field=OPTION, given=address, allowed="HOST:PORT, auto"
        )
    if kind == "token":
        return InputError(
            "the Ray cluster wants a token that this machine does not have",
            field=OPTION,
            given=address,
            hint="Copy ~/.ray/auth_token of the head node here (or name it in RAY_AUTH_TOKEN_PATH) and set "
            "RAY_AUTH_MODE=token.",
        )
    if kind == "silent":
        return InputError(
            f"a Ray cluster must answer within {PATIENCE_S:.0f} s",
            field=OPTION,
            given=address,
            hint=f"Something listens there that does not speak like the head of a Ray cluster. {where}",
        )
    return InputError("a Ray cluster must answer", field=OPTION, given=address, hint=f"{_sentence(detail)} {where}")


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""
