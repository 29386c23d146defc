"""The driver process: connects to Ray and performs one operation for a run.

It is disposable. All state is in the results folder and in the run, which starts another driver when this one dies.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import traceback
from pathlib import Path
from typing import Final

from agrm_study.execution.driver.channel import Channel
from agrm_study.execution.driver.child_process import MARK, end_family
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.protocol import Lost, Refused, Result
from agrm_study.study.errors import InputError

SHUTDOWN_S: Final = 5.0
"""Timeout for Ray's shutdown once the run has ended, in seconds."""


def main() -> None:
    """Entry point; the argument is the descriptor that messages are written to."""
    channel = Channel.of_this_process(int(sys.argv[1]), _end_without_run)
    sys.argv = [str(Path.cwd() / "agrm-study")]  # Ray may put the folder of a script on the workers' module path
    try:
        job = channel.job()
    except EOFError:
        return
    from agrm_study.execution.driver.operations import OPERATIONS

    try:
        channel.send(Result(OPERATIONS[job.operation](channel, job.arguments)))
    except InputError as error:
        channel.send(Refused.of(error))
    except ExecutionLost as lost:
        channel.send(Lost(str(lost), lost.final))
    except Exception as error:  # Ray raises errors of many classes; another driver resumes
        traceback.print_exc()
        lines = str(error).strip().splitlines() or [""]
        channel.send(Lost(f"{type(error).__name__}: {lines[0]}".rstrip(": ")))


def _end_without_run() -> None:
    """Ends this process and all of its descendants, whatever else fails."""
    try:
        if "ray" in sys.modules:
            shutdown = threading.Thread(target=sys.modules["ray"].shutdown, daemon=True)
            shutdown.start()
            shutdown.join(SHUTDOWN_S)
        end_family(os.getpid(), os.environ[MARK])
        shutil.rmtree(Path.cwd(), ignore_errors=True)  # raises where another run has removed the folder
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
