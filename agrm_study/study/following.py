"""Settings that follow when a study shortens `epochs` below the pre-training of the recipe it builds on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from agrm_study.study.merge import Tree, with_settings
from agrm_study.study.settings import Setting, default_of

FOLLOWING: Final = ("ssl.pretrain_epochs", "ssl.ramp.epochs")
"""Settings whose length only makes sense as a part of `epochs`."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A setting that followed `epochs`: its dotted name, and its value before and after."""

    name: str
    before: int
    after: int


def follow_epochs(layers: Sequence[Sequence[Setting]]) -> tuple[list[Setting], tuple[Followed, ...]]:
    """The settings that shrink in proportion to `epochs`.

    They do so only where the recipe would be refused otherwise, because its pre-training is not shorter than its
    training: no study that loads without this rule changes. A setting follows when it was given before `epochs` was,
    never when the same layer or a later one gives it.

    Args:
        layers: Settings of the base recipe, the study, the preset and the options, in this order.

    Returns:
        The settings to lay over the others, at the place of `epochs`; and the same for the reader.
    """
    tree: Tree = {}
    last: dict[str, int] = {}  # the layer that gave a setting last
    before: Any = default_of("epochs")  # of the layers below the one that gave `epochs` last
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
            # Two epochs with unlabelled clips at least: λ is 0 in the first one of a ramp.
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
