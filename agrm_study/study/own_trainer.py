"""Studies with a user-defined trainer, whose arms specify the settings of that trainer by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from agrm_study.study.document import KeyPath
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.loading import Loading
from agrm_study.study.parts.loaded import overrides
from agrm_study.study.parts.names import full_name, name_of_class, short_name
from agrm_study.study.parts.source import OwnPart
from agrm_study.study.settings import Setting
from agrm_study.study.study import Study

ENTRY: Final = re.compile(r"(?P<source>.+):(?P<cls>[A-Za-z_]\w*)")
"""Form of the `trainer` key: a Python file or a module, and a class."""

ALLOWED: Final = "FILE.py:CLASS, relative to the study file, or MODULE:CLASS"

SHARED: Final = (
    "epochs", "data.subset", "data.exclude", "data.split", "data.split_file", "data.folds", "data.fold",
    "data.first_fold", "data.fold_group", "data.labelled_fraction", "training.patience",
)  # fmt: skip
"""Settings of the recipe that apply to every trainer: duration, early stopping, and selection of samples."""

PREFIX: Final = "training.options."


def own_trainer(loading: Loading) -> OwnPart | None:
    """The user-defined trainer of a study; None if it has none, or after reporting an error."""
    written = loading.value.get("trainer")
    if not isinstance(written, str):
        return None
    form = ENTRY.fullmatch(written)
    if form is None:
        loading.note(("trainer",), "must specify a class", given=written, allowed=ALLOWED)
        return None
    found = named_trainer(written, loading.parts)
    if found is None:
        known = [part.name for part in loading.parts if part.kind == "trainer" and part.written == form["source"]]
        rule, allowed = f"{form['source']} does not define a trainer with that name", ", ".join(known) or "none"
        hint = did_you_mean(name_of_class(form["cls"]), known) or "Derive the class from `ags.Trainer`."
        loading.note(("trainer",), rule, given=form["cls"], allowed=allowed, hint=hint)
    return found


def named_trainer(written: object, parts: Iterable[OwnPart]) -> OwnPart | None:
    """The trainer among user-defined parts that an entry ``FILE.py:CLASS`` specifies; None if there is none."""
    form = ENTRY.fullmatch(written) if isinstance(written, str) else None
    if form is None:
        return None
    wanted = ("trainer", form["source"], name_of_class(form["cls"]))
    return next((part for part in parts if (part.kind, part.written, part.name) == wanted), None)


def name_settings(loading: Loading, trainer: OwnPart) -> None:
    """Rename the settings in `set`, `arms`, `grid`, `search` and `tune`: ``depth`` becomes ``training.options.depth``.

    Names that are neither settings of the trainer nor in `SHARED` are reported and removed.
    """
    value = loading.value
    if isinstance(value.get("set"), dict):
        value["set"] = _renamed(value["set"], ("set",), loading, trainer)
    if isinstance(value.get("arms"), list):
        value["arms"] = [
            _renamed_arm(arm, ("arms", number), loading, trainer) if isinstance(arm, dict) else arm
            for number, arm in enumerate(value["arms"])
        ]
    if isinstance(value.get("grid"), dict):
        value["grid"] = _with_conditions(_renamed(value["grid"], ("grid",), loading, trainer), trainer)
    for key in ("search", "tune"):
        if isinstance(value.get(key), dict):
            value[key] = _renamed_space(value[key], (key,), loading, trainer)


def _renamed_arm(arm: dict[str, Any], path: KeyPath, loading: Loading, trainer: OwnPart) -> dict[str, Any]:
    if isinstance(arm.get("set"), dict):
        arm = arm | {"set": _renamed(arm["set"], (*path, "set"), loading, trainer)}
    if isinstance(arm.get("tune"), dict):
        arm = arm | {"tune": _renamed_space(arm["tune"], (*path, "tune"), loading, trainer)}
    return arm


def _renamed_space(group: dict[str, Any], path: KeyPath, loading: Loading, trainer: OwnPart) -> dict[str, Any]:
    if not isinstance(group.get("space"), dict):
        return group
    space = _renamed(group["space"], (*path, "space"), loading, trainer)
    return group | {"space": _with_conditions(space, trainer)}


def shares_epochs(trainer: OwnPart | None) -> bool:
    """Whether trials can share epochs; this requires the built-in trainer (None) or one with `shared_epochs`."""
    return trainer is None or overrides("trainer", full_name(trainer.name, trainer.source), "shared_epochs")


def named_option(text: str, trainer: OwnPart) -> str:
    """A ``KEY=VALUE`` option, with the full name if it is a setting of the trainer."""
    return f"{PREFIX}{text}" if text.partition("=")[0].strip() in _settings(trainer) else text


def first_layer(trainer: OwnPart, loading: Loading) -> list[Setting]:
    """Defaults of a study with a user-defined trainer: one epoch."""
    return [Setting("epochs", 1, loading.places.find(("trainer",)))]


def last_layer(trainer: OwnPart, loading: Loading) -> list[Setting]:
    """Fixed settings of a study with a user-defined trainer: no manifest, no synthetic data, and no teacher."""
    place = loading.places.find(("trainer",))
    fixed: dict[str, Any] = {
        "training.trainer": trainer.name,
        "data.manifest": None,
        "data.synthetic": None,
        "ssl.method": "supervised",
        "ssl.pretrain_epochs": 0,
        "ssl.ramp.epochs": 0,
    }
    return [Setting(name, value, place) for name, value in fixed.items()]


def _settings(trainer: OwnPart) -> Iterable[str]:
    found: Mapping[str, Any] = trainer.schema.get("properties", {})
    return found


def _renamed(group: dict[str, Any], path: KeyPath, loading: Loading, trainer: OwnPart) -> dict[str, Any]:
    found = {}
    known = _settings(trainer)
    for key, item in group.items():
        if key in known:
            place = loading.places.find((*path, key))
            found[f"{PREFIX}{key}"] = item
            loading.places.note((*path, f"{PREFIX}{key}"), place)
        elif str(key).startswith(PREFIX) or is_shared(str(key), item):
            found[key] = item
        else:
            names = [*known, *SHARED]
            loading.note(
                (*path, key),
                f"the trainer {trainer.name} has no such setting",
                allowed=", ".join(names),
                hint=did_you_mean(str(key), names),
            )
    return found


def is_shared(key: str, item: Any = None) -> bool:
    """Whether a setting, or all given settings of the group ``data``, apply to every trainer."""
    if isinstance(item, dict) and key == "data":
        return all(is_shared(f"{key}.{inner}", value) for inner, value in item.items())
    return any(key == name or key.startswith(f"{name}.") for name in SHARED)


def _with_conditions(factors: dict[str, Any], trainer: OwnPart) -> dict[str, Any]:
    """The factors, with full names of trainer settings in their `when`."""
    known = _settings(trainer)
    found = {}
    for name, factor in factors.items():
        if isinstance(factor, dict) and isinstance(factor.get("when"), dict):
            when = {f"{PREFIX}{key}" if key in known else key: item for key, item in factor["when"].items()}
            factor = factor | {"when": when}
        found[name] = factor
    return found


def require_shipped_trainer(study: Study, where: str | Path) -> None:
    """Check that a study uses the built-in trainer, whose networks other commands can apply to videos.

    Raises:
        InputError: If the study has a user-defined trainer.
    """
    if study.base.own_trainer:
        raise InputError(
            "requires networks of the built-in trainer; this study has a user-defined trainer, and only that trainer "
            "can read its data and apply its models",
            where=where,
            given=short_name(study.base.training.trainer),
        )
