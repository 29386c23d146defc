"""The commands and the LaTeX of the page on manuscripts work as printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from synthetic_records import ABLATION, write_results
from tex import needs_tex, run_tex

from agrm_study.cli.app import app
from agrm_study.report.build import make_report

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "submission.md").read_text(encoding="utf-8")
STUDY = ABLATION.replace("name: ablation", "name: demo") + "report: {tables: [ablation], figures: [forest]}\n"
PAPER = "\\documentclass{article}\\usepackage{booktabs,amssymb}\n\\begin{document}\nBODY\n\\end{document}\n"


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manuscript with the page's text and the table, beside the results it speaks of."""
    monkeypatch.chdir(tmp_path)
    folder = write_results(tmp_path / "results" / "demo", STUDY, subjects=24)
    make_report([folder])
    [shown] = [x for x in re.findall(r"```latex\n(.*?)```", PAGE, flags=re.DOTALL) if "\\agrm{" in x]
    file = tmp_path / "paper.tex"
    body = shown + "\\input{results/demo/tables/ablation}"
    file.write_text(PAPER.replace("BODY", body), encoding="utf-8")
    return file


def test_the_commands_of_the_page_verify_the_results_and_the_manuscript(paper: Path) -> None:
    commands = [c for block in re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL) for c in block.splitlines() if c]
    assert len(commands) == 4
    for command in commands:
        done = CliRunner().invoke(app, shlex.split(command)[1:], standalone_mode=False)
        assert done.return_value in (0, None), done.output
        assert "submission" in command.split()[1] or "everything agrees" in done.output
        assert "paper.tex" not in command or "1 tables in the manuscript" in done.output


@needs_tex
def test_the_latex_of_the_page_compiles(paper: Path) -> None:
    done = run_tex(paper.parent, paper.stem)
    assert done.returncode == 0, done.stdout[-1500:]
    assert paper.with_suffix(".pdf").stat().st_size > 1000
