"""Prepared data of a study: manifests, splits and clip stores, by recipe."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agrm_study.plan.disk import StoreSize
from agrm_study.study.data_settings import Data
from agrm_study.study.recipe import Recipe
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import PARTS, Split, make_split

UNWRITTEN: Final = "unwritten-"
"""Prefix of fingerprints of data that do not exist yet."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data of a study.

    Attributes:
        manifests: Manifests by the data settings that identify them (`source_key`).
        splits: Splits by data settings and split seed (`split_key`).
        stores: Folders of the clip stores, by source and preprocessing (`store_key_of`); empty if nothing was built.
        store_sizes: The clip stores that the study needs, built or not, derived from the manifests only.
        places: Location from which workers read each store that is not read in place, by the folder in which it was
            built.
        unwritten: Sources of synthetic data not generated yet; their manifests and splits are provisional.
        notes: Facts about the data that the user should know, one sentence each.
    """

    manifests: Mapping[str, Manifest]
    splits: Mapping[str, Split]
    stores: Mapping[str, Path]
    store_sizes: tuple[StoreSize, ...] = ()
    places: Mapping[Path, str] = field(default_factory=dict)
    unwritten: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    _further: dict[str, Split] = field(default_factory=dict, repr=False, compare=False)

    def fingerprints(self, recipe: Recipe) -> tuple[str, str]:
        """Fingerprints of the manifest and the split of a recipe; raises `InputError` like `split`."""
        source = source_key(recipe.data)
        if source in self.unwritten:
            name = UNWRITTEN + hashlib.sha256(source.encode()).hexdigest()[:8]
            return name, name
        return self.manifests[source].fingerprint, self.split(recipe).fingerprint

    def split(self, recipe: Recipe) -> Split:
        """The split of a recipe; raises `InputError` if it cannot be created."""
        key = split_key(recipe)
        if key not in self.splits and key not in self._further:
            self._further[key] = make_split(self.manifests[source_key(recipe.data)], recipe.data, recipe.split_seed)
        return self.splits.get(key) or self._further[key]

    def clip_counts(self, recipe: Recipe) -> dict[str, int]:
        """Number of clips in each part of a recipe's split."""
        split = self.split(recipe)
        return {part: len(split.clips(part)) for part in PARTS}

    def manifest_path(self, recipe: Recipe) -> str:
        """The manifest of a recipe."""
        return str(self.manifests[source_key(recipe.data)].path)

    def store_path(self, recipe: Recipe) -> str:
        """Path or URI of the clip store of a recipe; empty if it was not built."""
        store = self.stores.get(store_key_of(recipe))
        return "" if store is None else self.places.get(store, str(store))

    def data(self) -> dict[str, int]:
        """Data that trials read: sizes of clip stores in bytes, by path or URI, and manifests with a size of 0."""
        sizes = {size.path: size.bytes for size in self.store_sizes}
        manifests = {str(manifest.path): 0 for manifest in self.manifests.values()}
        stores = set(self.stores.values())
        return manifests | {self.places.get(store, str(store)): sizes.get(store, 0) for store in sorted(stores)}

    def subjects(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of the `subjects` record by split fingerprint."""
        found: dict[str, list[dict[str, Any]]] = {}
        for key, split in self.splits.items():
            source, split_seed = json.loads(key)[0], json.loads(key)[2]
            by_id = self.manifests[source].by_id
            found[split.fingerprint] = [
                row
                for part in PARTS
                for row in subject_rows([by_id[clip_id] for clip_id in split.clips(part)], part, split_seed)
            ]
        return found

    def provenance(self) -> dict[str, dict[str, str]]:
        """Fingerprints by manifest."""
        facts: dict[str, dict[str, str]] = {}
        for key, split in self.splits.items():
            manifest = self.manifests[json.loads(key)[0]]
            entry = facts.setdefault(str(manifest.path), {"data_fingerprint": manifest.fingerprint})
            name = f"split_fingerprint_{len(entry)}" if "split_fingerprint" in entry else "split_fingerprint"
            if split.fingerprint not in entry.values():
                entry[name] = split.fingerprint
        return facts


def source_key(data: Data) -> str:
    """Key of a manifest: the settings that identify it, as canonical JSON."""
    return json.dumps(data.model_dump(mode="json", include={"manifest", "synthetic"}), sort_keys=True)


def split_key(recipe: Recipe) -> str:
    """Key of a split: data settings and split seed, as canonical JSON."""
    return json.dumps([source_key(recipe.data), recipe.data.model_dump(mode="json"), recipe.split_seed], sort_keys=True)


def store_key_of(recipe: Recipe) -> str:
    """Key of a clip store: the manifest and the preprocessing, as canonical JSON."""
    preprocessing = recipe.clip.model_dump(mode="json", exclude={"frames", "size"})
    return json.dumps([source_key(recipe.data), preprocessing], sort_keys=True)


def subject_rows(clips: Sequence[ClipRecord], part: str, split_seed: int = 0) -> list[dict[str, Any]]:
    """Rows of the `subjects` record for the clips of one part; attributes of a subject come from its first clip, and
    the site from any clip that has one."""
    counts = Counter(clip.subject_id for clip in clips)
    first = {clip.subject_id: clip for clip in reversed(clips)}
    site_of = {clip.subject_id: clip.site for clip in clips if clip.site is not None}
    return [
        {
            "subject_id": subject_id,
            "split_seed": split_seed,
            "split": part,
            "label": None if part.startswith("unlabelled") else clip.label,
            "sex": clip.sex,
            "age": clip.age,
            "source": clip.source,
            "site": site_of.get(subject_id),
            "clips": counts[subject_id],
        }
        for subject_id, clip in sorted(first.items())
    ]
