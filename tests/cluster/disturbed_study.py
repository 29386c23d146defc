"""A study of real, tiny training runs, its undisturbed results, and its execution on a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tiny_study import NOT_COMPARED, WITHOUT_SHPM, tiny_study

from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.records.local_copy import local_copy
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.report.build import make_report

HERE = Path(__file__).parent
STUDY = tiny_study("nodes", {"AGRM": {}, "w/o SHPM": WITHOUT_SHPM}, epochs=60, seeds=[0, 1, 2], gpu=1)
TRIALS = 6


@dataclass
class Run:
    """A study that runs in a process of its own."""

    process: subprocess.Popen[bytes]
    results: str
    log: Path

    def wait(self, timeout_s: float = 900.0) -> int:
        """Its exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the run did not end:\n{self.said}") from None

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.log.read_text(errors="replace")

    def until(self, happened: Callable[[list[Heartbeat]], bool], timeout_s: float = 600.0) -> None:
        """Waits until the signs of life of the running trials say that something has happened."""
        end = time.monotonic() + timeout_s
        while not happened(Heartbeat.read_all(Location.of(self.results))):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, f"it did not happen:\n{self.said}"
            time.sleep(0.2)


@dataclass
class Quiet:
    """The study as it comes out when nothing happens, and how to run it otherwise."""

    folder: Path
    records: dict[str, pd.DataFrame] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, results: str | Path, log: Path, *, study: Path | None = None, **options: Any) -> Run:
        """Starts a run."""
        asked = {"study": str(study or self.folder / "study.yaml"), "results": str(results), **options}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "AGRM_STUDY_CACHE": str(self.folder / "cache")}
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, str(HERE / "run_study.py"), json.dumps(asked)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
            )  # fmt: skip
        self.started.append(process)
        return Run(process, str(results), log)

    def end(self) -> None:
        """Ends the runs that still run."""
        for process in self.started:
            process.kill()
            process.wait(20)
        self.started.clear()

    def assert_same(self, results: str | Path) -> None:
        """Records and tables of a results folder are those of the quiet run."""
        records, tables = outcome(results)
        for kind, rows in records.items():
            pd.testing.assert_frame_equal(rows, self.records[kind], check_exact=True)
        assert tables == self.tables


def outcome(results: str | Path) -> tuple[dict[str, pd.DataFrame], dict[str, bytes]]:
    """All records but for what two equal runs may differ in, and the tables as Markdown and CSV."""
    with local_copy(results) as folder:
        ledger = Ledger(folder)
        records = {
            "trials": ledger.trials().drop(columns=NOT_COMPARED),
            "epochs": ledger.epochs(),
            "predictions": ledger.predictions().assign(logits=lambda rows: rows["logits"].map(bytes)),
        }
        assert not ledger.problems
        made = make_report([folder], figures=(), formats=("md", "csv"))
        return records, {file.name: file.read_bytes() for file in made.files if file.suffix in (".md", ".csv")}
