"""What does one trial of a study need of a machine?"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from agrm_study.study.recipe import Section
from agrm_study.study.translate import Rule

GPU_CHOICES = '0, a whole number, exactly 1/k (0.5, 0.25, "1/3", …), auto'

MAX_GPUS = 1000
"""GPUs of one trial, and trials on one GPU, at most."""


def read_gpu(value: Any) -> float | Literal["auto"]:
    """GPUs a trial asks for: 0, a whole number, exactly 1/k, or ``auto``.

    Raises:
        Rule: For anything else; Ray packs trials onto a GPU only when the shares add up to one.
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
    if share > MAX_GPUS or 0 < share < Fraction(1, MAX_GPUS):
        raise Rule(f"must be 0 or lie between 1/{MAX_GPUS} and {MAX_GPUS}", allowed=GPU_CHOICES)
    exact = isinstance(value, str) or abs(float(share) - value) < 1e-9
    if exact and (share.denominator == 1 or share.numerator == 1):
        return float(share)
    nearest = max(1, round(1 / share)) if share else 1
    raise Rule(
        "must be a whole number or exactly one k-th of a GPU",
        allowed=GPU_CHOICES,
        hint=f'Did you mean "1/{nearest}"?' if share < 1 else "Round it to a whole number.",
    )


class Resources(Section):
    """CPUs and GPUs of one trial; never part of a trial's identity."""

    cpu: Annotated[int, Field(ge=1, le=10_000)] = 1
    """CPU cores of a trial."""
    gpu: Annotated[
        float | Literal["auto"],
        BeforeValidator(read_gpu),
        WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}),
    ] = 0.0
    """GPUs of a trial: 0, 1, 2, … or exactly 1/k (trials share one GPU); `auto` measures the memory of a step and takes
    the smallest 1/k that holds it. A trial for which its share is too small comes again on a larger one."""
    accelerator: Annotated[str, Field(pattern=r"^\S+$")] | None = None
    """Type of accelerator that a node must have, by Ray's name (`A100`, `H100`); null takes any."""


class ArmResources(Section):
    """What the trials of one arm need of a machine; never part of a trial's identity."""

    accelerator: Annotated[str, Field(pattern=r"^\S+$")] | None = None
    """Type of accelerator of the arm's trials, by Ray's name; null takes the study's. It counts where trials hold GPUs,
    and when one arm names a type, each arm must have one: its own, or the study's."""
