"""CPUs and GPUs of one trial."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from agrm_study.study.section import Section
from agrm_study.study.translate import Rule

GPU_CHOICES = '0, 1, exactly 1/k (0.5, 0.25, "1/3", …), auto'

MAX_TRIALS_PER_GPU = 1000
"""Maximum number of trials that may share one GPU."""


def read_gpu(value: Any) -> float | Literal["auto"]:
    """Number of GPUs that a trial requests: 0, 1, exactly 1/k, or ``auto``.

    Raises:
        Rule: If the value is different. A trial uses at most one GPU, and Ray packs trials onto a GPU only if their
            shares add up to one.
    """
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Rule("must be a number or `auto`", allowed=GPU_CHOICES)
    try:
        share = Fraction(value) if isinstance(value, str) else Fraction(value).limit_denominator(1000)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise Rule("must be a number or `auto`", allowed=GPU_CHOICES) from None
    if share < 0:
        raise Rule("must not be negative", allowed=GPU_CHOICES)
    if 0 < share < Fraction(1, MAX_TRIALS_PER_GPU):
        raise Rule(f"must be 0 or at least 1/{MAX_TRIALS_PER_GPU}", allowed=GPU_CHOICES)
    if share > 1:
        raise Rule(
            "must be at most 1: a trial uses one GPU",
            allowed=GPU_CHOICES,
            hint="With several GPUs, several trials run at once.",
        )
    exact = isinstance(value, str) or abs(float(share) - value) < 1e-9
    if exact and (share == 0 or share.numerator == 1):
        return float(share)
    nearest = max(1, round(1 / share)) if share else 1
    raise Rule("must be 0, 1 or exactly 1/k of a GPU", allowed=GPU_CHOICES, hint=f'Did you mean "1/{nearest}"?')


class Resources(Section):
    """CPUs and GPUs of one trial; never part of a trial's identity."""

    cpu: Annotated[int, Field(ge=1, le=10_000)] = 1
    """CPU cores per trial."""
    gpu: Annotated[
        float | Literal["auto"],
        BeforeValidator(read_gpu),
        WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string"}]}),
    ] = 0.0
    """GPUs per trial: 0, 1 or exactly 1/k (k trials share one GPU); `auto` measures the memory usage of a step and uses
    the smallest sufficient 1/k. A trial whose share is too small is retried with a larger one."""
    accelerator: Annotated[str, Field(pattern=r"^\S+$")] | None = None
    """Type of accelerator that a node must have, by its name in Ray (`A100`, `H100`); null accepts any type."""


class ArmResources(Section):
    """Accelerator of the trials of one arm; never part of a trial's identity."""

    accelerator: Annotated[str, Field(pattern=r"^\S+$")] | None = None
    """Type of accelerator for the trials of the arm, by its name in Ray; null: the type specified for the study. It
    applies to trials that use GPUs; if one arm specifies a type, every arm needs a type, from its own settings or from
    the study."""
