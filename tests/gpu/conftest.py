"""The tests of this folder require a GPU; without one they are skipped, each with the reason."""

from __future__ import annotations

import pytest
import torch
from tiny_training import tiny_data, tiny_recipe

__all__ = ["tiny_data", "tiny_recipe"]


@pytest.fixture(autouse=True)
def _needs_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of the first GPU; processes that the test starts see no other."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    return torch.cuda.get_device_name(0)
