"""Preparation of a study's data: reading and checking manifests, splits and videos, and building clip stores.

All problems with the data are reported here, before the first trial starts.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agrm_study.execution.data.node_store import published
from agrm_study.execution.data.prepared import Prepared, source_key, split_key, store_key_of
from agrm_study.execution.data.task_checks import check_tasks
from agrm_study.execution.data.trainer_data import trainer_manifest
from agrm_study.execution.provenance import available_cpus
from agrm_study.execution.resources.folders import cache_folder
from agrm_study.plan.disk import StoreSize
from agrm_study.plan.searches import PlannedSearch, searches
from agrm_study.study.data_settings import Data, Synthetic
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip, Recipe
from agrm_study.study.study import Study
from agrm_study.training.data.manifest import Manifest, read_manifest
from agrm_study.training.data.splits import Split, make_split


@dataclass(frozen=True, slots=True)
class Step:
    """Progress of one step of the preparation."""

    title: str
    done: int
    total: int


OnStep = Callable[[Step], None]
OnNote = Callable[[str], None]


def prepare(
    study: Study,
    results: str | Path,
    *,
    build: bool,
    on_step: OnStep | None = None,
    on_note: OnNote | None = None,
    workers: int | None = None,
) -> Prepared:
    """Reads, and with ``build`` also creates, the data of a study.

    Args:
        study: The study; its arms determine the required data, splits and clips.
        results: Results folder; synthetic data and stores go to ``.data`` next to it, or to ``$AGRM_STUDY_CACHE``.
        build: Write missing synthetic data and clip stores. If False, missing synthetic data get provisional
            fingerprints. Existing clip stores are verified, and repaired if they are damaged.
        on_note: Receives one line about each clip store that is repaired or replaced.
        workers: Processes that generate and decode videos; all processors by default.

    Raises:
        InputError: If a manifest, a split, the classes of a task or a video is invalid; all invalid videos are listed
            together.
    """
    on_step = on_step or (lambda step: None)
    cache = cache_folder(results)
    workers = workers or available_cpus()
    recipes = [arm.recipe.model_copy(update={"split_seed": study.split_seed}) for arm in study.arms] or [
        study.base.model_copy(update={"split_seed": study.split_seed})
    ]
    recipes += [recipe.model_copy(update={"split_seed": study.split_seed}) for recipe in searched_recipes(study)]
    recipes = [part for recipe in recipes for _, part in study.divided(recipe)]
    manifests: dict[str, Manifest] = {}
    splits: dict[str, Split] = {}
    unwritten: set[str] = set()
    for recipe in recipes:
        source, key = source_key(recipe.data), split_key(recipe)
        if source not in manifests:
            manifest = manifest_of(recipe, cache, study, build=build, workers=workers, on_step=on_step)
            if manifest is None:
                unwritten.add(source)
            manifests[source] = manifest or _planned_manifest(recipe.data)
        if key not in splits:
            splits[key] = make_split(manifests[source], recipe.data, recipe.split_seed)
    notes = check_tasks(study, recipes, manifests, splits)
    wanted = wanted_stores((r for r in recipes if not r.own_trainer), manifests, splits)
    stores = build_stores(wanted, cache, workers, on_step, on_note) if build else {}
    return Prepared(
        manifests,
        splits,
        stores,
        store_sizes=store_sizes(wanted, cache, unwritten),
        places=publish(stores, on_step),
        unwritten=frozenset(unwritten),
        notes=notes,
    )


def publish(stores: Mapping[str, Path], on_step: OnStep) -> dict[Path, str]:
    """Uploads stores if configured; returns the location from which workers read each store."""

    def on_bytes(done: int, total: int) -> None:
        on_step(_megabytes("Uploading the clip store (MB)", done, total))

    return {store: published(store, on_bytes) for store in set(stores.values())}


def _megabytes(title: str, done: int, total: int) -> Step:
    return Step(title, -(-done // 10**6), -(-total // 10**6))


def synthetic_folder(cache: Path, wanted: Synthetic) -> Path:
    """The folder of a synthetic data set, determined by its settings."""
    from agrm_study.training.data.datasets.synthetic.write import DRAWING_VERSION

    text = json.dumps([DRAWING_VERSION, wanted.model_dump(mode="json")], sort_keys=True)
    return cache / f"synthetic-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def manifest_of(
    recipe: Recipe, cache: Path, study: Study, *, build: bool, workers: int, on_step: OnStep
) -> Manifest | None:
    """The manifest of a recipe. Missing synthetic data are generated with ``build``; without it, the result is None.

    Raises:
        InputError: If the manifest is invalid or does not exist.
    """
    data = recipe.data
    if recipe.own_trainer:
        return trainer_manifest(recipe.training.trainer, cache, write=build)
    if data.synthetic is not None:
        folder = synthetic_folder(cache, data.synthetic)
        if not (folder / "manifest.parquet").is_file():
            if not build:
                return None
            _write_synthetic(folder, data.synthetic, workers, on_step)
        return read_manifest(folder / "manifest.parquet")
    if data.manifest is None:
        raise InputError(
            "a study requires data",
            where=study.path,
            field="data",
            allowed="data.manifest (a file), or data.synthetic (generated on the first run)",
            hint="`--preset tiny` uses a small synthetic set.",
        )
    on_step(Step("Reading the manifest", 0, 1))
    manifest = read_manifest(data.manifest)
    on_step(Step("Reading the manifest", 1, 1))
    return manifest


def _write_synthetic(folder: Path, wanted: Synthetic, workers: int, on_step: OnStep) -> None:
    from agrm_study.training.data.datasets.synthetic.write import write_synthetic

    folder.parent.mkdir(parents=True, exist_ok=True)
    title = "Generating synthetic videos"
    on_step(Step(title, 0, wanted.subjects + wanted.unlabelled))
    write_synthetic(
        folder,
        subjects=wanted.subjects,
        unlabelled=wanted.unlabelled,
        seed=wanted.seed,
        difficulty=wanted.difficulty,
        on_progress=lambda done, total: on_step(Step(title, done, total)),
        workers=workers,
    )


@dataclass(frozen=True, slots=True)
class WantedStore:
    """A clip store that recipes need: its source, its clips and their preprocessing."""

    source: str
    manifest: Manifest
    clip: Clip


def wanted_stores(
    recipes: Iterable[Recipe], manifests: Mapping[str, Manifest], splits: Mapping[str, Split]
) -> dict[str, WantedStore]:
    """The stores by `store_key_of`, each with the clips of all its splits, at the largest requested size."""
    users: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        users.setdefault(store_key_of(recipe), []).append(recipe)
    found = {}
    for key, its in users.items():
        source = source_key(its[0].data)
        clips = {clip_id for recipe in its for clip_id in splits[split_key(recipe)].all_clips}
        largest = max((recipe.clip for recipe in its), key=lambda clip: clip.size)
        found[key] = WantedStore(source, manifests[source].select(clips), largest)
    return found


def _planned_manifest(data: Data) -> Manifest:
    """The manifest of synthetic data that have not been generated yet."""
    from agrm_study.training.data.datasets.synthetic.write import planned_clips

    wanted = data.synthetic
    assert wanted is not None
    clips = planned_clips(
        subjects=wanted.subjects, unlabelled=wanted.unlabelled, seed=wanted.seed, difficulty=wanted.difficulty
    )
    return Manifest(Path("synthetic"), tuple(clips))


def store_sizes(
    wanted: Mapping[str, WantedStore], cache: Path, unwritten: Collection[str] = ()
) -> tuple[StoreSize, ...]:
    """The stores with their sizes and whether each one exists."""
    from agrm_study.training.data.store import has_store, store_bytes, store_key

    sizes: dict[str, StoreSize] = {}
    for each in wanted.values():
        key = store_key(each.manifest, each.clip)
        path = None if each.source in unwritten else cache / "stores" / key
        size = store_bytes(each.manifest, each.clip)
        sizes[key] = StoreSize(path, len(each.manifest.clips), size, path is not None and has_store(path))
    return tuple(sizes.values())


def build_stores(
    wanted: Mapping[str, WantedStore], cache: Path, workers: int, on_step: OnStep, on_note: OnNote | None
) -> dict[str, Path]:
    """Builds, verifies or repairs stores, and returns their folders by key."""
    from agrm_study.training.data.store import build_store

    stores: dict[str, Path] = {}
    for number, (key, each) in enumerate(wanted.items(), start=1):
        title = "Decoding videos" if len(wanted) == 1 else f"Decoding videos, store {number} of {len(wanted)}"
        on_step(Step(title, 0, len(each.manifest.clips)))
        stores[key] = build_store(
            each.manifest,
            each.clip,
            cache / "stores",
            workers=workers,
            on_progress=lambda done, total, title=title: on_step(Step(title, done, total)),  # type: ignore[misc]
            on_verified=lambda done, total: on_step(_megabytes("Verifying the clip store (MB)", done, total)),
            on_note=on_note,
        )
    return stores


OF_ANY_STORE: Final = ("clip.frames", "clip.size")
"""Clip settings whose values do not require separate clip stores."""


def searched_recipes(study: Study) -> list[Recipe]:
    """A recipe for each combination of the data settings that searches vary; empty if no data setting is varied.

    Raises:
        InputError: If a search varies a data setting over a range; each value would need separate data.
    """
    return [recipe for search in searches(study) for recipe in _of_search(search)]


def _of_search(search: PlannedSearch) -> list[Recipe]:
    varied: dict[str, tuple[Any, ...]] = {}
    for name, dimension in search.space.items():
        if not name.startswith(("data.", "clip.")):
            continue
        if dimension.choices is None and name not in OF_ANY_STORE:
            raise InputError(
                "data settings can only be searched over a list of values: each value requires separate data",
                where=search.study.path,
                field=f"search.space.{name}" if search.arm is None else f"tuning of {search.arm_name}: {name}",
                given=dimension.kind,
                allowed="choice: [a, b, …]",
            )
        varied[name] = dimension.probes
    if not varied:
        return []
    found = []
    for values in itertools.product(*varied.values()):
        try:
            found.append(search.recipe(dict(zip(varied, values, strict=True))))
        except InputError:
            continue  # an invalid combination, which no trial will request
    return found
