"""Detection and removal of files in a results folder that neither tables nor resumed runs need."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from agrm_study.execution.progress.snapshot import Snapshot, read_snapshot, search_cells
from agrm_study.execution.progress.watching import owner_words
from agrm_study.execution.provenance import code_version
from agrm_study.execution.results_folder.leases import Leases, spent_files
from agrm_study.execution.results_folder.lock import results_lock
from agrm_study.execution.results_folder.upkeep import leftovers
from agrm_study.execution.trial.stage_store import StageStore
from agrm_study.records.disk_use import file_sizes
from agrm_study.records.integrity import WEIGHTS
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.removed_weights import FILE, note_removed
from agrm_study.records.study_file import read_study
from agrm_study.study.counted import some
from agrm_study.study.errors import InputError

Which = Literal["none", "unreported", "all"]
"""Trials whose best weights are removed: none, trials that no reported arm needs, or all finished trials."""
Kind = Literal["temporary", "leases", "checkpoints", "stages", "weights"]
WORDS: Final[dict[Kind, str]] = {
    "temporary": "temporary files of killed processes",
    "leases": "claims of joined runs that have ended",
    "checkpoints": "checkpoints that no run resumes",
    "stages": "states that no trial needs",
    "weights": "best weights",
}

BY_LOCK: Final[tuple[Kind, ...]] = ("temporary", "leases")
"""Kinds of files that acquiring `results_lock` removes, as it also does at the start of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unneeded:
    """A file or folder that can be removed.

    Attributes:
        path: Path of the file or folder; in an object store, the path in the store's filesystem.
        trial_id: Trial that the weights belong to; empty for other kinds.
    """

    kind: Kind
    path: str
    bytes: int
    trial_id: str = ""


def unneeded(results: str | Path, *, weights: Which = "none") -> list[Unneeded]:
    """Files that neither tables nor resumed runs need.

    These are temporary files of killed processes, including files in this machine's temporary folder; claims of joined
    runs that have ended; checkpoints of trials that have finished or are no longer in the plan; saved states that no
    trial needs; and, on request, best weights.

    Arms that a race stopped, and trials that are no longer in the plan, count as not reported.

    Raises:
        InputError: If a run is active, or the folder contains no readable results.
    """
    snapshot = read_snapshot(results)
    if snapshot.owner is not None:
        raise InputError(
            "a results folder must not be in use while it is cleaned",
            where=str(results),
            given=owner_words(snapshot.owner),
            hint="Wait for the run to end, or stop it.",
        )
    return _unneeded(Location.of(results), snapshot, weights)


def remove(
    results: str | Path,
    items: Iterable[Unneeded],
    *,
    weights: Which = "none",
    on_note: Callable[[str], None] = lambda text: None,
) -> int:
    """Removes the items that are still unneeded while holding the results lock; returns the number of bytes freed.

    Removed weights are recorded first, so that their trials do not count as damaged.

    Args:
        on_note: Called with one line of text if joined runs must be watched first, which takes up to a minute.

    Raises:
        InputError: If a run is active.
        OSError: If the storage rejects a request.
    """
    location, shown = Location.of(results), {item.path: item for item in items}
    noted: list[str] = []

    def on_wait() -> None:
        if not noted:
            noted.append(_waiting(location))
            on_note(noted[0])

    with results_lock(location, "agrm-study clean", on_wait):
        kept = {item.path for item in _removed_by_lock(location)}
        freed = [item for item in shown.values() if item.kind in BY_LOCK and item.path not in kept]
        for item in _unneeded(location, read_snapshot(results), weights):
            if item.path in shown and item.kind not in BY_LOCK:
                freed.append(item)
        _delete_all(location, freed)
    return sum(item.bytes for item in freed)


def _waiting(results: Location) -> str:
    """Message about the runs that `remove` waits for."""
    leases = Leases(results)
    members = [(run, leases.member(run)) for run in leases.others()]
    words = some([f"run {run}" if member is None else member.words for run, member in members]) or "another run"
    return f"Waiting up to {leases.expires_s:.0f} s to verify that runs in this folder have ended: {words}"


def drop_unreported_weights(results: Location) -> None:
    """Removes the best weights of trials that are not reported; the caller must hold the results lock."""
    found = _of_trials(results, read_snapshot(results.address), "unreported")
    _delete_all(results, [item for item in found if item.kind == "weights"])


def _delete_all(results: Location, items: Sequence[Unneeded]) -> None:
    """Removes files, except those that the results lock has already removed."""
    removed = {item.trial_id for item in items if item.kind == "weights"}
    if removed:
        rows = Ledger(results).table_of("trials", removed).select(["trial_id", "weights_digest"]).to_pylist()
        note_removed(results, {row["trial_id"]: row["weights_digest"] for row in rows})
    for item in items:
        if item.kind not in BY_LOCK:
            _delete(results, item)


def _delete(results: Location, item: Unneeded) -> None:
    if item.kind == "stages":
        StageStore.of(results).drop(item.path.rpartition("/")[2])
        return
    name = item.path.removeprefix(f"{results.path}/")
    (results / name).delete()
    folder = results / name.rpartition("/")[0]
    if not folder.is_local:
        return
    with contextlib.suppress(OSError):  # the folder contains other files
        Path(folder.path).rmdir()


def _unneeded(results: Location, snapshot: Snapshot, weights: Which) -> list[Unneeded]:
    found = _removed_by_lock(results)
    if snapshot.final is None:  # the plan does not exist yet
        return found
    temporary = {item.path for item in found}
    files = [*_of_trials(results, snapshot, weights), *_stages(results, snapshot)]
    return found + [item for item in files if item.path not in temporary]


def _removed_by_lock(results: Location) -> list[Unneeded]:
    found = [Unneeded(kind="temporary", path=str(path), bytes=_size(path)) for path in leftovers(results)]
    spent = spent_files(results).items()
    return found + [Unneeded(kind="leases", path=f"{results.path}/{name}", bytes=size) for name, size in spent]


def _of_trials(results: Location, snapshot: Snapshot, weights: Which) -> Iterator[Unneeded]:
    """Checkpoints and weights of trials."""
    planned = snapshot.trials.keys() | _proposed(snapshot)
    finished = {t for t, state in Ledger(results).states().items() if state.status == "finished"}
    reported = _reported(snapshot)
    folder = results / "checkpoints"
    for name, size in file_sizes(folder).items():
        trial_id, _, file = name.partition("/")
        if name == FILE or not file or not (trial_id in finished or trial_id not in planned):
            continue
        path = f"{folder.path}/{name}"
        if file != WEIGHTS:
            yield Unneeded(kind="checkpoints", path=path, bytes=size)
        elif weights == "all" or (weights == "unreported" and trial_id not in reported):
            yield Unneeded(kind="weights", path=path, bytes=size, trial_id=trial_id)


def _proposed(snapshot: Snapshot) -> set[str]:
    return {cell.trial_id for log in snapshot.search_logs for cell in search_cells(log)}


def _reported(snapshot: Snapshot) -> set[str]:
    """Trials of the plan, excluding trials of arms that a race stopped."""
    stopped: dict[tuple[str, str], Any] = {} if snapshot.race is None else dict(snapshot.race.by_cell)
    return {cell.trial_id for cell in snapshot.cells if (cell.arm, cell.task) not in stopped}


def _stages(results: Location, snapshot: Snapshot) -> Iterator[Unneeded]:
    """Shared states saved by other code versions, and all shared states of a complete study unless it keeps them."""
    store = StageStore.of(results)
    sizes: dict[str, int] = {}
    for name, size in file_sizes(store.root).items():
        key = name.partition("/")[0]
        sizes[key] = sizes.get(key, 0) + size
    if not sizes:
        return
    needed = read_study(results).sharing == "keep" or not snapshot.complete
    usable = store.look(code_version()) if needed else {}
    for key, size in sizes.items():
        if key not in usable and not key.startswith("."):
            yield Unneeded(kind="stages", path=f"{store.root.path}/{key}", bytes=size)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file_sizes(Location.of(path)).values())
    return path.lstat().st_size
