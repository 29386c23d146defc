"""How does a training end when it cannot go on?

Errors that say which class of failure a trial met, without importing torch, and that survive pickling between
processes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar


class TrainingFailure(Exception):
    """A failure of one trial, with a class that goes into its record."""

    failure: ClassVar[str] = "training"
    """Name of the class of failure."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), str(self), self.facts)


def _rebuild(kind: type[TrainingFailure], message: str, facts: dict[str, Any]) -> TrainingFailure:
    error = kind.__new__(kind)
    TrainingFailure.__init__(error, message, **facts)
    return error


class NanLossError(TrainingFailure):
    """The loss became infinite or not a number; nothing of the trial may enter a table.

    Attributes of `facts`: `epoch` and `step` (both from 1) and `terms` (name of a loss term → its value).
    """

    failure = "nan_loss"

    def __init__(self, epoch: int, step: int, terms: dict[str, float]) -> None:
        listed = ", ".join(f"{name} {value:g}" for name, value in terms.items())
        super().__init__(
            f"the loss is not finite in epoch {epoch}, step {step}: {listed}", epoch=epoch, step=step, terms=terms
        )


class DeviceMemoryError(TrainingFailure):
    """The device had no memory for a step.

    Attributes of `facts`: `peak_bytes` (largest amount allocated so far; 0 where the device does not say), `device`
    (``cpu`` or ``cuda``).
    """

    failure = "out_of_memory"

    def __init__(self, device: str, description: str, peak_bytes: int, batch: str) -> None:
        peak = f" (peak so far {peak_bytes / 2**30:.2f} GiB)" if peak_bytes else ""
        super().__init__(
            f"{description} has no memory for a step with {batch}{peak}. Raise `batch.accumulate` (less memory, "
            "the same gradients but for batch norm's statistics), lower `batch.labelled`, `batch.unlabelled`, "
            "`clip.size` or `clip.frames`, or use `precision: bf16` on a GPU",
            device=device,
            peak_bytes=peak_bytes,
        )


class CheckpointError(TrainingFailure):
    """A checkpoint that must not be resumed: another trial's, another format's, or damaged."""

    failure = "checkpoint"

    def __init__(self, path: Path | str, rule: str) -> None:
        super().__init__(f"{path}: {rule}", path=str(path))
