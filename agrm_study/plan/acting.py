"""Which settings can change the outcome of a trial, and which cannot?

The table `RULES` is the whole answer. A setting that it names does not enter a trial's identity, and the trial is run
with that setting at its default: two trials of one identity are one run, not two that somebody believes to be equal.
A rule stands here only when the code that reads the setting is provably not reached: in doubt a setting acts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from agrm_study.study.merge import with_settings
from agrm_study.study.problems import Place
from agrm_study.study.recipe import Recipe
from agrm_study.study.settings import Setting, default_of, known_settings


@dataclass(frozen=True, slots=True)
class Rule:
    """Settings that cannot act on a recipe.

    Attributes:
        settings: Dotted names; a trailing ``.*`` means all settings of a section.
        idle: Whether they cannot act on this recipe.
        why: The reason.
    """

    settings: tuple[str, ...]
    idle: Callable[[Recipe], bool]
    why: str


def _supervised(recipe: Recipe) -> bool:
    return recipe.ssl.method == "supervised"


def _no_teacher(recipe: Recipe) -> bool:
    return not recipe.has_teacher


def _no_pseudo_labels(recipe: Recipe) -> bool:
    return recipe.ssl.method == "mean_teacher"


def _policy_in(*names: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.ssl.threshold.policy in names


def _backbone_in(*names: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.model.backbone in names


def _loss_in(*names: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.loss.name in names


RULES: Final[tuple[Rule, ...]] = (
    Rule(("data.manifest", "data.synthetic.*"), lambda r: True, "the data's content counts, by its fingerprint"),
    Rule(("data.split.*",), lambda r: r.data.split_file is not None, "a split file takes its place"),
    Rule(("data.folds", "data.fold"), lambda r: r.data.split_file is not None, "a split file takes their place"),
    Rule(("data.fold",), lambda r: r.data.folds == 0, "there are no folds"),
    Rule(("data.unlabelled_train", "data.unlabelled_val", "data.views"), _supervised, "no unlabelled clip is read"),
    Rule(("clip.box_part",), lambda r: r.clip.crop != "person_box", "only the person's box has parts"),
    Rule(
        ("ssl.pretrain_epochs", "ssl.ramp.*"),
        _supervised,
        "they act on early_stop.armed_after alone, which is resolved",
    ),
    Rule(
        ("ssl.threshold.*", "ssl.pseudo.*", "batch.unlabelled", "augment.strong_branch", "evaluate.unlabelled"),
        _supervised,
        "no unlabelled clip is read",
    ),
    Rule(("augment.weak.*",), lambda r: _supervised(r) and r.augment.labelled == "strong", "nobody sees the weak view"),
    Rule(
        ("augment.strong.*",), lambda r: _supervised(r) and r.augment.labelled == "weak", "nobody sees the strong view"
    ),
    Rule(("ssl.ema.*", "evaluate.network"), _no_teacher, "the method has no teacher"),
    Rule(("ssl.threshold.*", "ssl.pseudo.*"), _no_pseudo_labels, "the method learns no pseudo-label and records none"),
    Rule(("ssl.pseudo.target", "ssl.pseudo.weight"), lambda r: r.ssl.pseudo.mode == "off", "pseudo-labels are off"),
    Rule(("ssl.pseudo.round_epochs",), lambda r: r.ssl.pseudo.mode != "rounds", "there are no rounds"),
    Rule(("ssl.threshold.momentum",), _policy_in("fixed", "flexmatch", "percentile"), "the policy keeps no average"),
    Rule(
        ("ssl.threshold.n_sigma",),
        _policy_in("fixed", "flexmatch", "freematch", "percentile"),
        "softmatch alone has it",
    ),
    Rule(
        ("ssl.threshold.percentile",),
        _policy_in("fixed", "flexmatch", "freematch", "softmatch"),
        "percentile alone has it",
    ),
    Rule(
        ("ssl.threshold.tau",), _policy_in("freematch", "softmatch", "percentile"), "the policy finds its own threshold"
    ),
    Rule(("model.depth",), _backbone_in("c3d", "uniformer_s"), "the backbone has one depth"),
    Rule(("model.head",), _backbone_in("r3d_18", "r2plus1d_18", "mc3_18", "uniformer_s"), "c3d alone has it"),
    Rule(
        ("model.head",),
        lambda r: r.model.backbone == "c3d" and r.model.pooling.name != "average",
        "it belongs to c3d's published pooling",
    ),
    Rule(
        ("model.pooling.bins", "model.pooling.combine"),
        lambda r: r.model.pooling.name in ("average", "max"),
        "there are no bins",
    ),
    Rule(("loss.focal_gamma",), _loss_in("cross_entropy", "class_balanced", "arcface", "corn"), "focal alone has it"),
    Rule(
        ("loss.class_balanced_beta",),
        _loss_in("cross_entropy", "focal", "arcface", "corn"),
        "class_balanced alone has it",
    ),
    Rule(
        ("loss.arcface_scale", "loss.arcface_margin"),
        _loss_in("cross_entropy", "focal", "class_balanced", "corn"),
        "arcface alone has them",
    ),
    Rule(("optimizer.momentum",), lambda r: r.optimizer.name != "sgd", "sgd alone has it"),
    Rule(("optimizer.betas",), lambda r: r.optimizer.name == "sgd", "adam and adamw alone have them"),
    Rule(
        ("evaluate.batch",),
        lambda r: True,
        "how many clips are evaluated at once changes their results by rounding alone",
    ),
)
"""What cannot act, when, and why."""


def idle_settings(recipe: Recipe) -> dict[str, str]:
    """The settings that cannot change this trial's outcome, each with the reason."""
    found: dict[str, str] = {}
    for rule in RULES:
        if rule.idle(recipe):
            for pattern in rule.settings:
                for name in matching(pattern):
                    found.setdefault(name, rule.why)
    return found


def acting_recipe(recipe: Recipe) -> Recipe:
    """The recipe as it is run: settings that cannot act at their defaults, `early_stop.armed_after` resolved.

    What is asked of the data and of their store stays as it was given, since files are found by it; so does
    `evaluate.batch`, which only fits memory.
    """
    resets = [
        Setting(name, default_of(name), Place(None))
        for name in idle_settings(recipe)
        if not name.startswith(("data.", "clip.")) and name != "evaluate.batch"
    ]
    resets.append(Setting("early_stop.armed_after", recipe.armed_after, Place(None)))
    return Recipe.model_validate(with_settings(recipe.settings(), resets))


def acting_settings(recipe: Recipe) -> dict[str, Any]:
    """Plain values of the settings that can change the outcome, by dotted name; seeds and task among them."""
    idle = idle_settings(recipe)
    names = [name for name in known_settings() if name not in idle]
    tree = recipe.settings()
    values = {name: _at(tree, name) for name in (*names, "task", "seed", "split_seed")}
    values["early_stop.armed_after"] = recipe.armed_after
    return values


def labelled_view(recipe: Recipe) -> Recipe:
    """The recipe without unlabelled clips: its split holds what a supervised epoch can see, and nothing else."""
    data = recipe.data.model_copy(update={"unlabelled_train": 0, "unlabelled_val": 0, "views": ()})
    return recipe.model_copy(update={"data": data})


def matching(pattern: str) -> tuple[str, ...]:
    """The settings that a pattern of a rule names."""
    if not pattern.endswith(".*"):
        return (pattern,)
    section = pattern.removesuffix("*")
    return tuple(name for name in known_settings() if name.startswith(section))


def _at(tree: dict[str, Any], name: str) -> Any:
    value: Any = tree
    for part in name.split("."):
        value = None if value is None else value[part]
    return value
