"""Arms with different numbers of labels are compared: different training subjects, but the same test subjects."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from synthetic_records import write_results

from agrm_study.records.writer import write_subjects
from agrm_study.report.build import make_report

TEXT = """\
name: labels
tasks: [three_class]
seeds: [0, 1, 2]
data: {synthetic: {subjects: 12, unlabelled: 12}}
set: {steps_per_epoch: 10}
arms: [{name: few, set: {data.labelled_fraction: 0.1}}, {name: all}]
reference: few
primary_metric: macro_f1
"""


def few_split(trial, blocks, rows):
    if trial["arm"] == "few":
        trial["split_fingerprint"] = "split-few"


@pytest.mark.parametrize("part", [None, "val", "test"])
def test_another_training_part_is_compared_and_another_judging_part_is_refused(tmp_path, part) -> None:
    root = write_results(tmp_path / "labels", TEXT, subjects=30, epochs=3, change=few_split)
    rows = pq.read_table(root / "records" / "subjects" / "split-a.parquet").to_pylist()
    rows = [{k: v for k, v in row.items() if k not in ("split_fingerprint", "rows_digest")} for row in rows]
    trained = [row for row in rows if row["split"] == "train"][4:]
    kept = [row for row in rows if row not in trained]
    if part is not None:
        kept.remove(next(row for row in kept if row["split"] == part))
    write_subjects(root, "split-few", kept)
    table = make_report([root], tables=["arms"], figures=[], formats=["md"], page=False).tables[str(root)]["arms"]
    refused = [note for note in table.notes if "excluded: split differs" in note or "not in the test part" in note]
    if part is None:
        assert not refused
        assert any("Δ: difference" in note for note in table.notes)
    else:
        assert refused
