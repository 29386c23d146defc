"""Machines that reach each other by ssh: namespaces of this machine, each with its own sshd, home and /tmp.

All processes run in one process namespace, whose first process ends when the test closes its end of a pipe.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

NETWORK = "10.231.79"
USER = "study"
NEEDED = ("sshd", "ssh", "ssh-keygen", "rsync", "nsenter", "unshare", "ip")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
START_S = 30.0
APART = ("unshare", "--net", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
OWN_TMP = """mount -t tmpfs none /run && mkdir /run/sshd /run/tmp /run/work /run/shared
mount --bind "$0" /run/shared
mount -t overlay none -o lowerdir=/tmp,upperdir=/run/tmp,workdir=/run/work /tmp
mount --bind /run/shared "$0"
"""
ROOM = f"""set -e; ip link set lo up
ip link add bridge0 type bridge; ip addr add {NETWORK}.1/24 dev bridge0; ip link set bridge0 up
echo ready; exec cat"""
MACHINE = f"""set -e; hostname "$1"
{OWN_TMP}
mount --bind "$0/$1/passwd" /etc/passwd
until ip link show eth0 2>/dev/null; do sleep 0.05; done
ip link set lo up; ip addr add "$2/24" dev eth0; ip link set eth0 up; ip route add default via {NETWORK}.1
exec "$(command -v sshd)" -D -e -f "$0/sshd_config" -h "$0/$1/host_key\""""
SETTINGS = f"""Port 22
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
AllowUsers {USER}
"""


def why_not() -> str:
    """What this machine lacks for a test's own machines; empty when it has all."""
    absent = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: openssh-server openssh-client rsync iproute2)"
    if os.geteuid():
        return "only root may separate machines"
    tried = f"set -e; {OWN_TMP} ip link add bridge0 type bridge; ip link add cable0 type veth peer name plug0"
    done = subprocess.run([*APART, "bash", "-c", tried, "/var/tmp"], check=False, capture_output=True, text=True)
    return f"machines cannot be separated here: {done.stderr.strip()}" if done.returncode else ""


@dataclass
class Machines:
    """Running machines; the user's key opens them all, and lies on the first alone.

    Attributes:
        folder: What all of them see.
        room: First process of the namespace that everything is in.
        addresses: Of each, by its name.
        first: First process of each, by its name.
        started: What was started in the room.
    """

    folder: Path
    room: int
    addresses: dict[str, str] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def home(self, name: str) -> Path:
        """The user's home on a machine."""
        return self.folder / name / "home"

    def start(self, name: str) -> None:
        """Switches a machine on and waits until ssh answers."""
        self.home(name).mkdir(parents=True)
        (self.home(name) / ".bashrc").touch()
        (self.home(name) / ".ssh").mkdir(mode=0o700)
        others = Path("/etc/passwd").read_text()
        (self.folder / name / "passwd").write_text(f"{USER}:x:0:0::{self.home(name)}:/bin/bash\n{others}")
        _make_key(self.folder / name / "host_key")
        key = self.home(next(iter(self.first), name)) / ".ssh" / "key"
        if not key.exists():
            _make_key(key)
        (self.home(name) / ".ssh" / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
        address = self.addresses[name] = f"{NETWORK}.{len(self.addresses) + 2}"
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*self._in(self.room), *APART, "bash", "-c", MACHINE, str(self.folder), name, address],
                env={"PATH": PATH}, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.started.append(process)
        first = self.first[name] = _first_process(process.pid)
        port = f"port{first}"
        self._ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(first))
        self._ip("link", "set", port, "master", "bridge0", "up")
        end = time.monotonic() + START_S
        while "Server listening" not in (said := (self.folder / f"{name}.log").read_text()):
            assert time.monotonic() < end, said
            time.sleep(0.1)

    def on(self, name: str, script: str, *, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """What the user's shell on a machine says to a script."""
        return subprocess.run(
            [*self._in(self.first[name]), "bash", "-c", script],
            env={"HOME": str(self.home(name)), "PATH": PATH, "USER": USER, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"},
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip

    def _in(self, first: int) -> Sequence[str]:
        return ("nsenter", f"--target={first}", "--net", "--uts", "--pid", "--mount", f"--wdns={self.folder}")

    def _ip(self, *words: str) -> None:
        subprocess.run(["nsenter", f"--target={self.room}", "--net", "ip", *words], check=True, env={"PATH": PATH})


@contextlib.contextmanager
def ssh_machines(*names: str) -> Iterator[Machines]:
    """Machines that are gone at the end of the block, with all that runs on them."""
    folder = Path(tempfile.mkdtemp(prefix="agrm", dir="/tmp"))
    (folder / "sshd_config").write_text(SETTINGS)
    pipe = subprocess.PIPE
    room = subprocess.Popen([*APART, "bash", "-c", ROOM], stdin=pipe, stdout=pipe, env={"PATH": PATH})
    assert room.stdin is not None
    assert room.stdout is not None
    machines = Machines(folder, 0)
    try:
        assert room.stdout.readline() == b"ready\n"
        machines.room = _first_process(room.pid)
        for name in names:
            machines.start(name)
        yield machines
    finally:
        room.stdin.close()
        room.stdout.close()
        room.wait(20)
        for process in machines.started:
            process.wait(20)
        shutil.rmtree(folder)


def _make_key(file: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)


def _first_process(outer: int) -> int:
    """The first process of the namespace that `unshare` makes, below `outer`."""
    end = time.monotonic() + START_S
    while True:
        below = psutil.Process(outer).children(recursive=True)
        for each in below:
            if each.name() not in ("nsenter", "unshare"):
                pid: int = each.pid
                return pid
        assert time.monotonic() < end, "a machine did not start"
        time.sleep(0.05)
