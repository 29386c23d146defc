"""Settings that are rescaled when a study reduces `epochs` to at most the pre-training epochs of its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from agrm_study.study.merge import Tree, with_settings
from agrm_study.study.settings import Setting, default_of

FOLLOWING: Final = ("ssl.pretrain_epochs", "ssl.ramp.epochs")
"""Durations that are meaningful only relative to `epochs`."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A setting that was rescaled with `epochs`: its dotted name, and its value before and after."""

    name: str
    before: int
    after: int


def follow_epochs(layers: Sequence[Sequence[Setting]]) -> tuple[list[Setting], tuple[Followed, ...]]:
    """The settings that are shortened in proportion to `epochs`.

    The rule applies only if the recipe would otherwise be rejected because its pre-training is not shorter than its
    training, so studies that are valid without it are unaffected. A setting is rescaled if it is set in an earlier
    layer than `epochs`, but not if it is set in the same layer or a later one.

    Args:
        layers: Settings of the base recipe, the study, the preset and the options, in this order.

    Returns:
        The settings to merge at the position of `epochs`, and a description of the changes.
    """
    tree: Tree = {}
    last: dict[str, int] = {}  # the last layer that sets each setting
    before: Any = default_of("epochs")  # value in the layers before the last one that sets `epochs`
    shortened: Setting | None = None
    for number, layer in enumerate(layers):
        for setting in layer:
            if setting.name == "epochs" and last.get("epochs") != number:
                before, shortened = _value(tree, "epochs"), setting
            last[setting.name] = number
        tree = with_settings(tree, layer)
    epochs, method = _value(tree, "epochs"), _value(tree, "ssl.method")
    values = {name: _value(tree, name) for name in FOLLOWING}
    if shortened is None or method == "supervised" or not all(map(_counts, (epochs, before, *values.values()))):
        return [], ()
    if not epochs < before or values["ssl.pretrain_epochs"] < epochs:
        return [], ()
    found = []
    for name, value in values.items():
        if last.get(name, -1) < last["epochs"] and value > 0:
            after = max(1, round(value * epochs / before))
            # At least two epochs with unlabelled clips, since λ is 0 in the first epoch of a ramp.
            found.append(Followed(name, value, min(after, max(0, epochs - 2)) if name == FOLLOWING[0] else after))
    return [Setting(each.name, each.after, shortened.place) for each in found], tuple(found)


def _value(tree: Tree, name: str) -> Any:
    value: Any = tree
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return default_of(name)
        value = value[part]
    return value


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
