"""Folders on this machine: the folder of synthetic data and clip stores, and nearest existing parents."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CACHE_VARIABLE: Final = "AGRM_STUDY_CACHE"


def cache_folder(results: str | Path) -> Path:
    """Folder of synthetic data and clip stores."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    if "://" in str(results):
        return Path.home() / ".cache" / "agrm-study"
    return Path(results).expanduser().absolute().parent / ".data"


def existing(folder: Path) -> Path:
    """The folder, or its nearest existing parent."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place
