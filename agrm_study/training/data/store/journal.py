"""What has a build finished, so that a later one need not decode it again?

One line a finished clip, appended and flushed after its bytes: the key of its content, its place, and a checksum that
is verified before the bytes are trusted.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

JOURNAL_FILE = "journal.jsonl"
BLOCK = 8 << 20


@dataclass(frozen=True, slots=True)
class Done:
    """A finished clip: where its bytes lie in its data file (`layout.data_file`), and their CRC-32."""

    clip_key: str
    offset: int
    bytes: int
    crc: int


def append(folder: Path, done: Done) -> None:
    """Add a line."""
    with (folder / JOURNAL_FILE).open("a") as file:
        file.write(json.dumps(asdict(done)) + "\n")


def read(folder: Path) -> dict[str, Done]:
    """Finished clips by key; a line that a crash cut short is left out."""
    finished: dict[str, Done] = {}
    try:
        lines = (folder / JOURNAL_FILE).read_text().splitlines()
    except FileNotFoundError:
        return finished
    for line in lines:
        try:
            done = Done(**json.loads(line))
        except (json.JSONDecodeError, TypeError):
            continue
        finished[done.clip_key] = done
    return finished


def blocks(path: Path, done: Done) -> Iterator[bytes]:
    """The bytes of a finished clip, in blocks."""
    with path.open("rb") as file:
        file.seek(done.offset)
        left = done.bytes
        while left > 0 and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block


def intact(path: Path, done: Done) -> bool:
    """Whether the bytes are there and have the checksum."""
    crc, size = 0, 0
    for block in blocks(path, done):
        crc, size = zlib.crc32(block, crc), size + len(block)
    return size == done.bytes and crc == done.crc
