"""Who is the teacher? The exponential moving average of the student's weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from agrm_study.study.recipe import Ema


class EmaTeacher:
    """A teacher θ′ that starts as a copy of the student (θ′ ← θ) and follows it: θ′ ← α θ′ + (1 − α) θ.

    (Song et al. 2026, sections 2.4.4 and 3.1, after Tarvainen & Valpola 2017.) The teacher shares no memory with the
    student, has no gradients and stands in eval mode. Create it after the student is on its device: the teacher keeps
    hold of the student's tensors, which in-place changes (optimizer steps, ``load_state_dict``) leave where they are.

    What becomes of the buffers (the running statistics of batch norm) is `ema.buffers`:

    - ``average``: floating-point buffers follow the same average as the weights;
    - ``copy``: they are the student's after each update;
    - ``own``: they come from the teacher's own forward passes, so its norm layers run in train mode inside `labelling`
      (they normalise by the batch, as Tarvainen & Valpola do); dropout stays off.

    Integer buffers (``num_batches_tracked``) are copied from the student, except under ``own``.

    Args:
        student: The network to follow, not wrapped by ``torch.compile``.
        ema: α, the treatment of buffers, and the warm-up.

    Attributes:
        module: The teacher network, always in eval mode outside `labelling`.
        step: Updates made so far.
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
        self._norms = [m for m in self.module.modules() if isinstance(m, _NormBase)] if ema.buffers == "own" else []

    @property
    def alpha(self) -> float:
        """The α of the next update: `ema.alpha`, or min(alpha, (step + 1) / (step + 10)) during the warm-up."""
        if self._ema.warmup:
            return min(self._ema.alpha, (self.step + 1) / (self.step + 10))
        return self._ema.alpha

    @torch.no_grad()
    def update(self) -> None:
        """Follow the student by one step; call it after each step of the optimizer."""
        torch._foreach_lerp_(self._averaged, self._sources, 1.0 - self.alpha)
        if self._copied:
            torch._foreach_copy_(self._copied, self._originals)
        self.step += 1

    @contextmanager
    def labelling(self) -> Iterator[nn.Module]:
        """The network for forward passes on the training's unlabelled clips: no gradients; own statistics if asked."""
        for norm in self._norms:
            norm.training = True
        try:
            with torch.no_grad():
                yield self.module
        finally:
            for norm in self._norms:
                norm.training = False

    def __call__(self, clips: Tensor) -> Tensor:
        """Outputs on the training's unlabelled clips (for evaluation use `module`, which changes nothing)."""
        with self.labelling() as network:
            outputs: Tensor = network(clips)
        return outputs

    def state_dict(self) -> dict[str, Any]:
        """The number of updates and the network's state: tensors and an int."""
        return {"step": self.step, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the teacher that `state_dict` was taken of; copies into the existing tensors.

        Raises:
            RuntimeError: When the state belongs to another network (from torch, naming the keys).
        """
        self.module.load_state_dict(state["module"], strict=True)
        self.step = int(state["step"])
