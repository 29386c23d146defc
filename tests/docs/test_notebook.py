"""The cells of the page "Python and notebooks" run in sequence and install no signal handler."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pandas as pd
import pytest

import agrm_study as ags

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "notebook.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_runs_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ags, "run", lambda *args, run=ags.run, **more: run(*args, executor="inline", **more))
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    cells = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert len(cells) == 6
    names: dict[str, object] = {}
    for number, cell in enumerate(cells):
        exec(compile(cell, f"notebook.md, cell {number + 1}", "exec"), names)
    assert [signal.getsignal(number) for number in numbers] == before
    results = names["results"]
    assert isinstance(results, ags.Results)
    assert results.status().finished == 4
    assert (tmp_path / "results" / "mtm" / "report.html").is_file()
    assert (tmp_path / "learning_curves.pdf").is_file()
    csv = tmp_path / "results" / "mtm" / "tables" / "agrm.csv"
    assert results.table("agrm").to_frame().to_csv(index=False) == csv.read_text(encoding="utf-8")
    frame = results.compare("w/o MTM")
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["arm"]) == ["w/o MTM"]
