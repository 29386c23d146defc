"""The parts and the study of the page "Your own …" pass their checks, and run and report as documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import agrm_study as ags
from agrm_study.cli.app import app
from agrm_study.study.parts.kinds import KINDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "your_own.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES:
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_names_every_kind_of_part_with_its_decorator_and_its_class() -> None:
    rows = re.findall(r"^\| `ags\.(\w+)` \| `ags\.(\w+)` \| `([^`]+)`", PAGE, flags=re.MULTILINE)
    assert [kind for kind, _, _ in rows] == [
        "backbone",
        "pooling",
        "threshold",
        "loss",
        "table",
        "figure",
        "layout",
        "hook",
    ]
    for kind, contract, field in rows:
        module, _, attribute = KINDS[kind].contract.partition(":")
        found = getattr(ags, contract)
        assert (found.__module__, found.__name__) == (module, attribute)
        assert KINDS[kind].field in field


def test_the_parts_of_the_page_pass_their_checks(folder: Path) -> None:
    done = CliRunner().invoke(app, ["check-part", "my_parts.py"], standalone_mode=False)
    assert done.return_value == 0, done.output
    assert done.output.count("checks pass") == 5


def test_the_study_of_the_page_is_planned_with_the_options_of_its_arms(folder: Path) -> None:
    study = ags.load_study("study.yaml")
    assert study.arm("plain").recipe.model.options == {"blocks": 3}
    assert {part.name for part in study.parts} == {"plain3d", "gem", "rising", "gce", "seeds_by_arm"}


@pytest.mark.slow
def test_the_study_of_the_page_runs_and_reports_after_its_file_is_gone(folder: Path) -> None:
    results = ags.run("study.yaml", executor="inline", progress=False)
    assert set(results.trials["status"]) == {"finished"}
    (folder / "my_parts.py").unlink()
    assert list(ags.open_results("results/plain").table("seeds_by_arm").to_frame()["n"]) == [1, 1, 1]
