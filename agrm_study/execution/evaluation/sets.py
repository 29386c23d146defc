"""Data on which finished trials are evaluated: an external set, or corrupted copies of the study's test part."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from agrm_study.execution.data.external_set import (
    Seen,
    check_unseen,
    label_notes,
    read_external,
    whole_split,
)
from agrm_study.execution.data.prepare import (
    OnNote,
    OnStep,
    Step,
    build_stores,
    manifest_of,
    prepare,
    publish,
    store_sizes,
    wanted_stores,
)
from agrm_study.execution.data.prepared import Prepared, source_key, split_key, subject_rows
from agrm_study.execution.evaluation.finished import FinishedNetwork, FinishedNetworks
from agrm_study.execution.provenance import available_cpus
from agrm_study.execution.resources.folders import cache_folder
from agrm_study.records.evaluations import EvaluatedSet, corrupted_part, external_part
from agrm_study.records.integrity import split_is_whole
from agrm_study.records.location import Location
from agrm_study.records.writer import write_subjects
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Arm, Study
from agrm_study.training.data.manifest import Manifest, read_manifest
from agrm_study.training.data.splits import Split, make_split

DEFINITION: Final = 1
"""Version of the definitions of the corruptions; increment it when a definition changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOfSet:
    """Prepared data of a set.

    Attributes:
        networks: The trials to which the set applies.
        prepared: Manifests, splits and stores, by the recipe returned by `data_of`.
        write: Writes additional records of the set into its folder.
        data_of: The recipe that identifies a trial's data in `prepared`.
    """

    about: EvaluatedSet
    parts: tuple[str, ...]
    networks: tuple[FinishedNetwork, ...]
    prepared: Prepared
    write: Callable[[Location], None]
    data_of: Callable[[Recipe], Recipe]

    def fingerprints(self, network: FinishedNetwork) -> tuple[str, str]:
        """Data and split fingerprints of a trial's data."""
        return self.prepared.fingerprints(self.data_of(network.recipe))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSet:
    """A labelled data set from a different source.

    Attributes:
        distinct_subjects: Whether equal subject ids refer to different people.
        trained_on: New path of the study's manifest if the manifest was moved.
    """

    manifest: Path
    name: str
    distinct_subjects: bool = False
    trained_on: Path | None = None

    def prepare(
        self, results: Location, found: FinishedNetworks, *, on_step: OnStep, on_note: OnNote, workers: int | None
    ) -> DataOfSet:
        """Check the set against the data of the study, and build its clip stores.

        Raises:
            InputError: If the set violates a rule of `external_set`, a video cannot be used, or the study's own
                manifest is not available.
        """
        workers, cache = workers or available_cpus(), cache_folder(results.address)
        on_step(Step("Reading the manifest", 0, 1))
        manifest = read_external(self.manifest)
        on_step(Step("Reading the manifest", 1, 1))
        own = self._own_data(found, cache, workers, on_step)
        check_unseen(manifest, Seen.of(own), distinct_subjects=self.distinct_subjects)
        tasks = {network.recipe.task.name: network.recipe.task for network in found.networks}
        notes, usable = label_notes(manifest, tasks.values())
        for note in notes:
            on_note(note)
        networks = tuple(network for network in found.networks if network.recipe.task.name in usable)

        def data_of(recipe: Recipe) -> Recipe:
            data = recipe.data.model_copy(update={"manifest": manifest.path, "synthetic": None})
            return recipe.model_copy(update={"data": data})

        split, part = whole_split(manifest), external_part(self.name)
        recipes = [data_of(network.recipe) for network in networks]
        manifests = {source_key(recipes[0].data): manifest}
        splits = {split_key(recipe): split for recipe in recipes}
        wanted = wanted_stores(recipes, manifests, splits)
        stores = build_stores(wanted, cache, workers, on_step, on_note)
        sizes, places = store_sizes(wanted, cache), publish(stores, on_step)
        prepared = Prepared(manifests, splits, stores, store_sizes=sizes, places=places)

        def write(folder: Location) -> None:
            if not split_is_whole(folder, split.fingerprint):
                write_subjects(folder, split.fingerprint, subject_rows(manifest.labelled, part))

        about = EvaluatedSet(
            name=self.name,
            manifest=str(manifest.path),
            data_fingerprint=manifest.fingerprint,
            clips=len(manifest.labelled),
            subjects=len(split.subjects("test")),
            notes=notes,
            distinct_subjects=self.distinct_subjects,
        )
        return DataOfSet(
            about=about,
            parts=(part,),
            networks=networks,
            prepared=prepared,
            write=write,
            data_of=data_of,
        )

    def _own_data(
        self, found: FinishedNetworks, cache: Path, workers: int, on_step: OnStep
    ) -> Collection[tuple[Manifest, Split]]:
        """Distinct (manifest, split) pairs of the study's trials."""
        manifests: dict[str, Manifest] = {}
        pairs: dict[str, tuple[Manifest, Split]] = {}
        for network in found.networks:
            recipe = network.recipe
            source, key = source_key(recipe.data), split_key(recipe)
            if source not in manifests:
                manifests[source] = self._own_manifest(recipe, found.study, cache, workers, on_step)
            if key not in pairs:
                pairs[key] = manifests[source], make_split(manifests[source], recipe.data, recipe.split_seed)
            manifest, split = pairs[key]
            _require_same(network, (manifest.fingerprint, split.fingerprint), str(manifest.path))
        return pairs.values()

    def _own_manifest(self, recipe: Recipe, study: Study, cache: Path, workers: int, on_step: OnStep) -> Manifest:
        """The study's manifest for a recipe."""
        if self.trained_on is not None:
            return read_manifest(self.trained_on, require_files=False)
        if recipe.data.manifest is None:
            manifest = manifest_of(recipe, cache, study, build=True, workers=workers, on_step=on_step)
            assert manifest is not None  # build=True creates a missing manifest
            return manifest
        try:
            return read_manifest(recipe.data.manifest, require_files=False)
        except InputError as error:
            raise InputError(
                "the study's manifest is needed to check that the networks have not seen the set: " + error.rule,
                where=recipe.data.manifest,
                hint="If it was moved, specify its new path with --trained-on.",
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptedCopies:
    """Corrupted copies of the study's test part.

    Attributes:
        severities: Severities, from 1 to 5.
    """

    kinds: Sequence[str]
    severities: Sequence[int]
    seed: int = 0

    def prepare(
        self, results: Location, found: FinishedNetworks, *, on_step: OnStep, on_note: OnNote, workers: int | None
    ) -> DataOfSet:
        """Prepare the study's own data.

        Raises:
            InputError: If the data cannot be prepared, or no longer match the data of the trials.
        """
        alike = {n.recipe.model_copy(update={"seed": 0}).model_dump_json(): n.recipe for n in found.networks}
        arms = tuple(Arm(name=f"{i}", settings={}, recipe=recipe) for i, recipe in enumerate(alike.values()))
        study = replace(found.study, arms=arms, search=None, tune=None, splits=None)  # arms already have a fold's data
        prepared = prepare(study, results.address, build=True, on_step=on_step, on_note=on_note, workers=workers)
        for network in found.networks:
            _require_same(network, prepared.fingerprints(network.recipe), prepared.manifest_path(network.recipe))
        first = found.networks[0]
        about = EvaluatedSet(
            name="robustness",
            manifest=prepared.manifest_path(first.recipe),
            data_fingerprint=str(first.row["data_fingerprint"]),
            notes=[],
            definition=DEFINITION,
            seed=self.seed,
        )
        return DataOfSet(
            about=about,
            parts=tuple(corrupted_part(kind, severity) for kind in self.kinds for severity in self.severities),
            networks=found.networks,
            prepared=prepared,
            write=lambda folder: None,
            data_of=lambda recipe: recipe,
        )


def _require_same(network: FinishedNetwork, found: tuple[str, str], where: str) -> None:
    planned = (network.row["data_fingerprint"], network.row["split_fingerprint"])
    if found != planned:
        raise InputError(
            "the study's data must be unchanged since training",
            where=where,
            given=f"fingerprints {', '.join(found)}",
            allowed=f"{', '.join(map(str, planned))} ({network.arm}, seed {network.recipe.seed})",
            hint="Check whether the manifest or the videos have changed.",
        )
