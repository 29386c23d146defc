"""The networks of a trial: student, teacher (after pre-training), and a moving average used only for evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from agrm_study.study.recipe import Recipe
from agrm_study.study.ssl_settings import Ema
from agrm_study.training.device import Device
from agrm_study.training.outcome import Network
from agrm_study.training.ssl.batch_norm import Mode, UnlabelledNorms
from agrm_study.training.ssl.ema import EmaTeacher


class Networks:
    """Student and moving averages on their device.

    Args:
        student: The student, already on its device.
        ema: Settings for the updates of the averages.
        device: Compiles the averages if the recipe requests it.
        batch_norm: Running statistics of passes on unlabelled clips (`ssl.batch_norm`).
        averaged: Whether to maintain an average of the student, starting from its initial weights, that is not used for
            labelling (`evaluate.ema`; Sohn et al. 2020 evaluate FixMatch in this way).

    Attributes:
        student: The student.
        teacher: The teacher; None before it is started and for methods without a teacher.
        ema: The average that is used only for evaluation; None unless `averaged`.
    """

    def __init__(
        self, student: nn.Module, ema: Ema, device: Device, *, batch_norm: Mode = "separate", averaged: bool = False
    ) -> None:
        self.student = student
        self.teacher: EmaTeacher | None = None
        self.ema: EmaTeacher | None = None
        self._settings, self._device, self._mode = ema, device, batch_norm
        self._norms: UnlabelledNorms | None = None
        self._teacher_norms: UnlabelledNorms | None = None
        if averaged:
            self.ema = self._average()

    @classmethod
    def of(cls, recipe: Recipe, student: nn.Module, device: Device) -> Networks:
        """The networks of a recipe whose moving-average settings are specified per step (see `in_steps`)."""
        averaged = recipe.evaluate.ema and not recipe.has_teacher
        return cls(student, recipe.ssl.ema, device, batch_norm=recipe.ssl.batch_norm, averaged=averaged)

    def start_teacher(self) -> None:
        """Create the teacher as a copy of the student, θ′ ← θ (Song et al. 2026, section 3.1)."""
        self.teacher = self._average()
        self._norms = self._teacher_norms = None

    def update(self) -> None:
        """Move the averages towards the student; call after each optimizer step."""
        if self.teacher is not None:
            keep = 0.0 if self._settings.buffers == "copy" else self.teacher.alpha
            self.teacher.update()
            if self._norms is not None and self._teacher_norms is not None:
                self._teacher_norms.follow(self._norms, keep)
        if self.ema is not None:
            self.ema.update()

    @contextmanager
    def on_unlabelled(self) -> Iterator[None]:
        """Context for passes of student and teacher on unlabelled clips, with the corresponding running statistics."""
        if self._norms is None:
            self._norms = UnlabelledNorms(self.student, self._mode)
            if self.teacher is not None:
                self._teacher_norms = UnlabelledNorms(self.teacher.module, self._mode)
        with ExitStack() as stack:
            stack.enter_context(self._norms.active())
            if self._teacher_norms is not None:
                stack.enter_context(self._teacher_norms.active())
            yield

    @property
    def labeller(self) -> nn.Module:
        """The network that labels clips outside training steps: the teacher, or the student if there is no teacher."""
        return self.student if self.teacher is None else self.teacher.module

    @property
    def average(self) -> EmaTeacher | None:
        """The average that is evaluated alongside the student: the teacher, or `ema`."""
        return self.ema if self.teacher is None else self.teacher

    def modules(self, of: Mapping[str, Tensor] | None = None) -> dict[Network, nn.Module]:
        """The networks by name, student first.

        Args:
            of: Result of `weights`; only the networks that it contains are returned.
        """
        found: dict[Network, nn.Module] = {"student": self.student}
        averages: tuple[tuple[Network, EmaTeacher | None], ...] = (("teacher", self.teacher), ("ema", self.ema))
        for name, average in averages:
            if average is not None and (of is None or any(key.startswith(f"{name}.") for key in of)):
                found[name] = average.module
        return found

    def weights(self) -> dict[str, Tensor]:
        """CPU copies of the networks' states; keys are prefixed with the name of the network and a dot."""
        return {
            f"{name}.{key}": value.detach().to("cpu", copy=True)
            for name, network in self.modules().items()
            for key, value in network.state_dict().items()
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load the result of `weights` into the networks that it contains; if these include a teacher, start it."""
        if self.teacher is None and any(name.startswith("teacher.") for name in weights):
            self.start_teacher()
        for name, network in self.modules(weights).items():
            prefix = f"{name}."
            state = {key.removeprefix(prefix): weights[key] for key in weights if key.startswith(prefix)}
            network.load_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """State of all networks for a checkpoint."""
        return {
            "student": self.student.state_dict(),
            "teacher": None if self.teacher is None else self.teacher.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "norms": None if self._norms is None else self._norms.state_dict(),
            "teacher_norms": None if self._teacher_norms is None else self._teacher_norms.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a `state_dict`; if the state contains a teacher, start it."""
        self.student.load_state_dict(state["student"])
        if state["teacher"] is not None:
            self.start_teacher()
            if self.teacher is not None:
                self.teacher.load_state_dict(state["teacher"])
        if self.ema is not None and state["ema"] is not None:
            self.ema.load_state_dict(state["ema"])
        if state["norms"] is not None:
            with self.on_unlabelled():
                pass  # creates the statistics that the state replaces
            if self._norms is not None:
                self._norms.load_state_dict(state["norms"])
            if self._teacher_norms is not None:
                self._teacher_norms.load_state_dict(state["teacher_norms"])

    def _average(self) -> EmaTeacher:
        average = EmaTeacher(self.student, self._settings)
        self._device.compile(average.module)
        return average
