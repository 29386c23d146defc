"""Digests of records, computed from a byte representation that does not depend on how Arrow or Parquet stores them.

The byte representation of a group of rows (for example, a trial's epochs) sorts the rows by their keys and contains,
for each column in schema order, its name, a mask of the rows with a value (if any value is missing), and
the values: little-endian numbers, strings as the first 16 bytes of the SHA-256 of their UTF-8 encoding, lists as their
lengths followed by their values. A column without any values is omitted, so that a column added by a later version does
not change the digest of older rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agrm_study.records.schemas import SCHEMAS, Kind

Bytes = NDArray[np.uint8]
HEX: Final = 32
"""Number of hexadecimal digits in a digest."""
_TEXT: Final = 16

ORDER: Final[Mapping[Kind, tuple[str, ...]]] = {
    "trials": (),
    "epochs": ("epoch", "split", "network"),
    "predictions": ("clip_id",),
    "subjects": ("split", "subject_id"),
}
"""The keys by which the rows of a group are sorted."""
_OUTSIDE: Final[Mapping[Kind, frozenset[str]]] = {
    "trials": frozenset({"row_digest"}),
    "epochs": frozenset({"trial_id"}),
    "predictions": frozenset({"trial_id", "split", "network"}),
    "subjects": frozenset({"split_fingerprint", "rows_digest"}),
}
"""Columns that are not hashed: the digest itself, and the columns that identify the group."""


def hashed_columns(kind: Kind) -> tuple[str, ...]:
    """Columns covered by the digest of a kind of record, in schema order."""
    return tuple(name for name in SCHEMAS[kind].names if name not in _OUTSIDE[kind])


def digests(table: pa.Table, kind: Kind, group: str, suffix: str = "") -> dict[str, str]:
    """Computes the digest of each group of rows.

    Args:
        table: Rows with the `hashed_columns` of the kind and the column that identifies the group, in any order.
        kind: Kind of records.
        group: Column that identifies the group: ``trial_id`` or ``split_fingerprint``.
        suffix: Text hashed after the group's name (the part and network of a block of predictions).
    """
    if not table.num_rows:
        return {}
    codes, names = _codes(table[group])
    order = _sorting(table, kind, codes)
    if order is not None:
        table, codes = table.take(pa.array(order)), codes[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(starts[1:], codes.size)
    filled = [name for name in hashed_columns(kind) if table[name].null_count < table.num_rows]
    columns = [_column(name, table[name]) for name in filled]
    found = {}
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        name = names[codes[start]]
        state = hashlib.sha256(f"{kind}\n{name}\n{suffix}\n{end - start}\n".encode())
        for column in columns:
            column.feed(state.update, start, end)
        found[name] = state.hexdigest()[:HEX]
    return found


def block_digests(table: pa.Table) -> dict[str, dict[str, str]]:
    """Digests of the blocks of predictions, by trial and ``part/network``."""
    found: dict[str, dict[str, str]] = {}
    keys = pa.table([table["split"], table["network"]], names=["split", "network"]).group_by(["split", "network"])
    for row in keys.aggregate([]).to_pylist():
        mine = table.filter((pc.field("split") == row["split"]) & (pc.field("network") == row["network"]))
        block = f"{row['split']}/{row['network']}"
        for trial_id, digest in digests(mine, "predictions", "trial_id", block).items():
            found.setdefault(trial_id, {})[block] = digest
    return found


def blocks_text(blocks: Mapping[str, str]) -> str:
    """The block digests of one trial, encoded as the value of ``predictions_digest``."""
    return json.dumps(dict(blocks), sort_keys=True)


def read_blocks(text: str | None) -> dict[str, str]:
    """Inverse of `blocks_text`; empty for null or unreadable text."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of sorted rows as bytes.

    Attributes:
        name: Name of the column, hashed before its values.
        fixed_RW: Bytes of each row: the value, or the length of the list.
        known_before: For each row, the number of preceding rows with a value; None if every row has one.
        known_R: Mask of the rows with a value.
        flat: Concatenated values of the lists; None for other types.
        offsets: Byte offset in `flat` of the values of each row.
    """

    name: bytes
    fixed_RW: Bytes
    known_before: NDArray[np.int64] | None
    known_R: Bytes | None
    flat: memoryview | None
    offsets: NDArray[np.int64] | None

    def feed(self, update: Callable[[Any], None], start: int, end: int) -> None:
        """Hashes the rows from `start` to `end`."""
        if self.known_before is not None and self.known_R is not None:
            known = self.known_before[end] - self.known_before[start]
            if not known:
                return
            update(self.name)
            if known < end - start:
                update(self.known_R[start:end])
        else:
            update(self.name)
        update(self.fixed_RW[start:end])
        if self.flat is not None and self.offsets is not None:
            update(self.flat[self.offsets[start] : self.offsets[end]])


def _column(name: str, values: pa.ChunkedArray) -> _Column:
    known_R = known_before = None
    if values.null_count:
        known_R = values.is_valid().combine_chunks().to_numpy(zero_copy_only=False).astype(np.uint8)
        known_before = np.concatenate([[0], np.cumsum(known_R, dtype=np.int64)])
    flat, offsets = None, None
    if pa.types.is_string(values.type) or pa.types.is_dictionary(values.type):
        fixed = _text_bytes(values)
    elif pa.types.is_list(values.type):
        lengths = pc.fill_null(pc.list_value_length(values), 0).combine_chunks().to_numpy(zero_copy_only=False)
        whole = np.ascontiguousarray(pc.list_flatten(values).combine_chunks().to_numpy(zero_copy_only=False))
        flat = memoryview(whole.view(np.uint8).data) if whole.size else memoryview(b"")
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]) * whole.itemsize
        fixed = _numbers(lengths.astype(np.int32))
    else:
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.int64())
        filled = pc.fill_null(values, 0) if values.null_count else values
        fixed = _numbers(filled.combine_chunks().to_numpy(zero_copy_only=False))
    return _Column(f"\n{name}\n".encode(), fixed, known_before, known_R, flat, offsets)


def _numbers(values: NDArray[Any]) -> Bytes:
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    return little.view(np.uint8).reshape(len(little), little.itemsize)


def _text_bytes(values: pa.ChunkedArray) -> Bytes:
    codes, texts = _codes(values)
    if not texts:
        return np.zeros((len(values), _TEXT), dtype=np.uint8)
    hashed = b"".join(hashlib.sha256(t.encode()).digest()[:_TEXT] for t in texts)
    each = np.frombuffer(hashed + bytes(_TEXT), dtype=np.uint8).reshape(-1, _TEXT)
    return np.ascontiguousarray(each[codes])  # code -1, a null, selects the last entry: zeros


def _codes(values: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """Codes of a string column, -1 for null, and the strings that they represent."""
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    values = values.unify_dictionaries()
    if values.num_chunks == 0:
        return np.empty(0, dtype=np.int64), []
    codes = [pc.fill_null(c.indices, -1).to_numpy(zero_copy_only=False) for c in values.chunks]
    return np.concatenate(codes).astype(np.int64), values.chunk(0).dictionary.to_pylist()


def _sorting(table: pa.Table, kind: Kind, groups: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The order that groups the rows and sorts them within each group; None if the rows are already in this order."""
    keys: list[NDArray[np.int64]] = [groups]
    for name in ORDER[kind]:
        values = table[name]
        if pa.types.is_integer(values.type):
            keys.append(values.combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64))
            continue
        codes, texts = _codes(values)
        rank = np.empty(len(texts) + 1, dtype=np.int64)
        rank[np.array(sorted(range(len(texts)), key=lambda i: texts[i].encode()), dtype=np.int64)] = range(len(texts))
        rank[-1] = -1
        keys.append(rank[codes])
    if _is_sorted(keys):
        return None
    return np.lexsort(keys[::-1])


def _is_sorted(keys: Sequence[NDArray[np.int64]]) -> bool:
    """Whether the rows are in ascending order of the given keys, the most significant key first."""
    equal = np.ones(max(len(keys[0]) - 1, 0), dtype=bool)
    for key in keys:
        step = np.diff(key)
        if (step[equal] < 0).any():
            return False
        equal &= step == 0
    return True
