"""Pause of Python's cyclic garbage collector while a plan is built."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """Context manager and decorator that disables cyclic garbage collection.

    A plan consists of hundreds of thousands of small values without cycles. Repeated garbage collection would account
    for a third of the build time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
