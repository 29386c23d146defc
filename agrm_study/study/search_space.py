"""A search, or the tuning of arms: the distributions of settings, the sampler, the pruner and the objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from agrm_study.study.constraints import ConstraintEntry
from agrm_study.study.optuna_samplers import SamplerEntry
from agrm_study.study.section import MAX_COUNT, MAX_SEED, Positive, Section, Seed
from agrm_study.study.seeds import MAX_TRIALS
from agrm_study.study.translate import Rule

Kind = Literal["float", "int", "choice"]
Scale = Literal["linear", "log", "logit"]
Direction = Literal["maximize", "minimize"]
Integer = Annotated[int, Field(ge=-MAX_SEED, le=MAX_SEED)]

OBJECTIVES: dict[str, Direction] = {
    "val/macro_f1": "maximize",
    "val/accuracy": "maximize",
    "val/balanced_accuracy": "maximize",
    "val/loss": "minimize",
}
"""Metrics that a search may use. Test metrics are excluded, because the test part must not be used for selection."""

MAX_SEARCH_SEEDS = 100
"""Maximum number of training seeds per point of a search."""
ROUNDING = 1e-6
"""Deviation from a whole number of steps that is attributed to rounding."""

LABELLED_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "array", "minItems": 1}, {"type": "object", "minProperties": 1}]}


class Condition(Section):
    """Condition of a factor or dimension: each earlier factor in `required` must have one of the given values."""

    required: dict[str, tuple[Any, ...]] = Field(default_factory=dict)

    def holds(self, assigned: Mapping[str, Any]) -> bool:
        """Whether the condition is met by the values assigned so far."""
        return all(name in assigned and assigned[name] in values for name, values in self.required.items())


def read_condition(value: Any) -> Any:
    """Read a condition from ``{ssl.threshold.policy: fixed}`` or ``{…: [fixed, flexmatch]}``."""
    if isinstance(value, Condition):
        return value
    if value is None:
        return Condition()
    if not isinstance(value, Mapping) or not value:
        raise Rule("must be a group, `earlier factor: value` or `earlier factor: [values]`")
    return Condition(required={name: tuple(v) if isinstance(v, list) else (v,) for name, v in value.items()})


When = Annotated[
    Condition,
    BeforeValidator(read_condition),
    WithJsonSchema({"type": "object", "description": "earlier factor: value(s)"}),
]


def read_labelled(value: Any) -> tuple[tuple[str | None, Any], ...]:
    """Convert a list of values, or a mapping ``label: value``, to pairs (label or None, value).

    Raises:
        Rule: If the value is neither a list nor a mapping, is empty, or contains a duplicate.
    """
    if isinstance(value, Mapping):
        pairs: tuple[tuple[str | None, Any], ...] = tuple(value.items())
    elif isinstance(value, list):
        pairs = tuple((None, item) for item in value)
    else:
        raise Rule("must be a list of values, or a group `label: value`")
    if not pairs:
        raise Rule("must not be empty")
    seen: list[Any] = []
    for _, item in pairs:
        if any(item == other and isinstance(item, bool) is isinstance(other, bool) for other in seen):
            raise Rule(f"contains the value {item!r} twice", hint="Each value defines one arm.")
        seen.append(item)
    return pairs


class Dimension(Section):
    """One setting that a search varies: exactly one of `float`, `int`, `choice`."""

    model_config = ConfigDict(populate_by_name=True)

    float_range: tuple[float, float] | None = Field(default=None, alias="float")
    """Range [lowest, highest] of a real number."""
    int_range: tuple[Integer, Integer] | None = Field(default=None, alias="int")
    """Range [lowest, highest] of an integer, both included."""
    choices: Annotated[
        tuple[tuple[str | None, Any], ...] | None,
        BeforeValidator(lambda value: None if value is None else read_labelled(value)),
        WithJsonSchema(LABELLED_SCHEMA),
    ] = Field(default=None, alias="choice")
    """Values to choose from: a list, or a mapping `label: value`."""
    scale: Scale = "linear"
    """Scale on which values are sampled: `log` for learning rates, `logit` for values close to 0 or 1 (such as alpha of
    an EMA)."""
    step: Annotated[float, Field(gt=0)] | None = None
    """Step size of a linear range, starting at its lowest value."""
    when: When = Field(default_factory=Condition)
    """Condition: the dimension is sampled only if earlier dimensions have these values."""

    @model_validator(mode="after")
    def _rules(self) -> Dimension:
        if sum(given is not None for given in (self.float_range, self.int_range, self.choices)) != 1:
            raise Rule(
                "must have exactly one distribution", allowed="float: [low, high], int: [low, high], choice: [a, b, …]"
            )
        if self.kind == "choice":
            if self.scale != "linear" or self.step is not None:
                raise Rule("a choice has no scale or step", allowed="choice and when")
            return self
        low, high = self.bounds
        if low >= high:
            raise Rule(f"the lowest value must be less than the highest, given [{low:g}, {high:g}]")
        if self.scale == "log" and low <= 0:
            raise Rule(f"a log scale requires a lowest value above 0, got {low:g}")
        if self.scale == "logit" and (self.kind == "int" or not 0 < low < high < 1):
            raise Rule(
                f"a logit scale requires a float range between 0 and 1, both excluded, given [{low:g}, {high:g}]"
            )
        if self.step is not None and (self.scale != "linear" or self.step > high - low):
            raise Rule("a step requires a linear scale and must fit the range", allowed=f"at most {high - low:g}")
        if self.step is not None and self.kind == "int" and self.step != int(self.step):
            raise Rule(f"the step of an int range must be a whole number, got {self.step:g}")
        return self

    @property
    def kind(self) -> Kind:
        """Kind of distribution: the field that is set."""
        return "float" if self.float_range is not None else "int" if self.int_range is not None else "choice"

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value of a range.

        Raises:
            ValueError: If this is a choice.
        """
        bounds = self.float_range or self.int_range
        if bounds is None:
            raise ValueError("a choice has no bounds")
        return bounds

    def contains(self, value: Any) -> bool:
        """Whether a value is one of the choices, or within the range."""
        if self.choices is not None:
            return any(value == choice for _, choice in self.choices)
        low, high = self.bounds
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    def can_be(self, value: Any) -> bool:
        """Whether a condition can require a value; samples of a continuous range never equal a given value."""
        if self.choices is not None or not self.contains(value):
            return self.contains(value)
        step = self.step or (1 if self.kind == "int" else None)
        if step is None:
            return False
        steps: float = (value - self.bounds[0]) / step
        return bool(abs(steps - round(steps)) < ROUNDING)

    @property
    def values_text(self) -> str:
        """The values as text, for messages."""
        if self.choices is None:
            text = "{:g} to {:g}".format(*self.bounds)
            if self.step is not None:
                return f"{text} in steps of {self.step:g}"
            return text if self.kind == "int" else f"{text}; a condition requires a `choice` or a `step` there"
        return ", ".join(str(value) for _, value in self.choices)

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values to validate instead of all values: both ends of a range, or all choices."""
        return tuple(value for _, value in self.choices) if self.choices is not None else self.bounds


class Pruner(Section):
    """Early stopping of search trials."""

    name: Literal["none", "asha", "median"] = "none"
    """Rule by which poor trials are stopped early."""
    grace_epochs: Positive = 10
    """Minimum number of epochs of every trial."""
    reduction_factor: Annotated[int, Field(ge=2, le=MAX_COUNT)] = 3
    """asha: at each rung, one in `reduction_factor` trials continues."""
    min_trials: Positive = 5
    """median: number of trials that must have reached an epoch before others can be stopped at that epoch."""


def read_metrics(value: Any) -> tuple[str, ...]:
    """One metric, or a list of several objectives; each must be a validation metric.

    Raises:
        Rule: If a metric does not exist or is not a validation metric.
    """
    metrics = tuple(value) if isinstance(value, list | tuple) else (value,)
    allowed = ", ".join(OBJECTIVES)
    for metric in metrics:
        if not isinstance(metric, str) or metric not in OBJECTIVES:
            if str(metric).startswith("test"):
                raise Rule("a search must not use the test part", allowed=allowed)
            raise Rule("is not a validation metric", allowed=allowed)
    if not metrics or len(set(metrics)) != len(metrics):
        raise Rule("must list each objective once", allowed=allowed)
    return metrics


class SearchSettings(Section):
    """Sampling and evaluation of points on validation data, for searches and for the tuning of arms."""

    sampler: SamplerEntry = "tpe"
    """Sampler: `random`, `tpe`, `gp` or `nsga2` (several objectives), or a class of `optuna.samplers` with its
    `options`."""
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)]
    """Total number of points of a search, including points of earlier runs."""
    metric: Annotated[
        tuple[str, ...],
        BeforeValidator(read_metrics),
        WithJsonSchema({"anyOf": [{"enum": list(OBJECTIVES)}, {"type": "array", "items": {"enum": list(OBJECTIVES)}}]}),
    ] = ("val/macro_f1",)
    """Objective: a validation metric, or several for `nsga2`."""
    constraints: tuple[ConstraintEntry, ...] = ()
    """Bounds, `QUANTITY <= NUMBER` or `>=`; a point that violates a bound is never selected."""
    pruner: Pruner = Pruner()
    """Early stopping of poor trials."""
    seed: Seed = 1000
    """Training seed of search trials; must not be one of the seeds of the study."""
    seeds: Annotated[int, Field(ge=1, le=MAX_SEARCH_SEEDS)] = 1
    """Number of training seeds per point, starting at `seed`; the objective of a point is the mean over them."""
    sampler_seed: Seed = 0
    """Seed of the sampler."""

    @model_validator(mode="after")
    def _rules(self) -> SearchSettings:
        if len(self.metric) > 1 and self.sampler in ("random", "tpe", "gp"):
            raise Rule(f"several objectives require the sampler nsga2, got {self.sampler}")
        if len(self.metric) > 1 and self.pruner.name != "none":
            raise Rule("a search with several objectives cannot use a pruner")
        if self.seed + self.seeds - 1 > MAX_SEED:
            raise Rule("seed + seeds - 1 must be at most 2^63 - 1")
        return self

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Direction of each objective."""
        return tuple(OBJECTIVES[metric] for metric in self.metric)

    @property
    def training_seeds(self) -> tuple[int, ...]:
        """The training seeds of a point, in execution order."""
        return tuple(range(self.seed, self.seed + self.seeds))


class Search(SearchSettings):
    """A search on validation data; its best points become arms with new seeds."""

    space: dict[str, Dimension] = Field(min_length=1)
    """Mapping from dotted settings to distributions; the `when` of an entry may refer to entries above it."""
    promote: Annotated[int, Field(ge=0, le=1000)] = 3
    """Number of best points that are retrained with the seeds of the study."""


class Tune(SearchSettings):
    """Searches with equal budgets on validation data, one per arm and task; each arm uses its best settings."""

    space: dict[str, Dimension] = Field(default_factory=dict)
    """Mapping from dotted settings to distributions, for all arms without their own space."""

    @model_validator(mode="after")
    def _one_objective(self) -> Tune:
        if len(self.metric) > 1:
            raise Rule("arms are tuned for a single objective", allowed="one metric")
        return self


class ArmTune(Section):
    """Search space for the tuning of one arm, instead of the space of the study."""

    space: dict[str, Dimension] = Field(min_length=1)
    """Mapping from dotted settings to distributions, instead of the study's `tune.space`."""
