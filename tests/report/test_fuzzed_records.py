"""Records with random invalid content: a report lists what it cannot use, without an internal error."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic_records import ABLATION, write_results

from agrm_study.records.whole import check_results
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.tables import TABLES, table_kind
from agrm_study.study.errors import InputError

STUDY = ABLATION.replace("[two_class, three_class]", "[two_class]").replace("[0, 1, 2, 3, 4]", "[0, 1]")
VALUES = (None, "", "x", "\x1b[31m", -1, 0, 2**31, 1e300, float("nan"), True, [], [1.0], ["a"], {"a": 1}, "2026-01-01")


def unsealed(table):
    """Without digests, so that the checks of values are met and not the digests."""
    digests = [name for name in table.column_names if name.endswith("digest")]
    for name in digests:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pa.nulls(table.num_rows, pa.string()))
    return table


def fuzz_record(root, rng):
    kind = ("trials", "epochs", "predictions", "subjects")[int(rng.integers(4))]
    files = sorted((root / "records" / kind).iterdir())
    path = files[int(rng.integers(len(files)))]
    rows = unsealed(pq.read_table(path)).to_pylist()
    name = list(rows[0])[int(rng.integers(len(rows[0])))]
    value = VALUES[int(rng.integers(len(VALUES)))]
    chosen = range(len(rows)) if rng.random() < 0.5 else [int(rng.integers(len(rows)))]
    for i in chosen:
        rows[i][name] = value
    try:
        table = pa.Table.from_pylist(rows)
    except pa.ArrowException:
        table = pa.Table.from_pylist([{**row, name: None if row[name] is None else str(row[name])} for row in rows])
    pq.write_table(table, path)


def fuzz_json(root, rng):
    path = root / ("plan.json", "provenance.json", "analysis.json")[int(rng.integers(3))]
    tree = json.loads(path.read_text())
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = keys[int(rng.integers(len(keys)))]
        if isinstance(node[key], dict | list) and rng.random() < 0.8:
            node = node[key]
            continue
        node[key] = VALUES[int(rng.integers(len(VALUES)))]
        break
    path.write_text(json.dumps(tree))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 500, 50))
def test_500_variants_of_wrong_content_end_in_findings_and_never_in_a_traceback(tmp_path, first):
    whole = write_results(tmp_path / "whole", STUDY, subjects=9, epochs=4)
    for path in (whole / "records").glob("*/*.parquet"):
        pq.write_table(unsealed(pq.read_table(path)), path)
    kinds = [table_kind(name) for name in TABLES]
    for variant in range(first, first + 50):
        rng = np.random.default_rng(variant)
        root = tmp_path / "r"
        shutil.copytree(whole, root)
        for _ in range(1 + int(rng.integers(3))):
            (fuzz_record if rng.random() < 0.75 else fuzz_json)(root, rng)
        try:
            m = Measurements(collect(root))
            for kind in kinds:
                if kind.unfit(m) is None:
                    kind.build(m)
            check_results(root)
        except InputError:
            pass
        except Exception as error:
            error.add_note(f"variant {variant}")
            raise
        shutil.rmtree(root)
