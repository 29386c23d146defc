import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from agrm_study.cli.app import app
from agrm_study.records.whole import broken_trials, check_results, unverified_trials
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements

FOLDER = Path(__file__).with_name("results_0_1_0")
ACCURACY = {
    "AGRM": [15 / 18, 15 / 18],
    "w/o MTM": [14 / 18, 16 / 18],
    "w/o SHPM": [17 / 18, 15 / 18],
    "w/o both": [15 / 18, 13 / 18],
}
"""By seed, as version 0.1.0 reports them."""


def test_results_of_0_1_0_report_the_same_numbers_and_are_marked_as_unverified(tmp_path):
    root = tmp_path / "r"
    shutil.copytree(FOLDER, root)
    evidence = collect(root)
    m = Measurements(evidence)
    for arm, expected in ACCURACY.items():
        assert m.metric(arm, "two_class", "accuracy").values_S == pytest.approx(expected)
    assert [f.severity for f in evidence.problems] == ["mark"]
    assert "8 of 8 finished trials are unverified" in evidence.problems[0].rule
    assert evidence.partial is None
    assert broken_trials(root) == {}
    assert (check_results(root), unverified_trials(root)) == ([], 8)


@pytest.mark.parametrize("kind", ["epochs", "predictions"])
def test_their_missing_files_are_found_all_the_same(tmp_path, kind):
    root = tmp_path / "r"
    shutil.copytree(FOLDER, root)
    victim = sorted((root / "records" / kind).iterdir())[0]
    victim.unlink()
    for content in (False, True):
        assert list(broken_trials(root, content=content)) == [victim.stem]


def test_status_check_counts_them_as_unverified_and_finds_no_fault(tmp_path):
    root = tmp_path / "r"
    shutil.copytree(FOLDER, root)
    shown = CliRunner().invoke(app, ["status", str(root), "--check"], standalone_mode=False)
    assert (shown.return_value, "unverified: 8 finished trials" in shown.output) == (0, True)
    assert "incomplete or damaged" not in shown.output
    found = json.loads(CliRunner().invoke(app, ["status", str(root), "--check", "--json"]).output)
    assert (found["faults"], found["unverified"]) == ([], 8)
    sorted((root / "records" / "epochs").iterdir())[0].unlink()
    shown = CliRunner().invoke(app, ["status", str(root), "--check"], standalone_mode=False)
    assert (shown.return_value, "incomplete or damaged: records/epochs" in shown.output) == (1, True)


def test_predictions_that_are_unreadable_in_one_block_are_found_without_digests(tmp_path):
    root = tmp_path / "r"
    shutil.copytree(FOLDER, root)
    victim = sorted((root / "records" / "predictions").iterdir())[0]
    table = pq.read_table(victim)
    place = table.schema.get_field_index("logits")
    logits = table.column(place).to_pylist()
    logits[-1] = None
    broken = pa.array(logits, table.schema.types[place])
    pq.write_table(table.set_column(place, pa.field("logits", broken.type), broken), victim)
    assert list(broken_trials(root)) == [victim.stem]
