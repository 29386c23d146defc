"""A study of real, tiny training runs, its undisturbed result, and the command that runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_study import NOT_COMPARED, WITHOUT_MTM, WITHOUT_SHPM, tiny_study

from agrm_study.records.reader import Ledger
from agrm_study.report.build import make_report

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from processes import adopted_orphans  # noqa: E402

EPOCHS = 40
STUDY = tiny_study(
    "chaos",
    {
        "AGRM": {},
        "w/o MTM": WITHOUT_MTM,
        "w/o SHPM": WITHOUT_SHPM,
        "w/o both": {**WITHOUT_MTM, **WITHOUT_SHPM},
    },
    epochs=EPOCHS,
)
TRIALS = 8


@dataclass(frozen=True)
class Command:
    """`agrm-study run` of the study into a results folder, in a process of its own."""

    study: Path
    results: Path
    cache: Path
    log: Path
    options: tuple[str, ...] = ("--slots", "2", "--no-report")
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> subprocess.Popen[bytes]:
        """Starts it; both streams are appended to the log."""
        words = [sys.executable, str(HERE / "checkpoint_each_epoch.py"), "run", str(self.study)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "AGRM_STUDY_CACHE": str(self.cache), **self.environment}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*words, "--results", str(self.results), *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment,
            )  # fmt: skip

    def run(self, timeout_s: float = 400.0) -> tuple[int, str]:
        """Runs it to its end: exit code, and what it said."""
        begins = self.log.stat().st_size if self.log.exists() else 0
        code = self.start().wait(timeout_s)
        return code, self.said(begins)

    def said(self, begins: int = 0) -> str:
        """What the log holds from some byte on."""
        return self.log.read_bytes()[begins:].decode(errors="replace")


def records(results: Path) -> dict[str, pd.DataFrame]:
    """All records of a results folder, but for what two equal runs may differ in."""
    ledger = Ledger(results)
    found = {
        "trials": ledger.trials().drop(columns=NOT_COMPARED),
        "epochs": ledger.epochs(),
        "predictions": ledger.predictions().assign(logits=lambda rows: rows["logits"].map(bytes)),
        "subjects": ledger.subjects(),
    }
    assert not ledger.problems
    return found


def tables(results: Path) -> dict[str, bytes]:
    """The tables of a results folder as Markdown and CSV, by file name."""
    make_report([results], figures=(), formats=("md", "csv"))
    return {file.name: file.read_bytes() for file in sorted((results / "tables").iterdir())}


@dataclass(frozen=True)
class Undisturbed:
    """The study as it comes out when nothing happens."""

    study: Path
    cache: Path
    records: dict[str, pd.DataFrame]
    tables: dict[str, bytes]

    def assert_same(self, results: Path) -> None:
        """Records and tables of a results folder are these."""
        for kind, rows in records(results).items():
            pd.testing.assert_frame_equal(rows, self.records[kind], check_exact=True)
        assert tables(results) == self.tables


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Runs the study in one process, one trial after the other, without Ray."""
    folder = tmp_path_factory.mktemp("undisturbed")
    study = folder / "study.yaml"
    study.write_text(json.dumps(STUDY))
    command = Command(
        study, folder / "results", folder / "cache", folder / "log", environment={"CHAOS_EXECUTOR": "inline"}
    )
    code, said = command.run()
    assert code == 0, said
    return Undisturbed(study, command.cache, records(command.results), tables(command.results))


@pytest.fixture
def orphanage() -> Iterator[set[int]]:
    """No process of the test outlives it; gives the processes that were there before."""
    with adopted_orphans() as before:
        yield before


@pytest.fixture
def make_command(undisturbed: Undisturbed, tmp_path: Path, orphanage: set[int]) -> Any:
    """The command with data that are there already; any field can be given otherwise."""

    def make(**fields: Any) -> Command:
        given: dict[str, Any] = {
            "study": undisturbed.study,
            "results": tmp_path / "results",
            "cache": undisturbed.cache,
            "log": tmp_path / "log",
        }
        return Command(**given | fields)

    return make
