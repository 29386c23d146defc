"""An undisturbed run for comparison, a cluster without nodes, and a bucket in an object store."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from disturbed_study import STUDY, Quiet, outcome  # noqa: E402
from nodes import Nodes, cluster  # noqa: E402
from object_stores import AWS, Bucket, served  # noqa: E402


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
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket in S3, and the keys to it in the environment."""
    pytest.importorskip("moto.server")
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    with served("s3") as started:
        yield started


@pytest.fixture
def gs() -> Iterator[Bucket]:
    """A bucket in Google's storage, which asks for no keys."""
    pytest.importorskip("gcp_storage_emulator")
    with served("gs") as started:
        yield started


@pytest.fixture(params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """A bucket of either kind of object store."""
    found: Bucket = request.getfixturevalue(request.param)
    return found
