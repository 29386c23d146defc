"""The resolved study: all values of a study, as stored with its results."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from agrm_study.study.document import decode_yaml, dump_yaml, read_yaml
from agrm_study.study.errors import InputError, InputErrors
from agrm_study.study.merge import with_values
from agrm_study.study.parts.source import OwnPart
from agrm_study.study.parts.use import with_full_names
from agrm_study.study.problems import Place, Places
from agrm_study.study.recipe import Recipe
from agrm_study.study.resources import ArmResources, Resources
from agrm_study.study.search_space import ArmTune, Dimension, Search, Tune
from agrm_study.study.seeds import Race
from agrm_study.study.spec import ReportRequest, StudyFile
from agrm_study.study.splits import Splits
from agrm_study.study.study import Arm, Study, Tuned
from agrm_study.study.task_entries import TaskEntries, entries_to_plain, tasks_of
from agrm_study.study.temporary import replacing
from agrm_study.study.translate import M, translate, validated

RESOLVED_VERSION: Final = 1
"""Incremented when a key of the resolved study is renamed or removed, or its meaning changes."""

_TASKS: Final[TypeAdapter[Any]] = TypeAdapter(TaskEntries)

_DIGEST: Final = "# sha256 of what follows: "

_PLAIN = ("name", "question", "split_seed", "varies", "reference", "primary_metric", "base_name", "preset")


def study_to_dict(study: Study) -> dict[str, Any]:
    """A study as plain JSON values: all settings of its base recipe, and the settings of each arm."""
    return {
        "schema_version": RESOLVED_VERSION,
        "name": study.name,
        "question": study.question,
        "base_name": study.base_name,
        "preset": study.preset,
        "overrides": list(study.overrides),
        "tasks": entries_to_plain(study.tasks),
        "seeds": list(study.seeds),
        "race": None if study.race is None else study.race.model_dump(mode="json"),
        "split_seed": study.split_seed,
        **({} if study.splits is None else {"splits": study.splits.model_dump(mode="json")}),
        "varies": study.varies,
        "factors": list(study.factors),
        "arms": [
            {"name": arm.name, "settings": dict(arm.settings)}
            | ({"resources": {"accelerator": arm.accelerator}} if arm.accelerator else {})
            | ({"seed_offset": arm.seed_offset} if arm.seed_offset else {})
            | ({} if arm.space is None else {"tune": {"space": _space_to_dict(arm.space)}})
            | ({"tuned": {task: dict(its.settings) for task, its in arm.tuned.items()}} if arm.tuned else {})
            for arm in study.arms
        ],
        "search": None if study.search is None else search_to_dict(study.search),
        **({} if study.tune is None else {"tune": search_to_dict(study.tune)}),
        "reference": study.reference,
        "primary_metric": study.primary_metric,
        "resources": study.resources.model_dump(mode="json"),
        "sharing": study.sharing,
        "keep_weights": study.keep_weights,
        "report": study.report.model_dump(mode="json"),
        "parts": [asdict(part) | {"schema": dict(part.schema)} for part in study.parts],
        "base": study.base.settings(),
    }


def study_from_dict(value: Any, *, where: Path | None = None) -> Study:
    """The study from the output of `study_to_dict`.

    Raises:
        InputError: If the schema version differs, a key is missing, or a value is not valid in a recipe.
    """
    if not isinstance(value, Mapping) or "schema_version" not in value:
        raise InputError("is not a resolved study: it has no schema_version", where=where, field="schema_version")
    if value["schema_version"] != RESOLVED_VERSION:
        raise InputError(
            "has a different schema version",
            where=where,
            field="schema_version",
            given=value["schema_version"],
            allowed=str(RESOLVED_VERSION),
            hint="Use the version of agrm-study that wrote it.",
        )
    places = Places(Place(where))

    def optional(model: type[M], item: Any) -> M | None:
        return None if item is None else validated(model, item, places)

    try:
        parts = tuple(OwnPart(**part) for part in value.get("parts", ()))

        def recipe_with(settings: Mapping[str, Any]) -> Recipe:
            return with_full_names(validated(Recipe, with_values(value["base"], settings), places), parts)

        base = recipe_with({})
        arms = tuple(
            Arm(
                name=arm["name"],
                settings=dict(arm["settings"]),
                recipe=recipe_with(arm["settings"]),
                accelerator=validated(ArmResources, arm.get("resources", {}), places).accelerator,
                seed_offset=arm.get("seed_offset", 0),
                space=None if "tune" not in arm else validated(ArmTune, arm["tune"], places).space,
                tuned={
                    task: Tuned(settings=chosen, recipe=recipe_with(arm["settings"] | chosen))
                    for task, chosen in arm.get("tuned", {}).items()
                },
            )
            for arm in value["arms"]
        )
        return Study(
            tasks=tasks_of(_TASKS.validate_python(value["tasks"])),
            seeds=tuple(value["seeds"]),
            factors=tuple(value["factors"]),
            overrides=tuple(value["overrides"]),
            arms=arms,
            search=optional(Search, value["search"]),
            tune=optional(Tune, value.get("tune")),
            race=optional(Race, value.get("race")),
            splits=optional(Splits, value.get("splits")),
            resources=validated(Resources, value["resources"], places),
            sharing=value.get("sharing", True),
            keep_weights=value.get("keep_weights", "all"),
            report=validated(ReportRequest, value["report"], places),
            base=base,
            parts=parts,
            **{key: value[key] for key in _PLAIN},
        )
    except ValidationError as fault:
        raise translate(fault, places, model=StudyFile)[0] from None
    except InputErrors as fault:
        raise fault.problems[0] from None
    except (KeyError, TypeError, AttributeError) as fault:
        raise InputError(f"is not a resolved study: {fault}", where=where) from None


def search_to_dict(search: Search | Tune) -> dict[str, Any]:
    """A search, or the tuning of arms, in the form of a study file."""
    value = search.model_dump(mode="json", exclude={"space"})
    value["metric"] = list(search.metric)
    return value | {"space": _space_to_dict(search.space)}


def _space_to_dict(space: Mapping[str, Dimension]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, dimension in space.items():
        entry = dimension.model_dump(mode="json", by_alias=True, exclude={"choices", "when"}, exclude_none=True)
        if dimension.choices is not None:
            labelled = any(label is not None for label, _ in dimension.choices)
            entry["choice"] = (
                {str(label): item for label, item in dimension.choices}
                if labelled
                else [item for _, item in dimension.choices]
            )
        if dimension.when.required:
            entry["when"] = {other: list(values) for other, values in dimension.when.required.items()}
        value[name] = entry
    return value


def resolved_text(study: Study) -> str:
    """A study as YAML with all values and a digest.

    A truncated or edited file is rejected when it is read; otherwise, missing values would silently become defaults.
    """
    body = dump_yaml(study_to_dict(study))
    return (
        "# The study as it was run, including all defaults. Written by agrm-study; an edited file is rejected.\n"
        f"{_DIGEST}{hashlib.sha256(body.encode()).hexdigest()}\n{body}"
    )


def write_resolved(study: Study, path: Path) -> None:
    """Write `resolved_text`; readers see either the complete old file or the complete new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(resolved_text(study).encode())


def read_resolved(path: Path) -> Study:
    """Read a file written by `write_resolved`.

    Raises:
        InputError: If the file is missing, damaged, or has a different schema version.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return study_from_dict(read_yaml(path).value, where=path)  # raises a more specific error
    return parse_resolved(content, path)


def parse_resolved(content: bytes, where: Path) -> Study:
    """Like `read_resolved`, for the content of a file, e.g. from an object store; ``where`` is its name for messages.

    Raises:
        InputError: If the content is damaged, or has a different schema version.
    """
    value = decode_yaml(content, where).value
    if isinstance(value, Mapping) and value.get("schema_version") == RESOLVED_VERSION:
        _check_digest(content, where)
    return study_from_dict(value, where=where)


def _check_digest(content: bytes, where: Path) -> None:
    """Reject a file that does not match its digest; files of version 0.1 have no digest.

    Raises:
        InputError: If the file was truncated or edited after it was written.
    """
    head, found, rest = content.partition(_DIGEST.encode())
    if not found or head.count(b"\n") > 1:
        return
    digest, _, body = rest.partition(b"\n")
    if digest.strip() != hashlib.sha256(body).hexdigest().encode():
        raise InputError(
            "is damaged: it does not match the digest recorded when it was written",
            where=where,
            hint="`agrm-study run` of the same study writes it again.",
        )
