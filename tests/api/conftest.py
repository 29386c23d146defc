"""A small results folder, created once, in a separate working directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_records import write_results


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    write_results(folder / "results" / "ablation", subjects=15, epochs=4)
    return folder


@pytest.fixture
def ablation(made: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(made)
    return "results/ablation"
