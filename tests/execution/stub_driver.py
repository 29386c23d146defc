"""A driver process with additional operations for tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from agrm_study.execution.driver.channel import Channel
from agrm_study.execution.driver.child import main
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.protocol import Assigned, Event, Result, Take
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.work import Work
from agrm_study.study.errors import InputError, InputErrors


def family(channel: Channel, arguments: Mapping[str, Any]) -> None:
    """Starts processes below this one, in its session and in sessions of their own, and waits without end."""
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    parent = [sys.executable, "-c", f"import subprocess, time; subprocess.Popen({sleeper!r}); time.sleep(600)"]
    started = [subprocess.Popen(parent), subprocess.Popen(parent, start_new_session=True)]
    channel.send(Result([os.getpid(), *(process.pid for process in started)]))
    time.sleep(600)


def facts(channel: Channel, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the process is like."""
    return {"path": sys.path, "folder": os.getcwd(), "argv": sys.argv, "sid": os.getsid(0), "stdin": sys.stdin.read()}  # noqa: PTH109


def refuse(channel: Channel, arguments: Mapping[str, Any]) -> None:
    problems = [InputError(f"rule {n}", field="--x", given=n, allowed="more", hint="Do it.") for n in (1, 2)]
    raise problems[0] if arguments["one"] else InputErrors(problems)


def end(channel: Channel, arguments: Mapping[str, Any]) -> None:
    how = arguments["how"]
    if how == "lost":
        raise ExecutionLost("Ray has ended")
    if how == "bug":
        raise KeyError("no such thing")
    if how == "exit":
        print("the last words\n\x1b[33m(raylet)\x1b[0m A worker died or was killed.", flush=True)
        os._exit(7)
    os.kill(os.getpid(), 9)


def run(channel: Channel, arguments: Mapping[str, Any]) -> None:
    """Dies; where ``STUB_RUNS`` is set, hangs before that, or finishes its trial."""
    way = os.environ.get("STUB_RUNS")
    if way == "hangs":
        time.sleep(600)
    if way == "finishes":
        assigned = channel.ask(Take())
        assert isinstance(assigned, Assigned)
        trial_id = Work.from_json(assigned.work or "").trial.trial_id
        channel.send(Event(TrialEvent(kind="started", trial_id=trial_id).to_json()))
        channel.send(Event(TrialEvent(kind="finished", trial_id=trial_id).to_json()))
    end(channel, {"how": "kill"})


if __name__ == "__main__":
    main({"family": family, "facts": facts, "refuse": refuse, "end": end, "run": run})
