"""Warnings about a valid study before it runs: impossible comparisons and parts without effect."""

from __future__ import annotations

from collections.abc import Iterator

from agrm_study.plan.epochs import weight_key
from agrm_study.plan.same_training import same_training
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Study

ARMS_NAMED = 5
"""Maximum number of arms that a warning names; beyond it only their number is given."""


def study_notes(study: Study) -> tuple[str, ...]:
    """Warnings about a valid study, one sentence each, the most important first."""
    return (*(group.sentence for group in same_training((arm.name, arm.recipe) for arm in study.arms)), *_other(study))


def _other(study: Study) -> Iterator[str]:
    if study.followed:
        changes = " and ".join(f"{each.name} from {each.before} to {each.after}" for each in study.followed)
        yield (
            f"`epochs` is {study.base.epochs}, so the following are shortened in proportion: {changes}. Set them to "
            "choose other values."
        )
    if study.reference is None and len(study.arms) + (study.search.promote if study.search else 0) > 1:
        yield (
            "The study names no reference: no arm is compared with another, and no difference is tested. "
            + (
                "`reference: base` compares with the base recipe."
                if study.search
                else "Name one with `reference: ARM`."
            )
        )
    reasons: dict[str, list[str]] = {}
    for name, recipe in [(arm.name, arm.recipe) for arm in study.arms] or [("base", study.base)]:
        if (why := _hardly_semi_supervised(recipe)) is not None:
            reasons.setdefault(why, []).append(name)
    for why, arms in reasons.items():
        named = ", ".join(f"`{arm}`" for arm in arms) if len(arms) <= ARMS_NAMED else f"{len(arms)} arms"
        yield f"{named}: {why}"


def _hardly_semi_supervised(recipe: Recipe) -> str | None:
    """Why the unlabelled clips of a semi-supervised recipe have little or no effect."""
    if not recipe.uses_unlabelled:
        return None
    epochs, before, ramp = recipe.epochs, recipe.ssl.pretrain_epochs, recipe.ssl.ramp
    given = f"epochs {epochs}, ssl.pretrain_epochs {before}, ssl.ramp.epochs {ramp.epochs} ({ramp.shape})"
    weights = {weight_key(ramp, since) for since in range(min(epochs - before, ramp.epochs + 1))}
    if weights == {("zero",)} or ramp.maximum == 0:
        return f"the unlabelled clips never teach: the weight λ of their loss is 0 in every epoch; {given}."
    if epochs <= before + 1:
        return f"the unlabelled clips teach in the last epoch only; {given}."
    return None
