"""A quiet run to compare with, a cluster without nodes, and an S3 server."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from disturbed_study import AWS, S3, STUDY, Quiet, outcome  # noqa: E402
from nodes import Nodes, cluster  # noqa: E402


@pytest.fixture(scope="session")
def quiet_run(tmp_path_factory: pytest.TempPathFactory) -> Quiet:
    """Runs the study in one process, one trial after the other, without Ray."""
    quiet = Quiet(tmp_path_factory.mktemp("quiet"))
    (quiet.folder / "study.yaml").write_text(json.dumps(STUDY))
    run = quiet.start(quiet.folder / "results", quiet.folder / "log", executor="inline")
    assert run.wait() == 0, run.said
    quiet.records, quiet.tables = outcome(quiet.folder / "results")
    return quiet


@pytest.fixture
def quiet(quiet_run: Quiet) -> Iterator[Quiet]:
    """The quiet run; whatever a test starts ends with it."""
    try:
        yield quiet_run
    finally:
        quiet_run.end()


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """A cluster that has no node yet."""
    with cluster() as started:
        yield started


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """A server that forgets everything at the end."""
    pytest.importorskip("moto.server")
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)
        from pyarrow import fs

        fs.S3FileSystem(endpoint_override=f"127.0.0.1:{port}", scheme="http", allow_bucket_creation=True).create_dir(
            "bucket"
        )
        yield S3(process, port)
    finally:
        process.kill()
        process.wait(10)
