"""Comparison of records and weights with the digests computed when they were written.

Records written by version 0.1 have no digests and count as unverified rather than damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from agrm_study.records.digests import HEX, blocks_text, digests, read_blocks
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import PRUNED, Kind
from agrm_study.study.errors import InputError

DAMAGED: Final = "does not match the digest recorded when it was written"
DIGESTS: Final = ("epochs_digest", "predictions_digest", "weights_digest", "row_digest")
PARTS: Final = tuple((part, network) for part in ("train", "val", "test") for network in ("student", "teacher", "ema"))
WEIGHTS: Final = "best.safetensors"
"""Name of a trial's weights in ``checkpoints/<trial_id>/``."""
_HEADER_LENGTH: Final = struct.Struct("<Q")
"""Length of the JSON header, the first bytes of a safetensors file."""
_AT_ONCE: Final = 500
"""Number of trials whose predictions are read at a time; bounds the memory use."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A missing or damaged file of a finished trial.

    Attributes:
        what: Kind of records, or ``weights``.
        place: File or record.
        why: Description of the fault.
    """

    what: Literal["trials", "epochs", "predictions", "subjects", "weights"]
    place: str
    why: str

    @classmethod
    def of_record(cls, kind: Kind, trial_id: str, why: str) -> Fault:
        """A fault in one kind of a trial's records."""
        return cls(kind, f"records/{kind} of trial {trial_id}", why)

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


def verified(row: Mapping[str, Any]) -> bool:
    """Whether a `trials` record has digests; records written by version 0.1 do not."""
    return any(row[name] is not None for name in DIGESTS)


def broken_rows(trials: pa.Table) -> dict[str, str]:
    """Trials whose `trials` record is damaged, with the reason.

    Args:
        trials: Complete rows, one per trial.
    """
    if not trials.num_rows:
        return {}
    found = digests(trials, "trials", "trial_id")
    ids, stored = trials["trial_id"].to_pylist(), trials["row_digest"].to_pylist()
    others = [trials[name].to_pylist() for name in DIGESTS[:-1]]
    broken = {}
    for trial_id, digest, *rest in zip(ids, stored, *others, strict=True):
        if digest != found[trial_id] and (digest is not None or any(d is not None for d in rest)):
            broken[trial_id] = f"the row {DAMAGED}"
    return broken


def broken_block(table: pa.Table, part: str, network: str, stored: Mapping[str, str | None]) -> dict[str, str]:
    """Trials whose predictions for one part and network are damaged, with the reason.

    Args:
        table: Rows of the `predictions` schema for that part and network.
        part: ``train``, ``val`` or ``test``.
        network: ``student``, ``teacher`` or ``ema``.
        stored: ``predictions_digest`` of each trial that has digests, by trial id; null if it has no predictions.
    """
    if not stored:
        return {}
    block = f"{part}/{network}"
    found = digests(table, "predictions", "trial_id", block)
    return _differing(found, {t: read_blocks(text).get(block) for t, text in stored.items()}, f"the block {block}")


def broken_epochs(table: pa.Table, stored: Mapping[str, str | None]) -> dict[str, str]:
    """Trials whose epochs are damaged, with the reason.

    Args:
        table: Rows of the `epochs` schema.
        stored: ``epochs_digest`` of each trial that has digests, by trial id.
    """
    return _differing(digests(table, "epochs", "trial_id"), stored, "the record") if stored else {}


def broken_splits(subjects: pa.Table) -> dict[str, str]:
    """Splits whose `subjects` records are damaged, with the reason."""
    if not subjects.num_rows:
        return {}
    stored: dict[str, set[str | None]] = {}
    for fingerprint, digest in zip(
        subjects["split_fingerprint"].to_pylist(), subjects["rows_digest"].to_pylist(), strict=True
    ):
        stored.setdefault(fingerprint, set()).add(digest)
    found = digests(subjects, "subjects", "split_fingerprint")
    return {
        fingerprint: f"the record {DAMAGED}"
        for fingerprint, digest in found.items()
        if stored[fingerprint] not in ({None}, {digest})
    }


def split_is_whole(results: Location, fingerprint: str) -> bool:
    """Whether the `subjects` record of a split exists and is unchanged."""
    table = Ledger(results).table_of("subjects", [fingerprint])
    return bool(table.num_rows) and not broken_splits(table)


def weights_digest(content: bytes) -> str:
    """The digest of a safetensors file, computed over its header in canonical form and its tensors.

    The safetensors library writes the metadata entries of a header in arbitrary order, so files with equal weights may
    differ. For a file with an unreadable header, the digest covers its raw bytes.
    """
    data = _HEADER_LENGTH.size
    with contextlib.suppress(ValueError, struct.error):
        end = data + _HEADER_LENGTH.unpack_from(content)[0]
        header = json.dumps(json.loads(content[data:end]), sort_keys=True).encode()
        return hashlib.sha256(header + b"\0" + memoryview(content)[end:]).hexdigest()[:HEX]
    return hashlib.sha256(content).hexdigest()[:HEX]


def check_weights(content: bytes, stored: object, where: str) -> None:
    """Rejects weights that do not match their digest.

    Args:
        content: Content of the file.
        stored: ``weights_digest`` of the `trials` record; null in records without digests.
        where: Path of the file, for the error message.

    Raises:
        InputError: If the weights do not match the digest.
    """
    if isinstance(stored, str) and weights_digest(content) != stored:
        raise InputError(
            "the weights do not match the digest recorded when they were written",
            where=where,
            hint="Use a different seed of the arm, or delete this file and rerun the study.",
        )


def broken_weights(results: Location, stored: Mapping[str, str]) -> dict[str, str]:
    """Trials whose weights are missing or damaged, with the reason.

    Args:
        results: Results folder.
        stored: ``weights_digest`` by trial id.
    """
    broken = {}
    for trial_id, digest in stored.items():
        try:
            content = (results / "checkpoints" / trial_id / WEIGHTS).read()
        except OSError as error:
            broken[trial_id] = f"cannot be read: {error.strerror or error}"
            continue
        if content is None:
            broken[trial_id] = "is missing"
        elif weights_digest(content) != digest:
            broken[trial_id] = DAMAGED
    return broken


def broken_records(ledger: Ledger, *, trial_ids: Collection[str] | None = None) -> dict[str, Fault]:
    """The first fault found in the records of each finished trial, by trial id; trials without faults are omitted.

    Checks the `trials` record, the epochs and the predictions, in this order, and reads their entire content.

    Args:
        ledger: The records.
        trial_ids: Trials to check; all by default.
    """
    trials = ledger.table_of("trials", trial_ids)
    broken = {t: Fault.of_record("trials", t, why) for t, why in broken_rows(trials).items()}
    rows = [row for row in trials.to_pylist() if row["status"] == "finished" and row["trial_id"] not in broken]
    for start in range(0, len(rows), _AT_ONCE):
        _check_content(ledger, rows[start : start + _AT_ONCE], broken)
    unread = {problem.path: problem.reason for problem in ledger.problems if not problem.used}
    kinds: tuple[Kind, ...] = ("epochs", "predictions")
    for trial_id in (row["trial_id"] for row in rows):  # without digests, only this detects a single unreadable block
        for kind in kinds:
            path = (ledger.records / kind / f"{trial_id}.parquet").path
            if path in unread:
                broken.setdefault(trial_id, Fault.of_record(kind, trial_id, unread[path]))
    return broken


def _check_content(ledger: Ledger, rows: list[dict[str, Any]], broken: dict[str, Fault]) -> None:
    ids = [row["trial_id"] for row in rows]
    sealed = {row["trial_id"]: row for row in rows if verified(row)}

    def note(kind: Kind, found: Mapping[str, str]) -> None:
        for trial_id, why in found.items():
            broken.setdefault(trial_id, Fault.of_record(kind, trial_id, why))

    epochs = ledger.epoch_table(None, trial_ids=ids)
    note("epochs", broken_epochs(epochs, {t: row["epochs_digest"] for t, row in sealed.items()}))
    note("epochs", _absent(rows, set(epochs["trial_id"].unique().to_pylist()), "epochs"))
    predicted: set[str] = set()
    for part, network in PARTS:
        table = ledger.prediction_table(part, network, trial_ids=ids)
        predicted |= set(table["trial_id"].unique().to_pylist())
        stored = {t: row["predictions_digest"] for t, row in sealed.items()}
        note("predictions", broken_block(table, part, network, stored))
    note("predictions", _absent(rows, predicted, "predictions"))


def _absent(rows: Iterable[Mapping[str, Any]], there: Collection[str], kind: Kind) -> dict[str, str]:
    """Finished trials that lack required records of a kind."""
    return {
        row["trial_id"]: "is missing or cannot be read"
        for row in rows
        if row["trial_id"] not in there and must_have(row, kind)
    }


def must_have(row: Mapping[str, Any], kind: Kind) -> bool:
    """Whether a finished trial must have records of a kind, based on its digests or, if absent, its stop reason."""
    if verified(row):
        return row[f"{kind}_digest"] not in (None, blocks_text({}))
    return kind == "epochs" or row["stop_reason"] != PRUNED


def _differing(found: Mapping[str, str], stored: Mapping[str, str | None], what: str) -> dict[str, str]:
    return {
        trial_id: f"{what} {DAMAGED}" if trial_id in found else f"{what} is missing"
        for trial_id, digest in stored.items()
        if found.get(trial_id) != digest
    }
