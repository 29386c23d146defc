"""A real SLURM for tests: a controller and several nodes, in namespaces of this machine.

Each node has its own processes, network address, host name and /tmp; other files are shared, as on a cluster. All
processes run in one process namespace, whose first process ends when the test closes its end of a pipe.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

NETWORK = "10.231.78"
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "sinfo", "nsenter", "unshare", "ip")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
START_S = 60.0
NOT_PASSED = ("RAY_", "SLURM_", "AGRM_", "TMPDIR")
"""Variables of this process that the room does not inherit; a TMPDIR of the tests is no folder of a node."""
APART = ("unshare", "--net", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
OWN_TMP = """mount -t tmpfs none /run && mkdir /run/tmp /run/work /run/shared
mount --bind "$0" /run/shared
mount -t overlay none -o lowerdir=/tmp,upperdir=/run/tmp,workdir=/run/work /tmp
mount --bind /run/shared "$0"
"""
ROOM = f"""set -e; hostname control; ip link set lo up
ip link add bridge0 type bridge; ip addr add {NETWORK}.1/24 dev bridge0; ip link set bridge0 up
echo ready; exec cat"""
NODE = f"""set -e; hostname "$1"
{OWN_TMP}
mount --bind "$0/hosts" /etc/hosts
until ip link show eth0 2>/dev/null; do sleep 0.05; done
ip link set lo up; ip addr add "$2/24" dev eth0; ip link set eth0 up
slurmd -D -N "$1" & wait"""
SETTINGS = """ClusterName=room
SlurmctldHost=control({network}.1)
SlurmUser=root
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/control
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdParameters=config_overrides
SlurmdTimeout=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5
ReturnToService=2
GresTypes=gpu
NodeName=node[1-{nodes}] NodeAddr={network}.[2-{last}] CPUs=1 RealMemory=4000 Gres=gpu:1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE
"""


def why_not() -> str:
    """What this machine lacks for a SLURM of a test's own; empty when it has all."""
    absent = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: slurmctld slurmd slurm-client munge iproute2)"
    if os.geteuid():
        return "only root may start slurmd and separate its nodes"
    tried = f"set -e; {OWN_TMP} ip link add bridge0 type bridge; ip link add cable0 type veth peer name plug0"
    done = subprocess.run([*APART, "bash", "-c", tried, "/var/tmp"], check=False, capture_output=True, text=True)
    return f"nodes cannot be separated here: {done.stderr.strip()}" if done.returncode else ""


@dataclass
class Slurm:
    """A running SLURM.

    Attributes:
        folder: Its own files, and those of jobs: all nodes see them.
        room: First process of the namespace that everything is in.
        nodes: First process of each node.
        started: What was started in the room.
    """

    folder: Path
    room: int
    nodes: dict[int, int] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED)}
        return kept | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": PATH}

    def ask(self, *words: str, check: bool = True, **environment: str) -> str:
        """What a command of SLURM answers on the login node."""
        done = subprocess.run(
            ["nsenter", f"--target={self.room}", "--net", *words],
            env=self.environment | environment, cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """What SLURM knows of a job, by its names (``JobState``, ``Restarts``, ``ExitCode``, …)."""
        return dict(re.findall(r"(\w+)=(\S*)", self.ask("scontrol", "show", "job", number)))

    def start_node(self, number: int) -> None:
        """Switches a node on."""
        name, address = f"node{number}", f"{NETWORK}.{number + 1}"
        process = self.start(name, *APART, "bash", "-c", NODE, str(self.folder), name, address)
        first = self.nodes[number] = until(lambda: _first_process(process.pid), "a node did not start")
        port = f"port{first}"
        self._ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(first))
        self._ip("link", "set", port, "master", "bridge0", "up")

    def kill_node(self, number: int) -> None:
        """Its power goes."""
        psutil.Process(self.nodes[number]).kill()

    def until_idle(self) -> None:
        """Waits until every node takes jobs."""
        expected = f"{len(self.nodes)} idle"
        until(lambda: self.ask("sinfo", "--noheader", "--format=%D %t", check=False) == expected, "no idle nodes")

    def left_on(self, number: int) -> list[str]:
        """Processes of a node that are not SLURM's, and what lies in its /tmp, except for an empty private folder."""
        first = self.nodes[number]
        space = Path(f"/proc/{first}/ns/pid").readlink()
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if Path(f"/proc/{process.pid}/ns/pid").readlink() == space and process.pid != first:
                    found.append(" ".join(process.cmdline()))
        files = []
        for file in Path(f"/proc/{first}/root/run/tmp").iterdir():
            if file.name == f"agrm-study-{os.getuid()}":  # the user's private folder, which stays
                files += [f"{file.name}/{child.name}" for child in file.iterdir()]
            else:
                files.append(file.name)
        return [each for each in found if each and not each.startswith("slurmd -D")] + files

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Starts a process in the room; what it prints goes to a file."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["nsenter", f"--target={self.room}", "--net", "--uts", "--pid", "--mount", *command],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.started.append(process)
        return process

    def _ip(self, *words: str) -> None:
        subprocess.run(["nsenter", f"--target={self.room}", "--net", "ip", *words], check=True, env=self.environment)


@contextlib.contextmanager
def real_slurm(nodes: int) -> Iterator[Slurm]:
    """A SLURM with idle nodes that is gone at the end of the block, with all that runs on it."""
    folder = Path(tempfile.mkdtemp(prefix="agrm", dir="/tmp"))  # socket names have little room
    pipe = subprocess.PIPE
    room = subprocess.Popen([*APART, "bash", "-c", ROOM], stdin=pipe, stdout=pipe, env=os.environ | {"PATH": PATH})
    assert room.stdin is not None
    assert room.stdout is not None
    slurm = Slurm(folder, 0)
    try:
        assert room.stdout.readline() == b"ready\n"
        slurm.room = _first_process(room.pid)
        _configure(folder, nodes)
        files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "seed-file": "munge.seed"}
        options = [f"--{option}={folder / name}" for option, name in files.items()]
        slurm.start("munged", "munged", "--foreground", "--force", *options, f"--log-file={folder / 'munge.log'}")
        until((folder / "munge.socket").exists, "munged did not start")
        slurm.start("slurmctld", "slurmctld", "-D")
        for number in range(1, nodes + 1):
            slurm.start_node(number)
        slurm.until_idle()
        yield slurm
    finally:
        room.stdin.close()
        room.stdout.close()
        room.wait(20)
        for process in slurm.started:
            process.wait(20)
        shutil.rmtree(folder)


def until(happened: Callable[[], int], otherwise: str, timeout_s: float = START_S) -> int:
    """Waits for something; gives what was waited for."""
    end = time.monotonic() + timeout_s
    while not (came := happened()):
        assert time.monotonic() < end, otherwise
        time.sleep(0.2)
    return came


def _configure(folder: Path, nodes: int) -> None:
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    (folder / "control").mkdir()
    (folder / "slurm.conf").write_text(SETTINGS.format(network=NETWORK, folder=folder, nodes=nodes, last=nodes + 1))
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
    names = "".join(f"127.0.1.1 node{number}\n" for number in range(1, nodes + 1))  # as Debian's installer leaves it
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")


def _first_process(outer: int) -> int:
    """The first process of the namespace that `unshare` has made, below `outer`; 0 while there is none."""
    below = psutil.Process(outer).children(recursive=True)
    return next((each.pid for each in below if each.name() not in ("nsenter", "unshare")), 0)
