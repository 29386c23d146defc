"""A study of one arm with settings given by a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agrm_study.study.load import load_study

HEAD = """\
name: trial
tasks: [three_class]
seeds: [0]
data: {synthetic: {subjects: 12, unlabelled: 12}}
arms: [{name: A}]
"""


@pytest.fixture
def load_settings(tmp_path: Path) -> Callable[[str], None]:
    """Loads a study file whose sixth line has the given settings."""

    def load(settings: str) -> None:
        file = tmp_path / "study.yaml"
        file.write_text(f"{HEAD}set: {{{settings}}}\n", encoding="utf-8")
        load_study(file)

    return load
