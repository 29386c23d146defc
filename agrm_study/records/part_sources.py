"""Source code of user-defined parts, stored in a results folder as ``parts/<digest>.json``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agrm_study.records.location import Location
from agrm_study.records.patience import retry_storage
from agrm_study.study.errors import InputError
from agrm_study.study.parts.loaded import offer_sources
from agrm_study.study.parts.source import PartSource

FOLDER: Final = "parts"


def write_sources(results: Location, sources: Iterable[PartSource]) -> None:
    """Store sources in a results folder; existing files are not overwritten.

    Raises:
        OSError: If the storage rejects a request.
    """
    for source in sources:
        place = results / FOLDER / f"{source.digest}.json"
        if not place.exists():
            place.write_atomic(source.to_json().encode())


def kept_source(results: Location, digest: str) -> PartSource | None:
    """The source with the given digest; None if the results folder does not contain it.

    Raises:
        InputError: If the file is damaged.
        OSError: If the storage rejects a request.
    """
    place = results / FOLDER / f"{digest}.json"
    content = place.read()
    if content is None:
        return None
    try:
        source = PartSource.from_json(content)
        if source.digest != digest:
            raise ValueError(f"it contains the source {source.digest}")
    except ValueError as fault:
        raise InputError(f"the file is damaged: {fault}", where=place.address) from None
    return source


def offer_kept_sources(results: str | Path | Location) -> None:
    """Register a results folder (or an exported model) as a location from which parts are loaded."""
    location = Location.of(results)
    offer_sources(lambda digest: retry_storage(lambda: kept_source(location, digest)))
