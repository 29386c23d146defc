"""Loading of studies with the names of all built-in and user-defined parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agrm_study.study.parts.source import OwnPart, OwnParts
    from agrm_study.study.problems import Places
    from agrm_study.study.study import Study


def known_names() -> Mapping[str, Collection[str]]:
    """Names of built-in parts, keyed by the dotted name of the field that accepts them; the parts are not imported."""
    from agrm_study.report.figures import FIGURES
    from agrm_study.report.tables import TABLES
    from agrm_study.study.recipe import AGRM
    from agrm_study.training.models.backbones import BACKBONES
    from agrm_study.training.models.pooling import POOLING
    from agrm_study.training.ssl.losses import LOSSES
    from agrm_study.training.ssl.thresholds import POLICIES

    return {
        "model.backbone": BACKBONES,
        "model.pooling.name": POOLING,
        "ssl.threshold.policy": POLICIES,
        "loss.name": LOSSES,
        "training.trainer": [AGRM],
        "report.tables": TABLES,
        "report.figures": FIGURES,
    }


def all_names(own: OwnParts) -> Mapping[str, Collection[str]]:
    """Names of built-in parts and of a study's own parts, keyed by the dotted name of the field that accepts them."""
    names, added = known_names(), own.names()
    return {field: [*known, *added.get(field, ())] for field, known in names.items()}


def read_study(study: str | Path | Mapping[str, Any], overrides: Sequence[str], preset: str | None) -> Study:
    """Reads the study given on the command line or in a script; executes the parts that it provides.

    Raises:
        InputError: If the study, its parts, the preset or an option is invalid.
    """
    from agrm_study.study.load import load_study
    from agrm_study.training.models.known_layers import known_layers

    own = parts_of(study)
    return load_study(
        study, overrides=overrides, preset=preset, names=all_names(own), own=own, layer_names=known_layers
    )


def parts_in(files: Sequence[Path]) -> OwnParts:
    """Executes files given on the command line and returns their parts.

    Raises:
        InputError: If a file cannot be executed.
    """
    from agrm_study.plan.own_parts import own_parts
    from agrm_study.study.problems import Place

    return own_parts([(str(file), Place("--parts")) for file in files], Path.cwd(), known_names())


def own_name(kind: str, name: str, files: Sequence[Path]) -> str:
    """The full name of a part defined in files given on the command line; other names are returned unchanged.

    Raises:
        InputError: If a file cannot be executed.
    """
    from agrm_study.study.parts.names import full_name

    found = {part.name: part for part in parts_in(files).parts if part.kind == kind}
    return full_name(name, found[name].source) if name in found else name


def trainer_of(study: str | Path | Mapping[str, Any], own: OwnParts) -> OwnPart | None:
    """The user-defined trainer that a study specifies; None for the built-in trainer."""
    from agrm_study.study.own_trainer import named_trainer

    value, _, _ = _content(study)
    return named_trainer(value.get("trainer"), own.parts) if isinstance(value, Mapping) else None


def _content(study: str | Path | Mapping[str, Any]) -> tuple[Any, Path, Places]:
    """The keys of a study, the base folder for its relative paths, and the locations of the keys."""
    from agrm_study.study.document import read_yaml
    from agrm_study.study.library import find_study
    from agrm_study.study.loading import GIVEN
    from agrm_study.study.problems import Place, Places

    if isinstance(study, Mapping):
        return study, Path.cwd(), Places(Place(GIVEN))
    file = find_study(study)
    document = read_yaml(file)
    return document.value, file.parent, Places.of(document)


def parts_of(study: str | Path | Mapping[str, Any]) -> OwnParts:
    """Executes and returns the parts that a study provides; returns no parts if `parts` is not a list of names.

    Raises:
        InputError: If the study is not YAML, or a part cannot be executed.
    """
    from agrm_study.plan.own_parts import own_parts
    from agrm_study.study.own_trainer import ENTRY

    value, folder, places = _content(study)
    listed = value.get("parts") if isinstance(value, Mapping) else None
    if not isinstance(listed, list | tuple) or not all(isinstance(entry, str) for entry in listed):
        listed = ()  # rejected later, together with other errors of the study
    entries = [(entry, places.find(("parts", number))) for number, entry in enumerate(listed)]
    trainer = value.get("trainer") if isinstance(value, Mapping) else None
    if isinstance(trainer, str) and (form := ENTRY.fullmatch(trainer)) is not None:
        entries.append((form["source"], places.find(("trainer",))))
    return own_parts(entries, folder, known_names())
