"""Disk space of clip stores and of missing trials, estimated from measured trials."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any, Final

from agrm_study.plan.stages import Stages
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.recipe import Recipe

BYTES: Final = 4
"""Bytes per parameter: weights and states are stored in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Disk space in bytes, excluding clip stores.

    Attributes:
        weights: Best weights of the missing trials, if they are kept.
        checkpoint: The largest rolling checkpoint, one per running trial.
        states: Maximum total size of the end states of stages; they are removed when no longer needed by a trial,
            unless sharing is ``keep``.
        records: Records of the missing trials; None if no record was measured.
        unknown: Number of trials whose networks were never measured, excluded from the other values.
        free: Free space in bytes on the disk that contains the results; None for an object store.
    """

    weights: int
    checkpoint: int
    states: int
    records: int | None
    unknown: int
    free: int | None = None

    @property
    def at_most(self) -> int:
        """Upper bound on the total, with one rolling checkpoint."""
        return self.weights + (self.records or 0) + self.states + self.checkpoint


@dataclass(frozen=True, slots=True)
class StoreSize:
    """A clip store that a study needs.

    Attributes:
        path: Folder of the store; None until the videos, whose content determines its name, are generated.
        clips: Number of clips.
        bytes: Size on disk: exact for raw storage, an estimate for JPEG.
        built: Whether it exists.
    """

    path: Path | None
    clips: int
    bytes: int
    built: bool


def estimate_disk(
    missing: Collection[TrialSpec],
    stages: Stages,
    measured: Iterable[Mapping[str, Any]],
    *,
    keep: bool,
    record_bytes: float | None,
    keep_weights: bool = True,
    free: int | None = None,
    network_bytes: Mapping[str, int] = MappingProxyType({}),
) -> Disk | None:
    """Estimate disk space from the parameter counts of finished trials with the same backbone and pooling.

    Args:
        missing: Missing trials.
        stages: Stages of these trials.
        measured: Rows of finished trials: backbone, pooling, n_params.
        keep: Whether the end states of stages and trials are kept.
        record_bytes: Size of a finished trial's records in bytes.
        keep_weights: Whether the best weights are kept.
        free: See `Disk`.
        network_bytes: Network size in bytes, by trial, for trials without a similar finished trial.

    Returns:
        None if no missing trial has a network of known size.
    """
    counts: dict[tuple[str, str], list[float]] = {}
    for row in measured:
        if row.get("n_params") and row["n_params"] == row["n_params"]:
            counts.setdefault((row["backbone"], row["pooling"]), []).append(float(row["n_params"]))
    sizes = {kind: BYTES * fmean(found) for kind, found in counts.items()}
    known = {
        trial.trial_id: (trial.recipe, size)
        for trial in missing
        if (size := sizes.get(_network(trial), network_bytes.get(trial.trial_id))) is not None
    }
    if not known:
        return None
    left = [stage for stage in stages.stages if (keep or stage.shared) and stage.trials[0] in known]
    return Disk(
        weights=round(sum(size * _networks(recipe) for recipe, size in known.values())) if keep_weights else 0,
        checkpoint=round(max(size * _copies(recipe, recipe.epochs) for recipe, size in known.values())),
        states=round(sum(known[s.trials[0]][1] * _copies(known[s.trials[0]][0], s.last) for s in left)),
        records=None if record_bytes is None else round(record_bytes * len(missing)),
        unknown=len(missing) - len(known),
        free=free,
    )


def _network(trial: TrialSpec) -> tuple[str, str]:
    return trial.recipe.model.backbone, trial.recipe.model.pooling.name


def _networks(recipe: Recipe) -> int:
    return 2 if recipe.has_average else 1


def _copies(recipe: Recipe, epoch: int) -> int:
    """Size of the state after an epoch, in multiples of the network: networks, best networks, optimizer averages."""
    networks = _networks(recipe) if epoch > recipe.ssl.pretrain_epochs or not recipe.has_teacher else 1
    return 2 * networks + (1 if recipe.optimizer.name == "sgd" else 2)
