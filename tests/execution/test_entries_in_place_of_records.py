"""A folder or a dangling link at the path of a record is replaced by the run that recreates the record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agrm_study.execution.summary import RunSummary
from agrm_study.records.reader import Ledger
from agrm_study.records.whole import check_results
from agrm_study.study.study import Study


@pytest.mark.parametrize("kind", ["trials", "epochs", "predictions", "subjects"])
@pytest.mark.parametrize("entry", ["empty folder", "folder", "dangling link", "link to a folder"])
def test_the_run_heals_it_and_keeps_what_a_folder_holds(
    make_study: Callable[..., Study], run: Callable[..., RunSummary], results: Path, kind: str, entry: str
) -> None:
    run(make_study())
    before = Ledger(results).predictions()
    path = sorted((results / "records" / kind).iterdir())[0]
    path.unlink()
    if entry == "dangling link":
        path.symlink_to(results / "nowhere")
    elif entry == "link to a folder":
        path.symlink_to(results / "records")
    else:
        path.mkdir()
    if entry == "folder":
        (path / "note.txt").write_text("of somebody")
    assert run(make_study()).exit_code == 0
    assert path.is_file()
    assert check_results(results) == []
    assert Ledger(results).predictions().equals(before) or kind == "trials"
    if entry == "folder":
        assert (path.parent / f"{path.name}.set-aside-1" / "note.txt").read_text() == "of somebody"
    assert run(make_study()).before == 4
