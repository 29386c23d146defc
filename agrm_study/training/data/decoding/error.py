"""Error raised for a video that cannot be used."""

from __future__ import annotations


class VideoError(Exception):
    """A video cannot be used; the message states the reason in one line.

    Attributes:
        kind: `unreadable`, `missing`, `zero_length`, `truncated`, `changed` or `no_boxes`.
    """

    def __init__(self, message: str, kind: str = "unreadable") -> None:
        super().__init__(message, kind)
        self.kind = kind

    def __str__(self) -> str:
        return str(self.args[0])
