"""Does a connection to Ray leave the process as it was?"""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("ray")

SCRIPT = """
import os, signal, time
from agrm_study.execution.resources.capacity import Resources
from agrm_study.execution.driver.session import ray_session

def tell(when):
    signal.signal(signal.SIGTERM, lambda number, frame: print(when, flush=True))

tell("connected")
with ray_session(None, Resources(), 1):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
    tell("afterwards")
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.1)
"""


def test_sigterm_reaches_the_run_while_it_is_connected_and_afterwards() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert (run.stdout.split(), run.returncode) == (["connected", "afterwards"], 0), run.stderr
