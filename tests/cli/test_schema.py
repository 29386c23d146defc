"""The editor schema agrees with the shipped study files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from agrm_study.cli.app import app
from agrm_study.study.document import read_yaml
from agrm_study.study.library import shipped_folders

STUDIES = sorted(shipped_folders()[-1].glob("*.yaml"))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    done = CliRunner().invoke(app, ["schema"])
    assert done.exit_code == 0
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_is_a_valid_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_satisfies_it(study: Path, schema: dict[str, Any]) -> None:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(read_yaml(study).value)
    assert [f"{list(error.absolute_path)}: {error.message}" for error in errors] == []


@pytest.mark.parametrize(
    "change",
    [
        {"tasks": ["four_class"]},
        {"sedes": [0]},
        {"set": {"ssl.ema.alpha": 2.0}},
        {"set": {"ssl.ema.alhpa": 0.9}},
        {"set": {"model.pooling.name": "shmp"}},
        {"set": {"model": {"backbone": "r3d_81"}}},
        {"report": {"tables": ["abblation"]}},
        {"arms": [{"name": "A", "sett": {}}]},
        {"grid": {"ssl.ema.alpha": [0.9]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_it_refuses_what_the_command_refuses(change: dict[str, Any], schema: dict[str, Any]) -> None:
    good = {"name": "s", "tasks": ["two_class"], "seeds": [0], "arms": [{"name": "A"}]}
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(good)
    assert not validator.is_valid(good | change)


def test_out_writes_the_file_and_tells_the_line_for_the_editor(tmp_path: Path, schema: dict[str, Any]) -> None:
    file = tmp_path / "study.schema.json"
    done = CliRunner().invoke(app, ["schema", "--out", str(file)])
    assert done.exit_code == 0
    assert json.loads(file.read_text()) == schema
    assert f"# yaml-language-server: $schema={file}" in done.stderr
    assert done.stdout == ""
