"""Hosts of a test: network namespaces of this machine, each with an address and a link that can be cut."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

NETWORK = "10.231.77"
BRIDGE = "agrm-br"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass
class Hosts:
    """Namespaces on one bridge; this machine is on it with the address `ours`."""

    names: list[str] = field(default_factory=list)
    ours: str = f"{NETWORK}.1"

    def add(self) -> tuple[str, tuple[str, ...]]:
        """One more host: its address, and the words before a command that runs on it."""
        number = len(self.names) + 2
        name, cable = f"agrm-{os.getpid()}-{number}", f"agrm-v{number}"
        _ip("netns", "add", name)
        self.names.append(name)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", cable, "master", BRIDGE, "up")
        _ip("-n", name, "addr", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        return f"{NETWORK}.{number}", ("ip", "netns", "exec", name)

    def cut(self, number: int) -> None:
        """Pulls the cable of the host that was added first (0), second (1), …."""
        _ip("link", "set", f"agrm-v{number + 2}", "down")

    def mend(self, number: int) -> None:
        """Plugs it in again."""
        _ip("link", "set", f"agrm-v{number + 2}", "up")


@contextlib.contextmanager
def hosts() -> Iterator[Hosts]:
    """A network that is gone at the end of the block.

    Raises:
        PermissionError: This machine lets nobody make one.
    """
    try:
        _ip("link", "add", BRIDGE, "type", "bridge")
    except (OSError, subprocess.CalledProcessError) as error:
        raise PermissionError("no network namespaces here") from error
    made = Hosts()
    try:
        _ip("addr", "add", f"{made.ours}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        yield made
    finally:
        for name in made.names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", BRIDGE], check=False, capture_output=True)
