import numpy as np
import pytest
from small_records import write

from agrm_study.records.integrity import broken_records, broken_splits, broken_weights, weights_digest
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.writer import write_subjects
from agrm_study.study.errors import InputError

WEIGHTS = bytes(range(256)) * 20
KINDS = ("trials", "epochs", "predictions", "subjects")
FLIPS = 2000


@pytest.mark.slow
def test_no_flipped_bit_is_read_as_another_value(tmp_path):
    """Each is found, or leaves every value as it was (a flip in the name of the program that wrote the file, say)."""
    for trial_id in ("t0", "t1"):
        write(tmp_path, trial_id, weights_digest=weights_digest(WEIGHTS))
        folder = tmp_path / "checkpoints" / trial_id
        folder.mkdir(parents=True)
        (folder / "best.safetensors").write_bytes(WEIGHTS)
    write_subjects(
        tmp_path, "s", [{"subject_id": f"p{i}", "split_seed": 0, "split": "test", "age": 5.0} for i in (0, 1)]
    )
    files = [
        tmp_path / "records" / kind / name
        for kind, name in zip(KINDS, ("t1.parquet",) * 3 + ("s.parquet",), strict=True)
    ]
    files.append(tmp_path / "checkpoints" / "t1" / "best.safetensors")

    def look():
        ledger = Ledger(tmp_path)
        rows = {kind: ledger.table_of(kind).to_pylist() for kind in KINDS}
        faults = broken_records(ledger) | broken_splits(ledger.table_of("subjects"))
        faults |= broken_weights(Location.of(tmp_path), dict.fromkeys(("t0", "t1"), weights_digest(WEIGHTS)))
        lost = {row["trial_id"] for row in rows["trials"]} != {"t0", "t1"}
        return repr(rows), bool(faults or ledger.problems or lost)

    clean, seen = look()
    assert not seen
    rng = np.random.default_rng(0)
    found = 0
    for i in range(FLIPS):
        file = files[i % len(files)]
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[int(rng.integers(len(flipped)))] ^= 1 << int(rng.integers(8))
        file.write_bytes(flipped)
        try:
            values, seen = look()
        except InputError:
            values, seen = None, True
        assert seen or values == clean, (i, file.name)
        found += seen
        file.write_bytes(whole)
    assert found > 0.7 * FLIPS
