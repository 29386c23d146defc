"""Seeds of a study: a fixed list, or a race that adds seeds to arms; arms stopped by a race."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from agrm_study.study.errors import InputError
from agrm_study.study.problems import Place, Places
from agrm_study.study.section import MAX_SEED, Section
from agrm_study.study.translate import Rule, validated

MAX_TRIALS = 1_000_000
"""Maximum number of trials of a study; a larger plan is almost certainly a mistake and would exhaust memory."""

LEAST_FIRST = 3
"""Minimum number of seeds before an arm may be dropped; with fewer, a paired test is not informative."""

RACED_BY = ("macro_f1", "accuracy", "balanced_accuracy")
"""Metrics on which a race can be based, because they are recorded on validation data."""

NEED_ALL_ARMS = {
    "ablation": "its interaction is computed from four arms with the same seeds",
    "factor_response": "it averages arms with the same seeds over the other factors",
}
"""Tables that are not available in a study with a race, with reasons."""

ALLOWED = (
    f"a list of distinct whole numbers from 0 to {MAX_SEED}, their number (at most {MAX_TRIALS}), or {{race: {{first: "
    "3, most: 10, level: 0.05}}"
)


class Race(Section):
    """A race: seeds are added in rounds, but not to arms that are significantly worse than another arm on validation
    data.

    Races are opt-in and never suitable for ablations: tables that compare arms need the same seeds for all of them.
    """

    first: Annotated[int, Field(ge=LEAST_FIRST, le=MAX_TRIALS)] = LEAST_FIRST
    """Number of seeds of every arm before the first comparison."""
    most: Annotated[int, Field(gt=LEAST_FIRST, le=MAX_TRIALS)] = 10
    """Number of seeds of an arm that is not stopped: seeds 0 … most - 1."""
    step: Annotated[int, Field(ge=1, le=MAX_TRIALS)] = 1
    """Number of seeds per round after the first."""
    level: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Maximum probability, per task, that the truly best arm is dropped."""

    @model_validator(mode="after")
    def _grows(self) -> Race:
        if self.most <= self.first:
            raise Rule(
                f"race.most must be greater than race.first, got {self.most} and {self.first}",
                hint=f"`seeds: {self.most}` gives every arm the same number of seeds.",
            )
        return self

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of an arm that is never dropped, in execution order."""
        return tuple(range(self.most))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """An arm that receives no more seeds for a task.

    Attributes:
        n: Number of seeds that were run for the arm.
        rival: The arm whose comparison with the stopped arm has the smallest p-value.
        pairs: Number of seeds with results of both arms.
        difference: Mean of rival − arm over these seeds, in the metric of the race.
        p: One-sided p-value of the paired t-test.
        limit: Level of this test.
    """

    arm: str
    task: str
    n: int
    rival: str
    pairs: int
    difference: float
    p: float
    limit: float


def read_seeds(value: Any) -> tuple[int, ...] | Race:
    """Seeds, from a list of distinct integers, a number N (for 0 … N-1), or a race.

    Raises:
        Rule: If the value has a different form, or there are no seeds.
    """
    if isinstance(value, Race):
        return value
    if isinstance(value, Mapping):
        return _read_race(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise Rule("a study requires at least one seed", allowed=ALLOWED)
        if value > MAX_TRIALS:
            raise Rule(f"a study may have at most {MAX_TRIALS} seeds", allowed=ALLOWED)
        return tuple(range(value))
    if not isinstance(value, list | tuple):
        raise Rule("must be a list of whole numbers", allowed=ALLOWED)
    if not value:
        raise Rule("a study requires at least one seed", allowed=ALLOWED)
    seen: set[int] = set()
    for seed in value:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise Rule(f"seed {seed!r} is not a non-negative whole number", allowed=ALLOWED)
        if seed > MAX_SEED:
            raise Rule(f"seed {seed} is larger than 2^63 - 1", allowed=ALLOWED)
        if seed in seen:
            raise Rule(f"duplicate seed {seed}: the same training run would count as two replicates", allowed=ALLOWED)
        seen.add(seed)
    return tuple(value)


def _read_race(value: Mapping[str, Any]) -> Race:
    """Read a race from ``{race: {…}}``.

    Raises:
        Rule: If the value is invalid; pydantic would report members of the union type of `seeds` instead of the key.
    """
    if list(value) != ["race"] or not isinstance(value["race"], Mapping):
        raise Rule("must be {race: {…}} if it is a group", allowed=ALLOWED)
    try:
        return validated(Race, value["race"], Places(Place(None)), prefix="race.")
    except InputError as fault:
        problem = fault.singles[0]
    given = "" if problem.given is None else f", not {problem.given!r}"
    rule = f"{problem.field} {problem.rule}{given}" if problem.field != "race" else problem.rule
    raise Rule(rule, allowed=problem.allowed or ALLOWED, hint=problem.hint)


Seeds = Annotated[
    tuple[int, ...] | Race,
    BeforeValidator(read_seeds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_TRIALS},
                {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": MAX_SEED},
                    "minItems": 1,
                    "uniqueItems": True,
                },
                {
                    "type": "object",
                    "properties": {"race": Race.model_json_schema()},
                    "required": ["race"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
