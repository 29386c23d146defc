"""Evaluations that are still missing for a set, according to the records of earlier evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agrm_study.execution.evaluation.finished import FinishedNetwork
from agrm_study.execution.evaluation.sets import DataOfSet
from agrm_study.execution.provenance import code_version
from agrm_study.execution.trial.work import Evaluation, Work
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.digests import block_digests, read_blocks
from agrm_study.records.evaluations import EvaluatedSet, read_set
from agrm_study.records.location import Location
from agrm_study.records.patience import retry_storage
from agrm_study.records.reader import Ledger
from agrm_study.study.counted import counted


@dataclass(frozen=True, slots=True)
class Pending:
    """Evaluations to run.

    Attributes:
        works: Evaluations to run, one per trial with missing parts.
        done: Ids of the trials without missing parts.
        notes: Reasons for repeating earlier evaluations, one sentence each.
    """

    works: list[Work]
    done: list[str]
    notes: list[str]


def pending(results: Location, folder: Location, data: DataOfSet, *, again: bool) -> Pending:
    """The evaluations that are missing for a set.

    A part is reused from the records if its rows match their digest and the weights, data and corruptions are
    unchanged. If anything is evaluated, evaluations by other versions of the code are repeated, so that all numbers of
    a set come from one version.

    Args:
        results: Results folder of the study.
        folder: Folder of the set.
        again: Evaluate everything, regardless of the records.
    """
    notes: list[str] = []
    known = {} if again else _known(folder, data)
    before = retry_storage(lambda: read_set(folder))
    attempts = {trial_id: state.attempt for trial_id, state in retry_storage(Ledger(folder).states).items()}
    if before is not None and attempts and not _same(before, data.about):
        notes.append("The set has changed since it was evaluated: all trials are evaluated again.")
        known = {}
    parts = {
        network.trial_id: tuple(dict.fromkeys([*known.get(network.trial_id, _NONE).parts, *data.parts]))
        for network in data.networks
    }
    lacking = {t for t, asked in parts.items() if set(asked) - set(known.get(t, _NONE).parts)}
    if lacking:
        other = {t for t, found in known.items() if found.code != code_version()}
        if other:
            were = counted(len(other), "trial was", "trials were")
            again_words = "it is" if len(other) == 1 else "they are"
            notes.append(f"{were} evaluated by a different version of the code: {again_words} evaluated again.")
            known = {t: found for t, found in known.items() if t not in other}
            lacking |= other
    works = [
        _work(results, data, network, parts[network.trial_id], known.get(network.trial_id, _NONE), attempts)
        for network in data.networks
        if network.trial_id in lacking
    ]
    return Pending(works, [t for t in parts if t not in lacking], notes)


@dataclass(frozen=True, slots=True)
class _Known:
    """Parts in the record of an evaluation, and the version of the code that computed them."""

    parts: tuple[str, ...] = ()
    code: str = ""


_NONE = _Known()


def _same(before: EvaluatedSet, now: EvaluatedSet) -> bool:
    return (before.data_fingerprint, before.definition, before.seed) == (
        now.data_fingerprint,
        now.definition,
        now.seed,
    )


def _known(folder: Location, data: DataOfSet) -> dict[str, _Known]:
    """Valid parts of the recorded evaluations by trial id."""
    ledger = Ledger(folder)
    ids = [network.trial_id for network in data.networks]
    rows: list[dict[str, Any]] = retry_storage(lambda: ledger.table_of("trials", ids).to_pylist())
    valid = {row["trial_id"]: row for row in rows if row["status"] == "finished"}
    current = {network.trial_id: (network.weights_digest, *data.fingerprints(network)) for network in data.networks}
    valid = {
        t: row
        for t, row in valid.items()
        if (row["weights_digest"], row["data_fingerprint"], row["split_fingerprint"]) == current[t]
    }
    if not valid:
        return {}
    found = block_digests(retry_storage(lambda: ledger.table_of("predictions", list(valid))))
    return {t: _Known(_whole(row, found.get(t, {})), row["code_version"]) for t, row in valid.items()}


def _whole(row: Mapping[str, Any], found: Mapping[str, str]) -> tuple[str, ...]:
    """Parts whose rows match the digest of the record."""
    stored = read_blocks(row["predictions_digest"])
    return tuple(name.rpartition("/")[0] for name, digest in stored.items() if found.get(name) == digest)


def _work(
    results: Location,
    data: DataOfSet,
    network: FinishedNetwork,
    parts: tuple[str, ...],
    known: _Known,
    attempts: Mapping[str, int],
) -> Work:
    row, recipe = network.row, data.data_of(network.recipe)
    data_fingerprint, split_fingerprint = data.fingerprints(network)
    trial = TrialSpec(
        trial_id=network.trial_id,
        config_id=row["config_id"],
        study=row["study"],
        phase="final",
        arm=network.arm,
        recipe=network.recipe,
        fold=network.fold,
        data_fingerprint=data_fingerprint,
        split_fingerprint=split_fingerprint,
    )
    return Work(
        trial=trial,
        manifest=data.prepared.manifest_path(recipe),
        store=data.prepared.store_path(recipe),
        attempts=attempts.get(network.trial_id, 0),  # includes attempts in records that are no longer valid
        evaluation=Evaluation(
            parts=parts,
            kept=tuple(part for part in parts if part in known.parts),
            results=results.address,
            weights_digest=network.weights_digest,
            best_epoch=int(row["best_epoch"]),
            seed=data.about.seed,
        ),
    )
