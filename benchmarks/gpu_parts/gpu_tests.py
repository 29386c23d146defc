"""The GPU tests of the suite as rows: passed, failed and skipped tests of each file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from gpu_parts.rows import NEEDS_GPU, NO_TIME, Deadline, Row
from gpu_parts.seeds import finish

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 200.0
"""Time limit of the tests, in seconds."""
NEEDS_S = 60.0
"""Minimum remaining time to start the tests, in seconds."""


def rows_of_tests(device: str, deadline: Deadline, folder: Path = ROOT / "tests" / "gpu") -> Iterator[Row]:
    """One row for each test file.

    Args:
        device: ``cpu`` or ``cuda``.
        deadline: Deadline of the script.
        folder: Folder of the tests.
    """
    files = sorted(path.stem for path in folder.glob("test_*.py"))
    if device == "cpu":
        yield from (Row(part="tests", setting=file, state="not run", note=NEEDS_GPU) for file in files)
        return
    if deadline.left() < NEEDS_S:
        note = f"{NO_TIME} ({NEEDS_S:g} s are needed)"
        yield from (Row(part="tests", setting=file, state="not run", note=note) for file in files)
        return
    with tempfile.TemporaryDirectory(prefix="agrm-study-gpu-") as place:
        report = Path(place) / "junit.xml"
        words = [sys.executable, "-m", "pytest", str(folder), "-m", "gpu", "-q", f"--junitxml={report}"]
        try:
            finish(words, dict(os.environ), min(LIMIT_S, deadline.left()))
            note = ""
        except RuntimeError as error:
            note = str(error)
        cases = read_report(report) if report.exists() else {}
    yield from (row(file, cases.get(file), note) for file in files)


def row(file: str, counts: dict[str, float] | None, note: str) -> Row:
    """Row of one file.

    Args:
        file: Name of the file, without its suffix.
        counts: Passed, failed and skipped tests; None if pytest did not reach the file.
        note: Reason why pytest ended early.
    """
    if counts is None:
        return Row(part="tests", setting=file, state="failed", note=note or "pytest ran none of its tests")
    if counts["failed"]:
        return Row(part="tests", setting=file, state="failed", note=f"{counts['failed']:.0f} tests failed")
    if not counts["passed"]:
        return Row(part="tests", setting=file, state="not run", note="all of its tests were skipped")
    return Row(part="tests", setting=file, state="measured", figures=counts)


def read_report(report: Path) -> dict[str, dict[str, float]]:
    """Passed, failed and skipped tests of each file, and their duration in seconds, from a JUnit report of pytest."""
    found: dict[str, dict[str, float]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.get("classname", "").split(".")[-1]
        counts = found.setdefault(file, {"passed": 0.0, "failed": 0.0, "skipped": 0.0, "seconds": 0.0})
        kinds = {child.tag for child in case}
        kind = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts[kind] += 1
        counts["seconds"] += float(case.get("time", 0))
    return found
