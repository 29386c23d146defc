"""Detection of truncated files in containers for which FFmpeg ignores missing data."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ASF_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""GUID of the ASF File Properties Object, followed by object size (8 bytes), file id (16) and file size (8)."""
ASF_HEADER_BYTES: Final = 64 << 10
SYNC: Final = 0x47
"""First byte of a 188-byte MPEG-TS packet; in .m2ts and .mts files, a 4-byte timestamp precedes each packet."""


def cut_off(path: Path | str, container: str) -> str:
    """Description of the missing data relative to the size specified by the container; empty for a complete file.

    Args:
        path: The file.
        container: FFmpeg's name for the format.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        head = file.read(ASF_HEADER_BYTES)
    if container == "asf" and (start := head.find(ASF_FILE_PROPERTIES)) >= 0:
        stated = int.from_bytes(head[start + 40 : start + 48], "little")
        return f"only {size} of {stated} bytes are present" if size < stated else ""
    if container == "mpegts":
        for length, first in ((188, 0), (192, 4)):
            if head[first::length][:8] == bytes([SYNC]) * 8 and size % length:
                return "the file ends in the middle of a packet"
    return ""
