"""Buckets in S3 or Google Cloud Storage for tests, from servers that store nothing after the test."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

HERE = Path(__file__).parent
Kind = Literal["s3", "gs"]
AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a process needs that reads or writes in S3."""


@dataclass
class Bucket:
    """A bucket on a server of its own, on the loopback interface."""

    kind: Kind
    process: subprocess.Popen[bytes]
    port: int

    def uri(self, folder: str) -> str:
        """A folder in it."""
        user = "anonymous@" if self.kind == "gs" else ""
        return f"{self.kind}://{user}bucket/{folder}?scheme=http&endpoint_override={quote(f'127.0.0.1:{self.port}')}"


@contextlib.contextmanager
def served(kind: Kind) -> Iterator[Bucket]:
    """A server, and the bucket named ``bucket`` on it, for the duration of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = {
        "s3": ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        "gs": [str(HERE / "google_storage.py"), str(port)],
    }[kind]
    process = subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)
        if kind == "s3":
            from pyarrow import fs

            fs.S3FileSystem(
                endpoint_override=f"127.0.0.1:{port}", scheme="http", allow_bucket_creation=True,
            ).create_dir("bucket")  # fmt: skip
        yield Bucket(kind, process, port)
    finally:
        process.kill()
        process.wait(10)
