import hashlib
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_records import prediction_block, write

from agrm_study.records.compaction import compact
from agrm_study.records.digests import digests
from agrm_study.records.integrity import broken_records, broken_splits, broken_weights, verified, weights_digest
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.writer import predictions_table, write_subjects


def by_hand(trial_id, block, suffix):
    """The byte form of a block of predictions, written out as the documentation states it."""
    n, k = block["logits"].shape
    rows = sorted(range(n), key=lambda i: block["clip_id"][i])
    out = hashlib.sha256(f"predictions\n{trial_id}\n{suffix}\n{n}\n".encode())
    for name in ("subject_id", "clip_id"):
        out.update(f"\n{name}\n".encode())
        out.update(b"".join(hashlib.sha256(block[name][i].encode()).digest()[:16] for i in rows))
    out.update(b"\nepoch\n" + struct.pack("<i", block["epoch"]) * n)
    out.update(b"\nlabel\n" + bytes(int(block["label"][i]) for i in rows))
    out.update(b"\nlogits\n" + struct.pack("<i", k) * n)
    out.update(b"".join(struct.pack(f"<{k}f", *block["logits"][i]) for i in rows))
    return out.hexdigest()[:32]


def test_the_digest_of_predictions_is_that_of_its_documented_bytes():
    block = prediction_block(n=5, k=3)
    table = predictions_table("t1", [block])
    expected = {"t1": by_hand("t1", block, "test/teacher")}
    assert digests(table, "predictions", "trial_id", "test/teacher") == expected
    shuffled = table.take(pa.array([3, 1, 4, 0, 2]))
    encoded = shuffled.set_column(2, "subject_id", shuffled["subject_id"].dictionary_encode())
    assert digests(encoded, "predictions", "trial_id", "test/teacher") == expected


def test_every_value_counts():
    block = prediction_block()
    table = predictions_table("t1", [block])
    whole = digests(table, "predictions", "trial_id")
    for name in ("label", "epoch"):
        other = table.set_column(table.schema.get_field_index(name), name, pa.array([9] * 4, table[name].type))
        assert digests(other, "predictions", "trial_id") != whole
    block["logits"] = np.nextafter(block["logits"], np.float32(9))
    assert digests(predictions_table("t1", [block]), "predictions", "trial_id") != whole
    assert digests(table.slice(0, 3), "predictions", "trial_id") != whole


def test_records_are_whole_after_writing_and_after_compaction(tmp_path):
    for i in range(4):
        write(tmp_path, f"t{i}")
    ledger = Ledger(tmp_path)
    assert all(verified(row) for row in ledger.table_of("trials").to_pylist())
    assert broken_records(ledger) == {}
    assert compact(tmp_path, at_least=2)
    assert broken_records(Ledger(tmp_path)) == {}


def changed(path, column, values):
    table = pq.read_table(path)
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array(values, table[column].type)), path)


@pytest.mark.parametrize(
    ("kind", "column", "values"),
    [
        ("trials", "seed", [4]),
        ("trials", "tau", [None]),
        ("trials", "row_digest", [None]),
        ("trials", "epochs_digest", [None]),
        ("epochs", "macro_f1", [0.1, 0.3]),
        ("epochs", "threshold", [0.1, None]),
        ("predictions", "epoch", [5] * 7 + [6]),
        ("predictions", "split", ["val"] * 8),
        ("predictions", "network", ["student"] * 8),
    ],
)
def test_a_value_that_changed_after_writing_is_found(tmp_path, kind, column, values):
    for trial_id in ("t0", "t1"):
        write(tmp_path, trial_id)
    changed(tmp_path / "records" / kind / "t1.parquet", column, values)
    found = broken_records(Ledger(tmp_path))
    assert list(found) == ["t1"]
    assert f"records/{kind}" in found["t1"].place


@pytest.mark.parametrize("kind", ["epochs", "predictions"])
@pytest.mark.parametrize("how", ["gone", "truncated", "other"])
def test_a_record_that_is_gone_or_anothers_is_found(tmp_path, kind, how):
    for trial_id in ("t0", "t1"):
        write(tmp_path, trial_id)
    path = tmp_path / "records" / kind / "t1.parquet"
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.write_bytes((path.parent / "t0.parquet").read_bytes())
    assert "t1" in broken_records(Ledger(tmp_path))


def test_subjects_and_weights_are_checked(tmp_path):
    write_subjects(tmp_path, "s", [{"subject_id": f"p{i}", "split_seed": 0, "split": "test"} for i in range(3)])
    assert broken_splits(Ledger(tmp_path).table_of("subjects")) == {}
    changed(tmp_path / "records" / "subjects" / "s.parquet", "age", [5.0, None, None])
    assert list(broken_splits(Ledger(tmp_path).table_of("subjects"))) == ["s"]
    folder = tmp_path / "checkpoints" / "t1"
    folder.mkdir(parents=True)
    (folder / "best.safetensors").write_bytes(b"weights")
    stored = {"t1": weights_digest(b"weights"), "t2": weights_digest(b"others")}
    assert broken_weights(Location.of(tmp_path), stored) == {"t2": "is missing"}
    (folder / "best.safetensors").write_bytes(b"weightz")
    assert "digest" in broken_weights(Location.of(tmp_path), stored)["t1"]


def test_weights_keep_their_digest_when_only_the_order_of_their_metadata_differs() -> None:
    def file(metadata: dict[str, str], data: bytes) -> bytes:
        header = {"__metadata__": metadata, "w": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data

    first = weights_digest(file({"epoch": "1", "identity": "a"}, b"ab"))
    assert weights_digest(file({"identity": "a", "epoch": "1"}, b"ab")) == first
    assert weights_digest(file({"identity": "b", "epoch": "1"}, b"ab")) != first
    assert weights_digest(file({"identity": "a", "epoch": "1"}, b"ac")) != first
