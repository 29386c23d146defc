"""The keys of a study file with their types and ranges, before merging."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from agrm_study.study.errors import did_you_mean
from agrm_study.study.resources import ArmResources, Resources
from agrm_study.study.search_space import LABELLED_SCHEMA, ArmTune, Condition, Search, Tune, When, read_labelled
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
"""Possible primary metrics of a study, and the tasks for which they are defined: all tasks, or tasks with a positive
class."""


def has_metric(task: Task, metric: str) -> bool:
    """Whether a metric can be the primary metric of a study on a task."""
    return METRICS[metric] == "any" or task.positive is not None


BASE_ARM = "base"
"""Name of the arm that represents the base recipe in a search study; it exists only if it is the reference."""

MAX_NAME = 60
"""Maximum length of an arm name, which must fit in a single-column table of a paper."""


def read_name(value: Any) -> str:
    """The name of an arm.

    Raises:
        Rule: If the name cannot be printed as the first cell of a table row.
    """
    if not isinstance(value, str):
        raise Rule("must be text", hint=f'Put it in quotes: "{value}".')
    if not value.strip():
        raise Rule("must not be empty: it labels a row of the tables")
    if value != value.strip():
        raise Rule("must not begin or end with a space")
    if any(unicodedata.category(character)[0] == "C" for character in value) or len(value.splitlines()) > 1:
        raise Rule("must be one line of printable characters: it labels a row of the tables")
    if len(value) > MAX_NAME:
        raise Rule(f"must have at most {MAX_NAME} characters, has {len(value)}: it labels a row of the tables")
    return value


def read_study_name(value: Any) -> str:
    """The name of a study, which is also the name of its results folder.

    Raises:
        Rule: If the name is not a safe folder name.
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
        Rule: If the value is not true, false or ``keep``.
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
    """Name of the arm: the first cell of its row in the tables."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Settings of the arm that differ from the base recipe of the study."""
    seed_offset: Seed = 0
    """Offset added to each seed of the study for this arm. Its training runs are then independent of the runs of other
    arms, and comparisons with other arms are unpaired. If two arms differ only in their offset, the difference between
    their results shows the size of differences due to chance."""
    resources: ArmResources = ArmResources()
    """Resources of the arm's trials; never part of their identity."""
    tune: ArmTune | None = None
    """Tuning space of the arm, instead of the study's `tune.space`."""


class Factor(Section):
    """One setting that a grid varies, in the long form."""

    values: Annotated[
        tuple[tuple[str | None, Any], ...], BeforeValidator(read_labelled), WithJsonSchema(LABELLED_SCHEMA)
    ]
    """Values of the factor: a list, or a mapping `label: value`."""
    when: When = Field(default_factory=Condition)
    """Condition: the factor is varied only if earlier factors have these values; otherwise it has the value of the base
    recipe."""
    symbol: Name | None = None
    """Short name of the factor in arm names."""

    def can_be(self, value: Any) -> bool:
        """Whether the factor can have the given value."""
        return any(value == given for _, given in self.values)

    @property
    def values_text(self) -> str:
        """The values as text, for messages."""
        return ", ".join(str(value) for _, value in self.values)


def read_factor(value: Any) -> Any:
    """The short form of a factor, a list of values, converted to the long form."""
    if isinstance(value, list):
        return {"values": value}
    if not isinstance(value, Mapping | Factor):
        raise Rule("must be a list of values", allowed="[a, b, …], or {values: […], when: {…}, symbol: …}")
    return value


def _families(families: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    for name, arms in families.items():
        if not arms:
            raise Rule(f"the family {name!r} does not contain any arms")
    return families


class OperatingPoint(Section):
    """Target for the decision threshold of a two-class task on validation data; exactly one of the fields is set."""

    sensitivity: Annotated[float, Field(gt=0, le=1)] | None = None
    """Minimum share of positive subjects that are classified as positive."""
    specificity: Annotated[float, Field(gt=0, le=1)] | None = None
    """Minimum share of negative subjects that are classified as negative."""

    @model_validator(mode="after")
    def _one(self) -> OperatingPoint:
        if (self.sensitivity is None) == (self.specificity is None):
            raise ValueError("specify exactly one of sensitivity and specificity")
        return self

    @property
    def required(self) -> Literal["sensitivity", "specificity"]:
        """The metric with a required minimum value."""
        return "specificity" if self.sensitivity is None else "sensitivity"

    @property
    def least(self) -> float:
        """The required minimum value."""
        least = self.specificity if self.sensitivity is None else self.sensitivity
        assert least is not None  # ensured by the validator
        return least


class ReportRequest(Section):
    """Content of the report of a study."""

    tables: tuple[str, ...] = ()
    """Names of tables; if empty, all tables that apply to the study."""
    figures: tuple[str, ...] = ()
    """Names of figures; if empty, all figures that apply to the study."""
    families: Annotated[dict[str, tuple[str, ...]], AfterValidator(_families)] = Field(default_factory=dict)
    """Families of comparisons for Holm's correction: a mapping from names to the arms that are compared with the
    reference. By default, all arms of a task are one family."""
    prevalences: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Additional prevalences of the positive class for PPV and NPV."""
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Largest difference in the primary metric that is considered negligible (0.05 is five percentage points): arms are
    tested for equivalence with the reference within this margin."""
    operating_points: tuple[OperatingPoint, ...] = ()
    """Required sensitivities or specificities of two-class tasks: thresholds are chosen on validation data and applied
    to the test part, in addition to the threshold 0.5."""


class StudyFile(Section):
    """A study file as written."""

    name: StudyName
    """Name of the study and of its results folder."""
    question: str = ""
    """The question that the study answers, in one sentence."""
    base: str = "agrm"
    """Base recipe: a name in search_spaces/base/, or a file."""
    parts: tuple[str, ...] = ()
    """User-defined backbones, losses, tables …: Python files relative to the study file, or modules."""
    trainer: str | None = None
    """User-defined trainer, `FILE.py:CLASS` or `MODULE:CLASS`; arms then use its settings instead of the settings of
    the recipe."""
    tasks: TaskEntries
    """Tasks: built-in tasks by name, or user-defined tasks over the labels of the manifest. Each arm is trained once
    per task and seed."""
    seeds: Seeds
    """Replicates: distinct training seeds, their number, or a race that adds seeds only to arms that may still be
    the best."""
    split_seed: Seed = 0
    """Seed of the split and of the selection of unlabelled clips, the same for all training seeds."""
    splits: Splits | None = None
    """Folds: every labelled subject is tested once per repeat and seed; without this key, the study has a single test
    part."""
    data: dict[str, Any] | None = None
    """Data of the study: shorthand for `set: {data: …}`."""
    set: dict[str, Any] | None = None
    """Settings of all arms that differ from the base recipe, by dotted name or nested."""
    arms: tuple[ArmEntry, ...] | None = None
    """Arms: one entry per row of the tables."""
    grid: dict[str, Annotated[Factor, BeforeValidator(read_factor)]] | None = None
    """Grid: settings whose values are combined in all possible ways."""
    search: Search | None = None
    """Search: settings that Optuna samples."""
    tune: Tune | None = None
    """With `arms`: a search with the same budget on validation data for every arm and task, before the seeds of the
    study are run; the arm then uses the best settings."""
    reference: Name | None = None
    """The arm with which the other arms are compared; in a search it is `base`, the base recipe, unless it is set to
    `null`."""
    primary_metric: Literal[tuple(METRICS)] = "macro_f1"  # type: ignore[valid-type]
    """Metric for comparisons, tests and races."""
    resources: Resources = Resources()
    """Resources of one trial; never part of its identity."""
    sharing: Sharing = True
    """Whether epochs that trials have in common are trained only once; never part of a trial's identity. `keep` also
    keeps the training states at the ends of stages and trials, each about five times the size of a network, for
    resuming with more epochs or arms."""
    keep_weights: KeepWeights = "all"
    """Final trials whose best weights are kept for `export`, `explain` and restoring damaged predictions: `all`, only
    those `reported` (at the end of a run, the weights of arms stopped by a race and of trials no longer in the plan are
    removed), or `none`; never part of a trial's identity."""
    report: ReportRequest = ReportRequest()
    """Tables, figures and analysis settings."""


def reference_of(spec: StudyFile) -> str | None:
    """The arm with which the other arms are compared: in a search the base recipe, unless the study sets it to
    `null`.
    """
    if spec.search is not None and "reference" not in spec.model_fields_set:
        return BASE_ARM
    return spec.reference


class PresetFile(Section):
    """A preset as written: values that override the values of a study."""

    tasks: TaskEntries | None = None
    seeds: Seeds | None = None
    split_seed: Seed | None = None
    data: dict[str, Any] | None = None
    set: dict[str, Any] | None = None
    resources: dict[str, Any] | None = None
    search: dict[str, Any] | None = None
    """Keys that override the search of the study, if it has one."""
    tune: dict[str, Any] | None = None
    """Keys that override the tuning of the study, if it has one."""
