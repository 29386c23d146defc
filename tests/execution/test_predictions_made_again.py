"""Lost predictions of a finished trial are recomputed from its saved weights, or by retraining if that is not exact."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from named_data import NamedData
from scripted_runner import journal

from agrm_study.api.planning import plan_study
from agrm_study.execution.progress.lines import LinesView
from agrm_study.execution.summary import RunSummary
from agrm_study.records.compaction import compact
from agrm_study.records.reader import Ledger
from agrm_study.records.whole import check_results
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]


def content(results: Path) -> dict[str, Any]:
    """Every record of the folder, digests and times included."""
    ledger = Ledger(results)
    keys = ["trial_id", "epoch", "split", "network", "clip_id", "subject_id"]
    tables = {kind: ledger.table_of(kind) for kind in ("trials", "epochs", "predictions")}  # type: ignore[arg-type]
    found = {}
    for kind, table in tables.items():
        order = [(key, "ascending") for key in keys if key in table.column_names and kind != "trials"]
        found[kind] = table.sort_by(order or [("trial_id", "ascending")]).to_pylist()
    return found


def damaged(results: Path, how: str, kind: str = "predictions") -> str:
    """Damages the predictions of one trial; returns its id."""
    path = sorted((results / "records" / kind).iterdir())[1]
    if how == "deleted":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif how == "folder":
        path.unlink()
        path.mkdir()
        (path / "note.txt").write_text("of somebody")
    elif how == "dangling link":
        path.unlink()
        path.symlink_to(results / "nowhere")
    else:
        table = pq.read_table(path)
        place = table.schema.get_field_index("epoch")
        other = pa.array([value + 1 for value in table.column(place).to_pylist()], pa.int32())
        pq.write_table(table.set_column(place, table.schema.field(place), other), path)
    return path.stem


def count(results: Path, what: str) -> int:
    return sum(line.startswith(what) for line in journal(results))


@pytest.mark.parametrize("how", ["deleted", "truncated", "changed", "folder", "dangling link"])
def test_lost_predictions_are_made_again_without_training(make_study: Make, run: Run, results: Path, how: str) -> None:
    run(make_study())
    before = content(results)
    damaged(results, how)
    shown = io.StringIO()
    summary = run(make_study(), view=LinesView(shown))
    assert (summary.total, summary.before, summary.finished, summary.exit_code) == (4, 3, 1, 0)
    assert count(results, "predict") == 1
    assert content(results) == before
    assert check_results(results) == []
    assert any("recomputed from saved weights, without training: 1." in message for message in summary.messages)
    assert "predictions recomputed from its saved weights, without training" in shown.getvalue()
    assert run(make_study()).before == 4


def test_predictions_lost_from_compacted_records_are_made_again(make_study: Make, run: Run, results: Path) -> None:
    run(make_study())
    before = content(results)
    assert compact(results, at_least=2)
    (file,) = (results / "records" / "predictions").iterdir()
    file.unlink()
    run(make_study())
    assert count(results, "predict") == 4
    assert content(results) == before


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ("weights deleted", "their weights are missing or damaged"),
        ("weights flipped", "their weights are missing or damaged"),
        ("weights not kept", "their weights were not kept"),
        ("other code", "they were trained by a different version of the code"),
        ("epochs", "their epochs records are missing or damaged"),
        ("other predictions", "trained again: the predictions of its saved weights differ from the recorded"),
    ],
)
def test_what_cannot_be_predicted_exactly_is_trained_again_and_one_line_says_why(
    make_study: Make, run: Run, results: Path, script: Any, monkeypatch: pytest.MonkeyPatch, lost: str, reason: str
) -> None:
    run(replace(make_study(), keep_weights="none" if lost == "weights not kept" else "all"))
    before = {row["trial_id"]: row for row in content(results)["trials"]}
    predictions = content(results)["predictions"]
    trial_id = damaged(results, "deleted")
    weights = results / "checkpoints" / trial_id / "best.safetensors"
    if lost == "weights deleted":
        weights.unlink()
    elif lost == "weights flipped":
        weights.write_bytes(bytes([weights.read_bytes()[0] ^ 1]) + weights.read_bytes()[1:])
    elif lost == "other code":
        monkeypatch.setattr("agrm_study.execution.dispatch.known_trials.code_version", lambda: "newer")
    elif lost == "epochs":
        (results / "records" / "epochs" / f"{trial_id}.parquet").unlink()
    elif lost == "other predictions":
        script(**{"*": {"drift": 0.25}})
    summary = run(make_study())
    assert (summary.before, summary.exit_code) == (3, 0)
    assert count(results, "predict") == (lost == "other predictions")
    assert sum(reason in message for message in summary.messages) == 1
    assert content(results)["predictions"] == predictions
    after = {row["trial_id"]: row for row in content(results)["trials"]}
    assert after[trial_id]["attempt"] > before[trial_id]["attempt"]
    assert check_results(results) == []


def test_an_equal_trial_of_another_study_comes_first(make_study: Make, run: Run, results: Path, tmp_path: Path) -> None:
    run(make_study())
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "script.json").write_text(json.dumps({}))
    run(make_study(name="other"), results=beside)
    damaged(results, "deleted")
    summary = run(make_study())
    assert any("reused from beside" in message for message in summary.messages)
    assert count(results, "predict") == 0
    assert check_results(results) == []


def test_a_run_cut_short_while_it_predicts_does_so_in_the_next_one(
    make_study: Make, run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(make_study())
    before = content(results)
    damaged(results, "deleted")

    def cut(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("agrm_study.execution.trial.predict_again.put_record", cut)
        assert run(make_study(), as_command=False).exit_code == 130
    assert run(make_study()).exit_code == 0
    assert count(results, "predict") == 2
    assert content(results) == before


def test_the_plan_counts_a_trial_without_predictions_as_missing_but_not_its_epochs(
    make_study: Make, run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Planned(NamedData):
        unwritten = ()
        store_sizes = ()

    monkeypatch.setattr("agrm_study.api.planning.prepare", lambda *a, **k: Planned())
    run(make_study())
    damaged(results, "deleted")
    plan = plan_study(make_study(), results)
    assert (plan.finished, plan.missing, plan.epochs_at_most) == (3, 1, 0)
    assert any("recomputed from saved weights, without training: 1." in note for note in plan.notes)
