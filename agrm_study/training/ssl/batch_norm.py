"""Batch norm over labelled and unlabelled clips that may come from different domains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

Mode = Literal["separate", "joint", "labelled_only", "per_domain"]
"""Values of `ssl.batch_norm`."""


class UnlabelledNorms:
    """Running statistics of a network's norm layers during passes on unlabelled clips.

    Every pass in train mode normalises with the statistics of its batch; the modes of `ssl.batch_norm` differ in the
    running statistics, which are used for evaluation and by the teacher:

    - ``separate`` and ``joint``: one set, updated by every pass; this class has no effect;
    - ``labelled_only``: one set, unchanged by passes on unlabelled clips;
    - ``per_domain``: a separate set for unlabelled clips, initialised as a copy.

    Args:
        network: The network; its buffers are changed in place.
        mode: Value of `ssl.batch_norm`.
    """

    def __init__(self, network: nn.Module, mode: Mode) -> None:
        layers = [layer for layer in network.modules() if isinstance(layer, _NormBase)]
        swaps = mode in ("labelled_only", "per_domain")
        self._buffers: list[Tensor] = [buffer for layer in layers for buffer in layer.buffers()] if swaps else []
        self._own = [buffer.clone() for buffer in self._buffers] if mode == "per_domain" else []

    @contextmanager
    def active(self) -> Iterator[None]:
        """Context for passes on unlabelled clips, including backward passes, which refer to the buffers."""
        if not self._buffers:
            yield
            return
        labelled = [buffer.clone() for buffer in self._buffers]
        if self._own:
            _copy(self._buffers, self._own)
        try:
            yield
        finally:
            if self._own:
                _copy(self._own, self._buffers)
            _copy(self._buffers, labelled)

    @torch.no_grad()
    def follow(self, other: UnlabelledNorms, keep: float) -> None:
        """Move the statistics of unlabelled clips towards the statistics of a different network.

        The update is own ← keep · own + (1 − keep) · other. Integer buffers are copied.
        """
        for mine, theirs in zip(self._own, other._own, strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1.0 - keep)
            else:
                mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        """The statistics of unlabelled clips; empty for modes without separate statistics."""
        return {str(index): buffer for index, buffer in enumerate(self._own)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a `state_dict`."""
        _copy(self._own, [state[str(index)] for index in range(len(self._own))])


@torch.no_grad()
def _copy(into: list[Tensor], source: list[Tensor]) -> None:
    for mine, theirs in zip(into, source, strict=True):
        mine.copy_(theirs)
