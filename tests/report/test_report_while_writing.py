"""A report created while a study writes and compacts records shows a consistent state."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from synthetic_records import write_results

from agrm_study.report.build import make_report

WRITER = """
import shutil, sys, time
from pathlib import Path
from agrm_study.records.compaction import compact
whole, growing = Path(sys.argv[1]) / "records", Path(sys.argv[2]) / "records"
for number, trial in enumerate(sorted((whole / "trials").iterdir())):
    for kind in ("predictions", "epochs", "trials"):
        for file in (whole / kind).glob(trial.name):
            shutil.copy(file, growing / kind / f".{file.name}")
            (growing / kind / f".{file.name}").rename(growing / kind / file.name)
    compact(growing.parent, at_least=2)
    time.sleep(0.1)
"""
SHAPE = {"tables": ["ablation"], "figures": [], "formats": ["csv"], "page": False}


def test_reports_made_beside_a_writer_and_a_compaction_count_up_to_the_whole(tmp_path: Path) -> None:
    whole, growing = tmp_path / "whole", tmp_path / "growing"
    write_results(whole, subjects=24, epochs=4)
    shutil.copytree(whole, growing, ignore=lambda folder, names: [n for n in names if n.endswith(".parquet")])
    for file in (whole / "records" / "subjects").iterdir():
        shutil.copy(file, growing / "records" / "subjects")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(whole), str(growing)])
    finished = [0]
    try:
        while writer.poll() is None:
            made = make_report([growing], **SHAPE)
            assert made.problems == ()
            said = re.search(r"(\d+) of 40 planned trials", made.partial.get(str(growing), "40 of 40 planned trials"))
            assert said is not None
            finished.append(int(said[1]))
    finally:
        writer.kill()
    assert writer.wait() == 0
    assert finished == sorted(finished)
    assert len(set(finished)) > 2, "no report was made while trials were written"
    assert make_report([growing], **SHAPE).problems == ()
    make_report([whole], **SHAPE)
    names = [p.name for p in (whole / "tables").iterdir()]
    assert names
    for name in names:
        assert (growing / "tables" / name).read_bytes() == (whole / "tables" / name).read_bytes()
