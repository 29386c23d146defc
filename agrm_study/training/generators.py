"""Random streams, determined by seed, purpose and epoch."""

from __future__ import annotations

import hashlib

import numpy as np


def stream_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """A 63-bit seed derived from the arguments with SHA-256, identical on every platform."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(seed: int, purpose: str, epoch: int = 0) -> np.random.Generator:
    """A numpy generator with a separate stream for each (seed, purpose, epoch)."""
    return np.random.Generator(np.random.PCG64(stream_seed(seed, purpose, epoch)))
