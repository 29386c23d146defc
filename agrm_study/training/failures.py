"""Errors that end a training run, with the failure class for the trial's record.

The module does not import torch, and the errors can be pickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar


class TrainingFailure(Exception):
    """A failure of one trial.

    Attributes:
        facts: Details as plain values.
    """

    failure: ClassVar[str] = "training"
    """Failure class in the trial's record."""

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
    """The loss is infinite or NaN; results of the trial must not be reported.

    Keys of `facts`: `epoch` (counted from 1), `step` (counted from 1; 0 for validation and for the mean of an epoch),
    and `terms` (values of the loss terms by name).
    """

    failure = "nan_loss"

    def __init__(self, epoch: int, step: int, terms: dict[str, float]) -> None:
        listed = ", ".join(f"{name} {value:g}" for name, value in terms.items())
        super().__init__(
            f"the loss is not finite in epoch {epoch}{f', step {step}' if step else ''}: {listed}",
            epoch=epoch,
            step=step,
            terms=terms,
        )


class DeviceMemoryError(TrainingFailure):
    """The device has too little memory for a step.

    Keys of `facts`: `peak_bytes` (peak allocation so far; 0 if unknown) and `device` (``cpu`` or ``cuda``).
    """

    failure = "out_of_memory"

    def __init__(self, device: str, description: str, peak_bytes: int, batch: str) -> None:
        peak = f" (peak so far {peak_bytes / 2**30:.2f} GiB)" if peak_bytes else ""
        super().__init__(
            f"{description} has too little memory for a step with {batch}{peak}. Increase `batch.accumulate` (less "
            "memory, same gradients except for batch-norm statistics), reduce `batch.labelled`, `batch.unlabelled`, "
            "`clip.size` or `clip.frames`, or use `precision: bf16` on a GPU",
            device=device,
            peak_bytes=peak_bytes,
        )


class CheckpointError(TrainingFailure):
    """A checkpoint cannot be resumed: it belongs to a different trial, has a different format, or is damaged."""

    failure = "checkpoint"

    def __init__(self, path: Path | str, rule: str) -> None:
        super().__init__(f"{path}: {rule}", path=str(path))
