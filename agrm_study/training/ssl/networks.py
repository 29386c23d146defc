"""The networks of a trial: the student and, after pre-training, the teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from agrm_study.study.ssl_settings import Ema
from agrm_study.training.device import Device
from agrm_study.training.outcome import Network
from agrm_study.training.ssl.ema import EmaTeacher


class Networks:
    """Student and teacher on their device.

    Args:
        student: The student, already on its device.
        ema: Settings of the teacher's updates.
        device: Compiles the teacher if the recipe requests it.

    Attributes:
        student: The student.
        teacher: The teacher; None before it is started and for methods without a teacher.
    """

    def __init__(self, student: nn.Module, ema: Ema, device: Device) -> None:
        self.student = student
        self.teacher: EmaTeacher | None = None
        self._ema, self._device = ema, device

    def start_teacher(self) -> None:
        """Create the teacher as a copy of the student, θ′ ← θ (Song et al. 2026, section 3.1)."""
        self.teacher = EmaTeacher(self.student, self._ema)
        self._device.compile(self.teacher.module)

    @property
    def labeller(self) -> nn.Module:
        """The network that labels outside training steps: the teacher, or the student if there is no teacher."""
        return self.student if self.teacher is None else self.teacher.module

    def modules(self, of: Mapping[str, Tensor] | None = None) -> dict[Network, nn.Module]:
        """The networks by name, student first.

        Args:
            of: Weights from `weights`; restricts the result to the networks they contain.
        """
        found: dict[Network, nn.Module] = {"student": self.student}
        if self.teacher is not None and (of is None or any(name.startswith("teacher.") for name in of)):
            found["teacher"] = self.teacher.module
        return found

    def weights(self) -> dict[str, Tensor]:
        """CPU copies of the networks' states, with the key prefixes ``student.`` and ``teacher.``."""
        return {
            f"{name}.{key}": value.detach().to("cpu", copy=True)
            for name, network in self.modules().items()
            for key, value in network.state_dict().items()
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights from `weights` into the networks they contain."""
        for name, network in self.modules(weights).items():
            prefix = f"{name}."
            state = {key.removeprefix(prefix): weights[key] for key in weights if key.startswith(prefix)}
            network.load_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """State of student and teacher for a checkpoint."""
        return {
            "student": self.student.state_dict(),
            "teacher": None if self.teacher is None else self.teacher.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a `state_dict`; starts the teacher if the state contains one."""
        self.student.load_state_dict(state["student"])
        if state["teacher"] is not None:
            self.start_teacher()
            if self.teacher is not None:
                self.teacher.load_state_dict(state["teacher"])
