"""How long is storage waited for that refuses for a while: a network that is cut, a server that restarts?"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

PAUSES_S: Final = (0.1, 0.5, 2.0, 5.0, 10.0, 15.0)
"""Pauses between the attempts: storage may be gone for half a minute before a trial is lost."""
PAUSES_WHEN_FULL_S: Final = PAUSES_S[:3]
"""A disk that is full seldom becomes empty by waiting."""
LONGEST_S: Final = 60.0
"""After so long there is one more attempt at most: a server that is silent takes minutes to be given up each time."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

T = TypeVar("T")


def retry_storage(action: Callable[[], T], pauses_s: Sequence[float] = PAUSES_S) -> T:
    """What an action on storage gives, tried again after each pause while it is refused.

    Args:
        action: May be done again after it failed half-way.
        pauses_s: Seconds before each further attempt; none for a single one.

    Raises:
        OSError: The last refusal.
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
