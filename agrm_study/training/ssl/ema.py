"""The teacher network: an exponential moving average (EMA) of the student's weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from agrm_study.study.ssl_settings import Ema


class EmaTeacher:
    """A teacher θ′ that is initialised from the student (θ′ ← θ) and updated by θ′ ← α θ′ + (1 − α) θ.

    (Song et al. 2026, sections 2.4.4 and 3.1, after Tarvainen & Valpola 2017.) The teacher does not share memory with
    the student, has no gradients and is in eval mode. Create it after the student has been moved to its device: the
    teacher keeps references to the student's tensors, which remain valid under in-place changes (optimizer steps,
    ``load_state_dict``).

    `ema.buffers` selects how buffers (the running statistics of batch norm) are updated:

    - ``average``: floating-point buffers are averaged like the weights;
    - ``copy``: buffers are copied from the student at each update;
    - ``own``: buffers come from the teacher's own forward passes, so its norm layers run in train mode inside
      `labelling` (they use batch statistics, as in Tarvainen & Valpola); dropout remains disabled.

    Integer buffers (``num_batches_tracked``) are copied from the student, except with ``own``.

    Args:
        student: The student network, not wrapped by ``torch.compile``.
        ema: α, the handling of buffers, and the warm-up.

    Attributes:
        module: The teacher network, in eval mode outside `labelling`.
        step: Number of updates so far.
    """

    def __init__(self, student: nn.Module, ema: Ema) -> None:
        self.module: nn.Module = copy.deepcopy(student).requires_grad_(False).eval()
        self.step = 0
        self._ema = ema
        averaged: list[tuple[Tensor, Tensor]] = list(
            zip(self.module.parameters(), (p.detach() for p in student.parameters()), strict=True)
        )
        copied: list[tuple[Tensor, Tensor]] = []
        if ema.buffers != "own":
            for mine, theirs in zip(self.module.buffers(), student.buffers(), strict=True):
                follows = ema.buffers == "average" and mine.is_floating_point()
                (averaged if follows else copied).append((mine, theirs))
        self._averaged = [mine for mine, _ in averaged]
        self._sources = [theirs for _, theirs in averaged]
        self._copied = [mine for mine, _ in copied]
        self._originals = [theirs for _, theirs in copied]
        self._norms = [] if ema.buffers != "own" else _trained_norms(self.module, student)

    @property
    def alpha(self) -> float:
        """α of the next update: `ema.alpha`, or min(alpha, (step + 1) / (step + 10)) with `ema.warmup`."""
        if self._ema.warmup:
            return min(self._ema.alpha, (self.step + 1) / (self.step + 10))
        return self._ema.alpha

    @torch.no_grad()
    def update(self) -> None:
        """Update the teacher from the student; call after each optimizer step."""
        torch._foreach_lerp_(self._averaged, self._sources, 1.0 - self.alpha)
        if self._copied:
            torch._foreach_copy_(self._copied, self._originals)
        self.step += 1

    @contextmanager
    def labelling(self) -> Iterator[nn.Module]:
        """Context for forward passes on unlabelled training clips, without gradients.

        With `ema.buffers: own`, the norm layers update their running statistics.

        Yields:
            The teacher network.
        """
        for norm in self._norms:
            norm.training = True
        try:
            with torch.no_grad():
                yield self.module
        finally:
            for norm in self._norms:
                norm.training = False

    def __call__(self, clips: Tensor) -> Tensor:
        """Outputs on unlabelled training clips; for evaluation, use `module`, which has no side effects."""
        with self.labelling() as network:
            outputs: Tensor = network(clips)
        return outputs

    def state_dict(self) -> dict[str, Any]:
        """Number of updates (an int) and state of the network (tensors)."""
        return {"step": self.step, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a `state_dict` by copying into the existing tensors.

        Raises:
            RuntimeError: If the state belongs to a different network (raised by torch, listing the keys).
        """
        self.module.load_state_dict(state["module"], strict=True)
        self.step = int(state["step"])


def _trained_norms(teacher: nn.Module, student: nn.Module) -> list[_NormBase]:
    """The teacher's norm layers, except those that are frozen in the student."""
    found = []
    for mine, theirs in zip(teacher.modules(), student.modules(), strict=True):
        if isinstance(mine, _NormBase):
            parameters = list(theirs.parameters())
            if not parameters or any(parameter.requires_grad for parameter in parameters):
                found.append(mine)
    return found
