"""Ray nodes of a test on the loopback interface, each in a process that can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

SCRIPT = Path(__file__).parent / "ray_node.py"
START_S = 90.0


@dataclass
class Node:
    """A running node.

    Attributes:
        process: The process that holds it; everything of the node is below it.
        gcs: ``host:port`` of its cluster.
        node_id: Ray's identity of it.
    """

    process: subprocess.Popen[bytes]
    gcs: str
    node_id: str

    def processes(self) -> list[psutil.Process]:
        """Everything of the node, workers included."""
        try:
            holder = psutil.Process(self.process.pid)
            return [holder, *holder.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """All at once, as when the power goes."""
        self._signal(signal.SIGKILL)
        self.process.wait(20)

    def freeze(self) -> None:
        """It says nothing and hears nothing any more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def listening(self) -> set[str]:
        """Addresses that the node's processes listen on."""
        mine = {process.pid for process in self.processes()}
        found = psutil.net_connections("tcp")
        return {each.laddr.ip for each in found if each.status == "LISTEN" and each.pid in mine}

    def _signal(self, number: int) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@dataclass
class Nodes:
    """The nodes of one cluster; the first that is started is its head.

    Attributes:
        folder: Ray's folder for them (short: socket names have little room).
        environment: Of every node.
        python: The Python that nodes and their workers run.
        without: Variables that nodes do not inherit.
        prefix: Command that runs a node elsewhere (``ip netns exec …``), by its number.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable
    without: tuple[str, ...] = ()
    system: dict[str, Any] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    @property
    def address(self) -> str:
        """``host:port`` of the head."""
        return self.nodes[0].gcs

    def start(
        self,
        *,
        cpus: int = 1,
        gpus: int = 0,
        resources: dict[str, float] | None = None,
        ip: str = "127.0.0.1",
        prefix: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        port: int = 0,
        autoscaling: dict[str, Any] | None = None,
    ) -> Node:
        """Starts one more node and waits until it is there.

        Args:
            port: Of the head, where it must be known before.
            autoscaling: What the head's autoscaler is told; without it none is started.
        """
        asked = {
            "gcs": self.nodes[0].gcs if self.nodes else None,
            "port": port,
            "autoscaling": autoscaling,
            "ip": ip,
            "cpus": cpus,
            "gpus": gpus,
            "resources": resources or {},
            "folder": str(self.folder),
            "system": self.system if not self.nodes else {},
        }
        loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} if ip.startswith("127.") else {}
        process = subprocess.Popen(
            [*prefix, self.python, str(SCRIPT), json.dumps(asked)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self.folder / f"node{len(self.nodes)}.log").open("wb"),
            env={
                **{name: value for name, value in os.environ.items() if name not in self.without},
                "RAY_AUTH_MODE": "token",
                "RAY_USAGE_STATS_ENABLED": "0",
                "OMP_NUM_THREADS": "1",
                **loopback,
                **self.environment,
                **(environment or {}),
            },
        )
        node = Node(process, "", "")
        self.nodes.append(node)
        said = json.loads(_first_line(process))
        node.gcs, node.node_id = said["gcs"], said["node_id"]
        return node

    def stop(self) -> None:
        """Ends every node that still runs, workers before the head."""
        for node in reversed(self.nodes):
            node.thaw()
            family = node.processes()
            node.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.process.wait(10)
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            node.process.wait(10)
        for process in psutil.process_iter():  # a node that the autoscaler was just starting
            with contextlib.suppress(psutil.Error):
                if any(str(self.folder) in word for word in process.cmdline()):
                    process.kill()


@contextlib.contextmanager
def cluster(**fields: Any) -> Iterator[Nodes]:
    """Nodes that end with the block; none is started yet."""
    folder = Path(tempfile.mkdtemp(prefix="agrm", dir="/tmp"))
    nodes = Nodes(folder, **fields)
    try:
        yield nodes
    finally:
        nodes.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    """The first line of JSON that a process prints."""
    assert process.stdout is not None
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        ready, _, _ = select.select([process.stdout], [], [], 1.0)
        if ready:
            line = process.stdout.readline()
            if line.startswith(b"{"):
                return line
            if not line:
                raise RuntimeError(f"the node ended with {process.wait(10)}")
    raise TimeoutError("the node did not start")
