"""Retries of storage operations during temporary outages, such as a network failure or a server restart."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

PAUSES_S: Final = (0.1, 0.5, 2.0, 5.0, 10.0, 15.0)
"""Pauses between attempts: an outage of up to half a minute does not cause a trial to fail."""
PAUSES_WHEN_FULL_S: Final = PAUSES_S[:3]
"""Pauses for a full disk; fewer, since waiting rarely frees space."""
LONGEST_S: Final = 60.0
"""Time after which at most one more attempt is made: a request to an unresponsive server takes minutes to time out."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

T = TypeVar("T")


def retry_storage(action: Callable[[], T], pauses_s: Sequence[float] = PAUSES_S) -> T:
    """Runs a storage operation and returns its result, retrying after each pause while it fails.

    Args:
        action: Operation that can be repeated after a partial failure.
        pauses_s: Seconds before each retry; empty for a single attempt.

    Raises:
        OSError: If the last attempt fails.
    """
    attempt = 0
    began = time.monotonic()
    late = False
    while True:
        try:
            return action()
        except OSError as refusal:
            allowed = min(len(pauses_s), len(PAUSES_WHEN_FULL_S)) if refusal.errno in FULL else len(pauses_s)
            if attempt >= allowed or late:
                raise
            late = time.monotonic() - began >= LONGEST_S
            time.sleep(pauses_s[attempt])
            attempt += 1
