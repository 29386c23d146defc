"""What does someone who uses the trainer alone need between a manifest and `fit`?"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from agrm_study.study.recipe import Recipe
from agrm_study.training.data.manifest import Manifest, read_manifest
from agrm_study.training.data.splits import Split, make_split
from agrm_study.training.data.store import ClipStore, build_store


class TrialData(NamedTuple):
    """What a trial reads; the names are those of `fit`'s arguments."""

    store: ClipStore
    manifest: Manifest
    split: Split


def open_data(recipe: Recipe, manifest: Path | str, *, cache: Path, workers: int = 1) -> TrialData:
    """Split a manifest as the recipe says and decode its videos once, or open the store that has them.

    Args:
        recipe: Its `data`, `clip` and `split_seed` count.
        manifest: A manifest file, or the folder that holds one.
        cache: Folder of the clip stores.
        workers: Processes that decode.

    Raises:
        InputError: Anything wrong with the manifest, the split or a video; every bad video is named at once.
    """
    read = read_manifest(manifest)
    split = make_split(read, recipe.data, recipe.split_seed)
    store = build_store(read.select(split.all_clips), recipe.clip, cache, workers=workers)
    return TrialData(ClipStore.open(store), read, split)
