"""Terminals without Greek letters, a full disk behind stdout, a deleted working directory: at most one message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLAN = [sys.executable, "-m", "agrm_study", "plan", "ema_alpha", "--preset", "tiny", "--set", "seeds=1"]


def run(words: list[str], folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    given = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "timeout": 120,
        "cwd": folder,
        "text": True,
    } | options
    return subprocess.run(words, check=False, **given)  # type: ignore[call-overload,no-any-return]


def test_letters_that_a_terminal_lacks_are_replaced(tmp_path: Path) -> None:
    done = run(PLAN, tmp_path, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, encoding="latin-1")
    assert done.returncode == 0, done.stderr
    assert "?=0.99" in done.stdout


def test_json_is_whole_on_every_terminal(tmp_path: Path) -> None:
    done = run([*PLAN, "--json"], tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert "α=0.99" in [arm["arm"] for arm in json.loads(done.stdout)["arms"]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_full_disk_behind_stdout_is_one_message(tmp_path: Path, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run([*PLAN, *words], tmp_path, stdout=full)
    assert done.returncode == 2
    assert done.stderr == "error: the output cannot be written: no space left on device\n"


def test_a_deleted_working_folder_is_one_message(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$1"; shift; exec "$@"'
    done = run(["sh", "-c", script, "sh", str(gone), *PLAN], gone, env={**os.environ, "PYTHONSAFEPATH": "1"})
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip() == "error: the working directory no longer exists; change to an existing directory."
