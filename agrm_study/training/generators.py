"""Where does randomness come from? From the seed, the purpose and the epoch, and from nothing else."""

from __future__ import annotations

import hashlib

import numpy as np


def stream_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """A 63-bit seed that is a pure function of its arguments (SHA-256), the same on every platform."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(seed: int, purpose: str, epoch: int = 0) -> np.random.Generator:
    """A numpy generator with a stream of its own for each (seed, purpose, epoch)."""
    return np.random.Generator(np.random.PCG64(stream_seed(seed, purpose, epoch)))
