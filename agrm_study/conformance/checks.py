"""Runs the conformance checks for one part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from agrm_study.study.errors import InputError
from agrm_study.training.failures import TrainingFailure

SUITES: Final = {
    "backbone": "agrm_study.conformance.backbones",
    "pooling": "agrm_study.conformance.pooling",
    "threshold": "agrm_study.conformance.thresholds",
    "loss": "agrm_study.conformance.losses",
    "layout": "agrm_study.conformance.layouts",
    "table": "agrm_study.conformance.tables",
    "figure": "agrm_study.conformance.figures",
    "hook": "agrm_study.conformance.hooks",
    "trainer": "agrm_study.conformance.trainers",
}
"""Module with the checks for each kind of part; its `CHECKS` accept the name of a part."""

Check = Callable[[str], None]


class Broken(Exception):
    """A part violates a requirement; the message states the reason."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A check and its result.

    Attributes:
        promise: The requirement, as a sentence.
        reason: Reason for the failure; empty if the check passes.
    """

    promise: str
    reason: str = ""


def must(holds: object, reason: str) -> None:
    """Raise `Broken` with the reason unless a condition is true."""
    if not holds:
        raise Broken(reason)


def checks_of(kind: str) -> tuple[Check, ...]:
    """The checks for a kind of part; the first line of a check's docstring states the requirement."""
    found: tuple[Check, ...] = import_module(SUITES[kind]).CHECKS
    return found


def promise_of(check: Check) -> str:
    """The requirement of a check, as a sentence."""
    return (check.__doc__ or check.__name__).strip().splitlines()[0]


def check_part(kind: str, name: str) -> Iterator[Checked]:
    """Run the checks for a part, one after the other; any exception raised by the part fails the check.

    Args:
        kind: A key of `SUITES`.
        name: Name of a built-in part, or full name of a user-defined part.
    """
    for check in checks_of(kind):
        try:
            check(name)
        except Broken as broken:
            yield Checked(promise_of(check), str(broken))
        except (InputError, TrainingFailure) as error:
            yield Checked(promise_of(check), str(error).rstrip("."))
        except Exception as error:
            yield Checked(promise_of(check), f"raises {type(error).__name__}: {error}".splitlines()[0])
        else:
            yield Checked(promise_of(check))
