"""The commands of the page on external sets and corrupted copies work as printed, on a small study."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_study import WITHOUT_MTM, tiny_study

from agrm_study.cli.app import app
from agrm_study.execution.corruptions import CORRUPTIONS
from agrm_study.execution.options import RunOptions
from agrm_study.execution.run import run_study
from agrm_study.report.robustness import MEANINGS
from agrm_study.study.load import load_study
from agrm_study.training.data.datasets.synthetic import write_synthetic

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
NUMBERS = r"\d+(?:\.\d+)?"


@pytest.mark.slow
def test_the_commands_of_the_page_work_on_a_small_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = tiny_study("demo", {"AGRM": {}, "w/o MTM": WITHOUT_MTM}, epochs=4)
    Path("demo.yaml").write_text(json.dumps(study))
    run_study(load_study(Path("demo.yaml")), RunOptions(results="results/demo", executor="inline", workers=1))
    write_synthetic(Path("data/clinic_b"), subjects=18, unlabelled=0, seed=3, difficulty="hard", workers=1)
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) == 2
    for line in commands:
        done = CliRunner().invoke(app, shlex.split(line)[1:], standalone_mode=False)
        assert done.return_value == 0, (line, done.output, done.exception)
    tables = {path.stem for path in Path("results/demo/tables").glob("*.csv")}
    assert {"external", "external_calibration", "robustness"} <= tables


def test_the_page_states_the_severities_of_every_corruption():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, flags=re.MULTILINE))
    assert list(rows) == list(CORRUPTIONS)
    for kind, text in rows.items():
        stated = [x for x in re.findall(NUMBERS, text) if x not in ("264", "2019", "224", "2000")]
        assert stated[:5] == [x for x in re.findall(NUMBERS, MEANINGS[kind]) if x != "264"][:5], kind
