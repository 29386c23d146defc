"""Settings that can change the outcome of a trial, and settings that cannot.

The table `RULES` is exhaustive. A setting in a rule that applies is excluded from a trial's identity, and the trial is
run with the default of that setting, so trials with equal identities are the same training run. A rule is added only
if the code that reads the setting is provably not reached; in case of doubt, a setting is assumed to have an effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, TypeVar

from agrm_study.plan.canonical import member, scalar_member
from agrm_study.study.recipe import Recipe
from agrm_study.study.section import Section
from agrm_study.study.settings import known_settings, value_of
from agrm_study.study.tasks import Task

SEEDS: Final = ("seed", "split_seed")
"""Settings that distinguish the replicates of an arm."""

DEFAULTS: Final = Recipe()

SectionT = TypeVar("SectionT", bound=Section)


@dataclass(frozen=True, slots=True)
class Rule:
    """Settings that have no effect in a recipe.

    Attributes:
        settings: Dotted names; a trailing ``.*`` means all settings of a section.
        idle: Returns whether they have no effect in a recipe.
        why: Reason for the lack of effect.
    """

    settings: tuple[str, ...]
    idle: Callable[[Recipe], bool]
    why: str


def _supervised(recipe: Recipe) -> bool:
    return recipe.ssl.method == "supervised"


def _no_pseudo_labels(recipe: Recipe) -> bool:
    return recipe.ssl.method == "mean_teacher"


def _policy_in(*names: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.ssl.threshold.policy in names


def _backbone_in(*names: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.model.backbone in names


def _loss_in(*names: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.loss.name in names


OF_THE_SHIPPED_TRAINER: Final = (
    "data.unlabelled_train", "data.unlabelled_val", "data.views", "clip.*", "augment.*", "model.*",
    "ssl.pretrain_epochs", "ssl.ema.*", "ssl.ramp.*", "ssl.threshold.*", "ssl.pseudo.*", "ssl.batch_norm", "ssl.views",
    "loss.*", "optimizer.*", "batch.*", "early_stop.*", "evaluate.*", "precision", "compile", "steps_per_epoch", "tf32",
    "deterministic", "shuffle_labels",
)  # fmt: skip
"""Settings that no user-defined trainer reads, except `ssl.method`, which is ``supervised`` in such a study."""

RULES: Final[tuple[Rule, ...]] = (
    Rule(OF_THE_SHIPPED_TRAINER, lambda r: r.own_trainer, "it is a setting of the built-in trainer"),
    Rule(("training.patience",), lambda r: not r.own_trainer, "the built-in trainer uses early_stop"),
    Rule(("data.manifest", "data.synthetic.*"), lambda r: True, "the data are identified by their fingerprint"),
    Rule(("data.split.*",), lambda r: r.data.split_file is not None, "a split file replaces it"),
    Rule(
        ("data.folds", "data.fold", "data.first_fold", "data.fold_group"),
        lambda r: r.data.split_file is not None,
        "a split file replaces them",
    ),
    Rule(("data.fold", "data.first_fold", "data.fold_group"), lambda r: r.data.folds == 0, "there are no folds"),
    Rule(
        ("data.unlabelled_train", "data.unlabelled_val", "data.views", "data.remainder"),
        _supervised,
        "unlabelled clips are not used",
    ),
    Rule(("data.remainder",), lambda r: r.data.labelled_fraction == 1.0, "all labels are used"),
    Rule(("clip.box_part",), lambda r: r.clip.crop != "person_box", "only the crop person_box uses it"),
    Rule(
        ("ssl.pretrain_epochs", "ssl.ramp.*"),
        _supervised,
        "they affect only early_stop.armed_after, whose resolved value is used",
    ),
    Rule(
        ("ssl.threshold.*", "ssl.pseudo.*", "batch.unlabelled", "augment.strong_branch", "evaluate.unlabelled"),
        _supervised,
        "unlabelled clips are not used",
    ),
    Rule(
        ("augment.weak.*",),
        lambda r: _supervised(r) and r.augment.labelled == "strong",
        "the weak view is not used",
    ),
    Rule(
        ("augment.strong.*",),
        lambda r: _supervised(r) and r.augment.labelled == "weak",
        "the strong view is not used",
    ),
    Rule(("augment.strong.tube_grid",), lambda r: r.augment.strong.tubes == 0, "patches are not masked"),
    Rule(("ssl.ema.*", "evaluate.network"), lambda r: not r.has_average, "the method has no teacher"),
    Rule(("evaluate.ema",), lambda r: r.has_teacher, "the teacher is the evaluated average"),
    Rule(("ssl.threshold.*", "ssl.pseudo.*"), _no_pseudo_labels, "the method has no pseudo-labels"),
    Rule(("ssl.pseudo.target", "ssl.pseudo.weight"), lambda r: r.ssl.pseudo.mode == "off", "pseudo-labels are off"),
    Rule(("ssl.pseudo.round_epochs",), lambda r: r.ssl.pseudo.mode != "rounds", "there are no rounds"),
    Rule(("ssl.ema.alpha",), lambda r: r.ssl.ema.memory_epochs is not None, "ssl.ema.memory_epochs replaces it"),
    Rule(
        ("ssl.threshold.momentum", "ssl.threshold.memory_epochs"),
        lambda r: (
            r.ssl.threshold.policy in ("fixed", "flexmatch", "percentile", "relative")
            and r.ssl.threshold.alignment == "none"
        ),
        "the policy has no moving average",
    ),
    Rule(
        ("ssl.threshold.momentum",),
        lambda r: r.ssl.threshold.memory_epochs is not None,
        "ssl.threshold.memory_epochs replaces it",
    ),
    Rule(
        ("ssl.threshold.n_sigma",),
        _policy_in("fixed", "flexmatch", "freematch", "percentile", "relative"),
        "only softmatch uses it",
    ),
    Rule(
        ("ssl.threshold.percentile",),
        _policy_in("fixed", "flexmatch", "freematch", "softmatch", "relative"),
        "only percentile uses it",
    ),
    Rule(
        ("ssl.threshold.tau",), _policy_in("freematch", "softmatch", "percentile"), "the policy sets its own threshold"
    ),
    Rule(
        ("ssl.threshold.fairness",),
        _policy_in("fixed", "flexmatch", "softmatch", "percentile", "relative"),
        "only freematch uses it",
    ),
    Rule(("ssl.pseudo.uncertainty_max",), lambda r: r.ssl.pseudo.uncertainty == "none", "uncertainty is not estimated"),
    Rule(
        ("ssl.pseudo.uncertainty_passes",),
        lambda r: r.ssl.pseudo.uncertainty != "dropout",
        "dropout passes are not used",
    ),
    Rule(("ssl.batch_norm", "ssl.views"), _supervised, "unlabelled clips are not used"),
    Rule(
        ("model.depth",),
        _backbone_in("c3d", "uniformer_s", "s3d", "mvit_v2_s", "swin3d_t"),
        "the backbone has a fixed depth",
    ),
    Rule(
        ("model.head",),
        _backbone_in("r3d_18", "r2plus1d_18", "mc3_18", "uniformer_s", "s3d", "mvit_v2_s", "swin3d_t"),
        "only c3d uses it",
    ),
    Rule(
        ("model.head",),
        lambda r: r.model.backbone == "c3d" and r.model.pooling.name != "average",
        "only c3d's published pooling uses it",
    ),
    Rule(
        ("model.pooling.bins", "model.pooling.combine"),
        lambda r: r.model.pooling.name in ("average", "max"),
        "there are no bins",
    ),
    Rule(
        ("loss.focal_gamma",),
        _loss_in("cross_entropy", "class_balanced", "arcface", "corn"),
        "only the focal loss uses it",
    ),
    Rule(
        ("loss.class_balanced_beta",),
        _loss_in("cross_entropy", "focal", "arcface", "corn"),
        "only the class-balanced loss uses it",
    ),
    Rule(
        ("loss.arcface_scale", "loss.arcface_margin"),
        _loss_in("cross_entropy", "focal", "class_balanced", "corn"),
        "only arcface uses them",
    ),
    Rule(
        ("optimizer.plateau_factor", "optimizer.plateau_patience", "optimizer.plateau_armed"),
        lambda r: r.optimizer.schedule != "plateau",
        "the learning rate follows a different schedule",
    ),
    Rule(("optimizer.layer_decay",), lambda r: "backbone" in r.model.freeze, "only the head is trained"),
    Rule(("optimizer.momentum",), lambda r: r.optimizer.name != "sgd", "only sgd uses it"),
    Rule(("optimizer.betas",), lambda r: r.optimizer.name == "sgd", "only adam and adamw use them"),
    Rule(
        ("evaluate.batch",),
        lambda r: True,
        "the evaluation batch size affects results only through rounding",
    ),
)
"""Rules for settings without effect: the settings, the condition, and the reason."""


def idle_settings(recipe: Recipe) -> dict[str, str]:
    """The settings that cannot change this trial's outcome, each with the reason."""
    found: dict[str, str] = {}
    for rule in RULES:
        if rule.idle(recipe):
            for pattern in rule.settings:
                for name in matching(pattern):
                    found.setdefault(name, rule.why)
    return found


@lru_cache(maxsize=4096)
def _section_members(name: str, section: Section) -> Mapping[str, str]:
    """The settings of a section as members of a canonical JSON object, by dotted name."""
    tree = {name: section.model_dump(mode="json")}
    return {setting: member(setting, _at(tree, setting)) for setting in matching(f"{name}.*")}


@lru_cache(maxsize=64)
def _task_member(task: Task) -> str:
    return member("task", task.identity)


def acting_recipe(recipe: Recipe) -> Recipe:
    """The recipe that is run: settings without effect are set to defaults, and `early_stop.armed_after` is resolved.

    Settings of the data and the clip store keep their given values, since they determine the location of files;
    `evaluate.batch`, which mainly affects memory use, also keeps its value.
    """
    resets: dict[str, Any] = {
        name: value_of(DEFAULTS, name)
        for name in idle_settings(recipe)
        if not name.startswith(("data.", "clip.")) and name != "evaluate.batch"
    }
    return _replaced(recipe, resets | {"early_stop.armed_after": recipe.armed_after})


def acting_members(recipe: Recipe) -> dict[str, str]:
    """The settings that can change the outcome, including the task but not the seeds, as members of a
    canonical JSON object, by dotted name."""
    idle = idle_settings(recipe)
    members: dict[str, str] = {}
    for field in Recipe.model_fields:
        value = getattr(recipe, field)
        if isinstance(value, Section):  # serialised once, regardless of the number of trials that share it
            members |= _section_members(field, value)
        elif isinstance(value, Task):
            members[field] = _task_member(value)
        elif field not in SEEDS:
            members[field] = scalar_member(field, value)
    members["early_stop.armed_after"] = scalar_member("early_stop.armed_after", recipe.armed_after)
    return {name: text for name, text in members.items() if name not in idle}


def labelled_view(recipe: Recipe) -> Recipe:
    """The recipe without unlabelled clips: its split contains only the data that a supervised epoch can read."""
    nothing = {"unlabelled_train": 0, "unlabelled_val": 0, "views": (), "remainder": "drop"}
    data = recipe.data.model_copy(update=nothing)
    return recipe.model_copy(update={"data": data})


@cache
def matching(pattern: str) -> tuple[str, ...]:
    """The settings that match a pattern of a rule."""
    if not pattern.endswith(".*"):
        return (pattern,)
    section = pattern.removesuffix("*")
    return tuple(name for name in known_settings() if name.startswith(section))


def _replaced(section: SectionT, values: Mapping[str, Any]) -> SectionT:
    """A copy of a section with the given settings replaced by valid values; unchanged subsections are shared."""
    groups: dict[str, dict[str, Any]] = {}
    changed: dict[str, Any] = {}
    for name, value in values.items():
        field, _, rest = name.partition(".")
        if rest:
            groups.setdefault(field, {})[rest] = value
        elif getattr(section, field) != value:
            changed[field] = value
    for field, inner in groups.items():
        before = getattr(section, field)
        if (after := _replaced(before, inner)) is not before:
            changed[field] = after
    return section.model_copy(update=changed) if changed else section


def _at(tree: dict[str, Any], name: str) -> Any:
    value: Any = tree
    for part in name.split("."):
        value = None if value is None else value[part]
    return value
