"""Pause of Python's search for cyclic garbage while a plan is built."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """Do not search for cyclic garbage inside; also a decorator.

    A plan is hundreds of thousands of small values without cycles. Searching all of them again and again while they
    are made takes a third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
