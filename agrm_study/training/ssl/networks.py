"""Which networks does a trial have? The student and, once it has started, the teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from agrm_study.study.recipe import Ema
from agrm_study.training.device import Device
from agrm_study.training.outcome import Network
from agrm_study.training.ssl.ema import EmaTeacher


class Networks:
    """Student and teacher on their device.

    Args:
        student: Placed there already.
        ema: How the teacher follows.
        device: Compiles the teacher if the recipe asks for it.

    Attributes:
        teacher: None until it has started, and for methods without one.
    """

    def __init__(self, student: nn.Module, ema: Ema, device: Device) -> None:
        self.student = student
        self.teacher: EmaTeacher | None = None
        self._ema, self._device = ema, device

    def start_teacher(self) -> None:
        """θ′ ← θ (Song et al. 2026, section 3.1)."""
        self.teacher = EmaTeacher(self.student, self._ema)
        self._device.compile(self.teacher.module)

    @property
    def labeller(self) -> nn.Module:
        """Who labels outside of training steps: the teacher, or the student where there is none."""
        return self.student if self.teacher is None else self.teacher.module

    def modules(self, of: Mapping[str, Tensor] | None = None) -> dict[Network, nn.Module]:
        """The networks by name, student first; with weights given, only those that they hold."""
        found: dict[Network, nn.Module] = {"student": self.student}
        if self.teacher is not None and (of is None or any(name.startswith("teacher.") for name in of)):
            found["teacher"] = self.teacher.module
        return found

    def weights(self) -> dict[str, Tensor]:
        """Copies on the CPU of the networks' states, under ``student.`` and ``teacher.``."""
        return {
            f"{name}.{key}": value.detach().to("cpu", copy=True)
            for name, network in self.modules().items()
            for key, value in network.state_dict().items()
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put such copies back into the networks that they hold."""
        for name, network in self.modules(weights).items():
            prefix = f"{name}."
            state = {key.removeprefix(prefix): weights[key] for key in weights if key.startswith(prefix)}
            network.load_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint needs."""
        return {
            "student": self.student.state_dict(),
            "teacher": None if self.teacher is None else self.teacher.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.student.load_state_dict(state["student"])
        if state["teacher"] is not None:
            self.start_teacher()
            if self.teacher is not None:
                self.teacher.load_state_dict(state["teacher"])
