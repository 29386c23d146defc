"""Folder layout and set descriptions for evaluations of finished trials on other data.

    external/<name>/    an external cohort: set.json and separate records
    robustness/         corrupted copies of the test part: set.json and separate records

The records have the same kinds and schemas as the study's records. A trial keeps its id; its `predictions` have parts
named ``external:<name>`` or ``corrupt:<kind>:<severity>``, and its `trials` record identifies the evaluated weights and
data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from agrm_study.records.location import Location
from agrm_study.records.parsing import read_typed

EXTERNAL: Final = "external"
ROBUSTNESS: Final = "robustness"
FILE: Final = "set.json"
VERSION: Final = 1
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""Pattern for the name of an external set, which also serves as the name of a folder and of a part."""
SEVERITIES: Final = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedSet:
    """Description of the data on which finished trials were evaluated: the content of ``set.json``.

    Attributes:
        name: Name of the external set, or ``robustness``.
        manifest: Manifest of the set.
        data_fingerprint: Fingerprint of the manifest.
        clips, subjects: Numbers of labelled clips and their subjects; 0 for the test part of the study.
        notes: Facts about the set that a reader should know, one sentence each.
        distinct_subjects: Whether identical subject ids were declared to refer to different people.
        definition: Version of the corruption definitions; 0 for an external set.
        seed: Seed of the corruptions.
    """

    name: str
    manifest: str
    data_fingerprint: str
    clips: int = 0
    subjects: int = 0
    notes: list[str]
    distinct_subjects: bool = False
    definition: int = 0
    seed: int = 0

    def write(self, folder: Location) -> None:
        """Write ``set.json`` into the folder of the set, atomically.

        Raises:
            OSError: If the storage rejects a request.
        """
        text = json.dumps({"set_version": VERSION, **asdict(self)}, indent=1, ensure_ascii=False)
        (folder / FILE).write_atomic(f"{text}\n".encode())


def read_set(folder: Location) -> EvaluatedSet | None:
    """The description of a set; None if the file is missing or unreadable.

    Raises:
        OSError: If the storage rejects a request.
    """
    return read_typed(EvaluatedSet, folder / FILE, set_version=VERSION)


def external_folder(results: str | Path | Location, name: str) -> Location:
    """Folder of an external set."""
    return Location.of(results) / EXTERNAL / name


def robustness_folder(results: str | Path | Location) -> Location:
    """Folder of the evaluations on corrupted copies."""
    return Location.of(results) / ROBUSTNESS


def external_names(results: str | Path | Location) -> list[str]:
    """Names of the external sets, sorted."""
    folder = Location.of(results) / EXTERNAL
    return [child.name for child in folder.children() if NAME.fullmatch(child.name) and (child / FILE).exists()]


def has_robustness(results: str | Path | Location) -> bool:
    """Whether trials were evaluated on corrupted copies."""
    return (robustness_folder(results) / FILE).exists()


def evaluation_folders(results: str | Path | Location) -> dict[str, Location]:
    """Folders with evaluations, by path relative to the results folder."""
    found = {f"{EXTERNAL}/{name}": external_folder(results, name) for name in external_names(results)}
    if has_robustness(results):
        found[ROBUSTNESS] = robustness_folder(results)
    return found


def external_part(name: str) -> str:
    """Name of the part for predictions on an external set."""
    return f"external:{name}"


def corrupted_part(kind: str, severity: int) -> str:
    """Name of the part for predictions on corrupted copies of the test part."""
    return f"corrupt:{kind}:{severity}"


def corruption_of(part: str) -> tuple[str, int] | None:
    """Corruption and severity encoded in the name of a part; None if the part does not consist of corrupted copies."""
    form = re.fullmatch(r"corrupt:([a-z_]+):([1-5])", part)
    return (form[1], int(form[2])) if form else None


def corrupted_parts(parts: Iterable[str]) -> dict[str, list[int]]:
    """Severities for each corruption, in the order of the parts."""
    found: dict[str, list[int]] = {}
    for part in parts:
        if (known := corruption_of(part)) is not None:
            found.setdefault(known[0], []).append(known[1])
    return found
