"""Loading of the input data for `fit`, to use the trainer without a study."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from agrm_study.study.recipe import Recipe
from agrm_study.training.data.manifest import Manifest, read_manifest
from agrm_study.training.data.splits import Split, make_split
from agrm_study.training.data.store import ClipStore, build_store


class TrialData(NamedTuple):
    """Input data of a trial; the field names match the arguments of `fit`."""

    store: ClipStore
    manifest: Manifest
    split: Split


def open_data(recipe: Recipe, manifest: Path | str, *, cache: Path, workers: int = 1) -> TrialData:
    """Split a manifest according to the recipe and open its clip store, decoding the videos if no store exists.

    Args:
        recipe: The recipe; only `data`, `clip` and `split_seed` are used.
        manifest: A manifest file or its folder.
        cache: Folder of the clip stores.
        workers: Number of decoding processes.

    Raises:
        InputError: If the manifest, the split or a video is invalid; one error lists all unusable videos.
    """
    read = read_manifest(manifest)
    split = make_split(read, recipe.data, recipe.split_seed)
    store = build_store(read.select(split.all_clips), recipe.clip, cache, workers=workers)
    return TrialData(ClipStore.open(store), read, split)
