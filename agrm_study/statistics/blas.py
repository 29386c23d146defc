"""Thread limit for BLAS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limits BLAS to one thread within a block or a decorated function.

    Matrix products in the statistics are small. More threads do not speed them up, and on a busy machine they mostly
    wait for each other.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
