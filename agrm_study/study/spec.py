"""The keys of a study file, their types and ranges, before anything is merged."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from agrm_study.study.errors import did_you_mean
from agrm_study.study.resources import ArmResources, Resources
from agrm_study.study.search_space import _LABELLED_VALUES, ArmTune, Condition, Search, Tune, When, read_labelled
from agrm_study.study.section import Section, Seed
from agrm_study.study.seeds import Seeds
from agrm_study.study.splits import Splits
from agrm_study.study.task_entries import TaskEntries
from agrm_study.study.tasks import Task
from agrm_study.study.translate import Rule

METRICS: dict[str, Literal["any", "positive"]] = {
    "macro_f1": "any",
    "accuracy": "any",
    "balanced_accuracy": "any",
    "macro_precision": "any",
    "macro_recall": "any",
    "average_precision": "positive",
    "roc_auc": "positive",
    "sensitivity": "positive",
    "specificity": "positive",
    "ppv": "positive",
    "npv": "positive",
}
"""Possible primary metrics of a study, and the tasks for which they exist: all, or those with a positive class."""


def has_metric(task: Task, metric: str) -> bool:
    """Whether a metric can be the primary metric of a study on a task."""
    return METRICS[metric] == "any" or task.positive is not None


BASE_ARM = "base"
"""Arm of a search study that is the base recipe itself; it exists if it is the reference."""

MAX_NAME = 60
"""Maximum length of an arm's name: it must fit into a table in one column of a paper."""


def read_name(value: Any) -> str:
    """The name of an arm.

    Raises:
        Rule: If it cannot be printed as the first cell of a table's row.
    """
    if not isinstance(value, str):
        raise Rule("must be text", hint=f'Put it in quotes: "{value}".')
    if not value.strip():
        raise Rule("must not be empty: it names a row of the tables")
    if value != value.strip():
        raise Rule("must not begin or end with a space")
    if any(unicodedata.category(character)[0] == "C" for character in value) or len(value.splitlines()) > 1:
        raise Rule("must be one line of printable characters: it names a row of the tables")
    if len(value) > MAX_NAME:
        raise Rule(f"must have at most {MAX_NAME} characters, has {len(value)}: it names a row of the tables")
    return value


def read_study_name(value: Any) -> str:
    """The name of a study, which is also the name of its results folder.

    Raises:
        Rule: If it is not a safe folder name.
    """
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise Rule(
            "must be usable as the name of a folder",
            allowed="up to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit",
        )
    return value


def read_sharing(value: Any) -> bool | Literal["keep"]:
    """Whether trials share epochs, and whether their final training states are kept.

    Raises:
        Rule: For anything but true, false and ``keep``.
    """
    if isinstance(value, bool):
        return value
    if value == "keep":
        return "keep"
    hint = did_you_mean(str(value), ("true", "false", "keep"))
    raise Rule("is not one of the allowed values", allowed="true, false, keep", hint=hint)


Sharing = Annotated[
    bool | Literal["keep"], BeforeValidator(read_sharing), WithJsonSchema({"enum": [True, False, "keep"]})
]
KeepWeights = Literal["all", "reported", "none"]
Name = Annotated[str, BeforeValidator(read_name), WithJsonSchema({"type": "string", "maxLength": MAX_NAME})]
StudyName = Annotated[str, BeforeValidator(read_study_name), WithJsonSchema({"type": "string"})]


class ArmEntry(Section):
    """One row of the tables, as written in the study file."""

    name: Name
    """First cell of its row in the tables."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Settings that differ from the study's base recipe."""
    seed_offset: Seed = 0
    """Added to each of the study's seeds for this arm. Its training runs are then independent of the other arms' and
    compared with them unpaired. An arm that equals another in everything else shows the size of chance differences."""
    resources: ArmResources = ArmResources()
    """Resources of its trials; never part of their identity."""
    tune: ArmTune | None = None
    """Its tuning space, instead of the study's `tune.space`."""


class Factor(Section):
    """One setting that a grid varies, in its long form."""

    values: Annotated[
        tuple[tuple[str | None, Any], ...], BeforeValidator(read_labelled), WithJsonSchema(_LABELLED_VALUES)
    ]
    """A list of values, or `label: value`."""
    when: When = Field(default_factory=Condition)
    """Condition: varied only if earlier factors have these values; otherwise the base recipe's value applies."""
    symbol: Name | None = None
    """Short name of the factor in names of arms."""

    def can_be(self, value: Any) -> bool:
        """Whether an arm can have a value of it."""
        return any(value == given for _, given in self.values)

    @property
    def values_text(self) -> str:
        """Its values in a message."""
        return ", ".join(str(value) for _, value in self.values)


def read_factor(value: Any) -> Any:
    """A grid's short form, a list of values, as its long form."""
    if isinstance(value, list):
        return {"values": value}
    if not isinstance(value, Mapping | Factor):
        raise Rule("must be a list of values", allowed="[a, b, …], or {values: […], when: {…}, symbol: …}")
    return value


def _families(families: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    for name, arms in families.items():
        if not arms:
            raise Rule(f"the family {name!r} contains no arm")
    return families


class OperatingPoint(Section):
    """Target that the decision of a two-class task must reach on validation: exactly one of the two fields."""

    sensitivity: Annotated[float, Field(gt=0, le=1)] | None = None
    """Minimum share of positive subjects that are classified as positive."""
    specificity: Annotated[float, Field(gt=0, le=1)] | None = None
    """Minimum share of negative subjects that are classified as negative."""

    @model_validator(mode="after")
    def _one(self) -> OperatingPoint:
        if (self.sensitivity is None) == (self.specificity is None):
            raise ValueError("give exactly one of sensitivity and specificity")
        return self

    @property
    def required(self) -> Literal["sensitivity", "specificity"]:
        """The metric whose value is required."""
        return "specificity" if self.sensitivity is None else "sensitivity"

    @property
    def least(self) -> float:
        """Its minimum value."""
        least = self.specificity if self.sensitivity is None else self.sensitivity
        assert least is not None  # ensured by the validator
        return least


class ReportRequest(Section):
    """Content of the study's report."""

    tables: tuple[str, ...] = ()
    """Tables by name; empty: those that suit the study."""
    figures: tuple[str, ...] = ()
    """Figures by name; empty: those that suit the study."""
    families: Annotated[dict[str, tuple[str, ...]], AfterValidator(_families)] = Field(default_factory=dict)
    """Families of comparisons for Holm's correction: name → arms that are compared with the reference; by default all
    arms of a task are one family."""
    prevalences: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Further prevalences of the positive class for PPV and NPV."""
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Difference in the primary metric that is considered irrelevant (0.05 is five points): arms are tested for
    equivalence with the reference within it."""
    operating_points: tuple[OperatingPoint, ...] = ()
    """Required sensitivities or specificities of two-class tasks: thresholds are chosen on validation and applied to
    the test part, in addition to 0.5."""


class StudyFile(Section):
    """A study file as written."""

    name: StudyName
    """Name of the study and of its results folder."""
    question: str = ""
    """Question that the study answers, in one sentence."""
    base: str = "agrm"
    """Base recipe: its name in search_spaces/base/, or a file."""
    parts: tuple[str, ...] = ()
    """User-defined backbones, losses, tables …: Python files relative to the study file, or modules."""
    trainer: str | None = None
    """User-defined trainer, `FILE.py:CLASS` or `MODULE:CLASS`; arms set its settings instead of the recipe's."""
    tasks: TaskEntries
    """Tasks: built-in ones by name, or user-defined ones over the labels of the manifest. Each arm is trained once per
    task and seed."""
    seeds: Seeds
    """Replicates: distinct training seeds, their number, or a race that adds seeds only to arms that may be the
    best."""
    split_seed: Seed = 0
    """Seed of the split and of the draw of unlabelled clips: the same for all seeds."""
    splits: Splits | None = None
    """Folds: every labelled subject is tested once per repeat and seed; without it, the study has one test part."""
    data: dict[str, Any] | None = None
    """Shorthand for `set: {data: …}`: the clips of the study."""
    set: dict[str, Any] | None = None
    """Settings of every arm that differ from the base, by dotted name or nested."""
    arms: tuple[ArmEntry, ...] | None = None
    """What varies: one entry per row of the tables."""
    grid: dict[str, Annotated[Factor, BeforeValidator(read_factor)]] | None = None
    """What varies: settings whose values are crossed."""
    search: Search | None = None
    """What varies: settings that Optuna samples."""
    tune: Tune | None = None
    """With `arms`: the same search on validation for every arm and task before its seeds; the best settings become the
    arm's."""
    reference: Name | None = None
    """The arm that the others are compared with; in a search `base`, the base recipe, unless it is `null`."""
    primary_metric: Literal[tuple(METRICS)] = "macro_f1"  # type: ignore[valid-type]
    """Metric of the comparisons, tests and races."""
    resources: Resources = Resources()
    """Resources of one trial; never part of its identity."""
    sharing: Sharing = True
    """Whether epochs that trials have in common are trained once; never part of their identity. `keep` also keeps the
    states at the ends of stages and trials, each about five times a network's size, for resuming with more epochs or
    arms."""
    keep_weights: KeepWeights = "all"
    """Best weights that are kept for `export`, `explain` and damaged predictions: of `all` final trials, only of those
    `reported` (a run ends by removing those of arms that a race stopped and of trials no longer in the plan), or
    `none`; never part of the trials' identity."""
    report: ReportRequest = ReportRequest()
    """Tables, figures and analysis settings."""


def reference_of(spec: StudyFile) -> str | None:
    """The arm that the others are compared with: in a search the base recipe, unless the study says `null`."""
    if spec.search is not None and "reference" not in spec.model_fields_set:
        return BASE_ARM
    return spec.reference


class PresetFile(Section):
    """A preset as written: the values that it overrides in a study."""

    tasks: TaskEntries | None = None
    seeds: Seeds | None = None
    split_seed: Seed | None = None
    data: dict[str, Any] | None = None
    set: dict[str, Any] | None = None
    resources: dict[str, Any] | None = None
    search: dict[str, Any] | None = None
    """Keys that override the study's search, if it has one."""
    tune: dict[str, Any] | None = None
    """Keys that override the study's tuning, if it has one."""
