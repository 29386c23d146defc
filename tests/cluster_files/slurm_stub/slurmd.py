"""Stub of SLURM that runs a batch script on its first node, in a network that has only the loopback interface.

Called as `unshare --net --pid --fork --kill-child --mount-proc python slurmd.py JOB.json`; all remaining processes end
with the namespace. The `#SBATCH` lines of the script specify the warning signal.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
LISTENING = "0A"
LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
"""127.0.0.1, ::1 and ::ffff:127.0.0.1, as /proc/net writes them."""


def switch_loopback_on() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


def listening() -> set[str]:
    """Addresses and ports that somebody in this network listens on, in the notation of /proc/net."""
    rows = [
        row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]  # fmt: skip
    return {row[1] for row in rows if row[3] == LISTENING}


def others() -> list[str]:
    """Command lines of the processes in this namespace, this one left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if words and int(folder.name) != os.getpid():
            found.append(words)
    return found


def knock(port: str) -> str:
    """What Ray's head answers to somebody who does not know the token."""
    said = subprocess.run(
        ["ray", "health-check", "--address", f"127.0.0.1:{int(port, 16)}"],
        env={**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "let in" if said.returncode == 0 else said.stderr


def directive(script: Path, option: str) -> str:
    (value,) = re.findall(rf"^#SBATCH --{option}=(\S+)$", script.read_text(), flags=re.MULTILINE)
    return str(value)


def main(job: dict[str, object]) -> dict[str, object]:
    script, warn = Path(str(job["script"])), Path(str(job["warn"]))
    to_batch_shell, name, _ = re.fullmatch(r"(B:)?([A-Z0-9]+)@(\d+)", directive(script, "signal")).groups()  # type: ignore[union-attr]
    batch = subprocess.Popen(["bash", str(script), *job["arguments"]], stdin=subprocess.DEVNULL)  # type: ignore[misc]
    head_port = f"{20000 + int(os.environ['SLURM_JOB_ID']) % 10000:04X}"
    seen: set[str] = set()
    answer = ""
    while batch.poll() is None:
        seen |= listening()
        if not answer and any(address.endswith(f":{head_port}") for address in seen):
            answer = knock(head_port)
        if warn.exists():
            warn.unlink()
            assert to_batch_shell, "without B: SLURM would signal the steps and not the batch shell"
            batch.send_signal(signal.Signals[f"SIG{name}"])
        time.sleep(0.2)
    time.sleep(1.0)
    while True:  # bury the dead: this process is the init of its namespace
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            break
    return {
        "code": batch.returncode,
        "answer_to_a_stranger": answer,
        "loopback": sorted(a for a in seen if a.split(":")[0] in LOOPBACK),
        "beyond": sorted(a for a in seen if a.split(":")[0] not in LOOPBACK),
        "left": others(),
    }


if __name__ == "__main__":
    file = Path(sys.argv[1])
    switch_loopback_on()
    outcome = main(json.loads(file.read_text()))
    file.with_suffix(".outcome.json").write_text(json.dumps(outcome))
