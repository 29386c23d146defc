"""Warnings about a valid study before it runs: impossible comparisons and settings without effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agrm_study.plan.epochs import weight_key
from agrm_study.plan.same_training import same_training
from agrm_study.plan.searches import idle_dimensions, space_of
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Arm, Study

ARMS_NAMED = 5
"""Maximum number of arms listed in a warning; for more arms, only their number is given."""


def study_notes(study: Study) -> tuple[str, ...]:
    """Warnings about a valid study, one sentence each, the most important first."""
    found: list[str] = []
    tuned = study.tune is not None  # arms with the same space and recipe are tuned to the same settings
    alike: dict[str, list[Arm]] = {}
    for arm in study.arms:  # arms with different seeds are different training runs
        alike.setdefault(f"{arm.seed_offset}/{space_of(study, arm) if tuned else ''}", []).append(arm)
    for arms in alike.values():
        groups = same_training((arm.name, arm.recipe) for arm in arms)
        found += [group.sentence for group in groups]
    return (*study.impossible, *found, *_other(study))


def _other(study: Study) -> Iterator[str]:
    if study.followed:
        changes = " and ".join(f"{each.name} from {each.before} to {each.after}" for each in study.followed)
        yield (
            f"`epochs` is {study.base.epochs}, so the following are shortened proportionally: {changes}. Set them "
            "explicitly to use different values."
        )
    idle: dict[str, list[str]] = {}
    for arm in study.arms if study.tune is not None else ():
        for setting, cause in idle_dimensions(study, arm).items():
            idle.setdefault(f"{setting} has no effect ({cause})", []).append(arm.name)
    for reason, names in idle.items():
        yield f"{_named(names)}: {reason}, so tuning varies only the other settings of the space."
    if study.reference is None and len(study.arms) + (study.search.promote if study.search else 0) > 1:
        yield (
            "The study has no reference: arms are not compared with each other, and no differences are tested. "
            + (
                "Set `reference: base` to compare with the base recipe."
                if study.search
                else "Set one with `reference: ARM`."
            )
        )
    if len({arm.recipe.data.labelled_fraction for arm in study.arms}) > 1:
        passes = [arm.name for arm in study.arms if arm.recipe.steps_per_epoch is None]
        if passes:
            yield (
                f"{_named(passes)}: data.labelled_fraction differs among the arms, and an epoch is one pass over the "
                "labelled clips, so arms with fewer labels are also trained for fewer steps. Set steps_per_epoch to "
                "compare training runs of equal length."
            )
    reasons: dict[str, list[str]] = {}
    for name, recipe in [(arm.name, arm.recipe) for arm in study.arms] or [("base", study.base)]:
        if (why := _hardly_semi_supervised(recipe)) is not None:
            reasons.setdefault(why, []).append(name)
    for why, arms in reasons.items():
        yield f"{_named(arms)}: {why}"


def _named(arms: Sequence[str]) -> str:
    return ", ".join(f"`{arm}`" for arm in arms) if len(arms) <= ARMS_NAMED else f"{len(arms)} arms"


def _hardly_semi_supervised(recipe: Recipe) -> str | None:
    """Reason why the unlabelled clips of a semi-supervised recipe have little or no effect."""
    if not recipe.uses_unlabelled:
        return None
    epochs, before, ramp = recipe.epochs, recipe.ssl.pretrain_epochs, recipe.ssl.ramp
    given = f"epochs {epochs}, ssl.pretrain_epochs {before}, ssl.ramp.epochs {ramp.epochs} ({ramp.shape})"
    weights = {weight_key(ramp, since) for since in range(min(epochs - before, ramp.epochs + 1))}
    if weights == {("zero",)} or ramp.maximum == 0:
        return f"the unlabelled clips have no effect: the weight λ of their loss is 0 in every epoch; {given}."
    if epochs <= before + 1:
        return f"the unlabelled clips have an effect in the last epoch only; {given}."
    return None
