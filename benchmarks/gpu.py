"""GPU tests and benchmark on one GPU, in at most eight minutes; the results are one table and JSON.

    python benchmarks/gpu.py                   # all parts, on the first GPU
    python benchmarks/gpu.py --save            # also write results/gpu/<card>.json
    python benchmarks/gpu.py --only step       # one part: tests, step, networks, compile, input or seeds

Parts: the tests marked `gpu`; a training step with the paper's input shape in each precision, compiled and
deterministic, compared with a plain torchvision loop and the FLOPs of the step; a step with other backbones;
compilation in two consecutive trials of one worker; clips per second of the input path; five seeds run sequentially,
and two and four at a time on one GPU.

Without a GPU, the script measures single precision, the input path and sequential seeds with a small shape on the CPU,
and reports everything else as not run. A part that does not fit in the remaining time is reported as not run. The
exit status is 1 if a row failed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from gpu_parts.gpu_tests import rows_of_tests
from gpu_parts.input_path import input_rows
from gpu_parts.networks import compile_rows, network_rows
from gpu_parts.rows import Deadline, Row
from gpu_parts.seeds import seed_rows
from gpu_parts.shapes import PAPER, SMALL
from gpu_parts.steps import step_rows
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agrm_study.training.bf16 import bf16_problem

VERSION = 1
PARTS = ("tests", "step", "networks", "compile", "input", "seeds")
SAVED = Path(__file__).resolve().parents[1] / "results" / "gpu"


def rows(parts: Sequence[str], device: str, deadline: Deadline) -> Iterator[Row]:
    """Yield the rows of the requested parts as they are measured."""
    shape = SMALL if device == "cpu" else PAPER
    if "tests" in parts:
        yield from rows_of_tests(device, deadline)
    if "step" in parts:
        yield from step_rows(shape, device, deadline)
    if "networks" in parts:
        yield from network_rows(device, deadline)
    if "compile" in parts:
        yield from compile_rows(device, deadline)
    if "input" in parts:
        yield from input_rows(shape, device, deadline)
    if "seeds" in parts:
        yield from seed_rows(device, deadline)


def facts(device: str) -> dict[str, Any]:
    """GPU model and software versions of the measurement."""
    on_gpu = device == "cuda"
    names = ("agrm-study", "torch", "torchvision", "numpy", "ray")
    return {
        "gpu_benchmark_version": VERSION,
        "card": torch.cuda.get_device_name(0) if on_gpu else None,
        "memory_gib": torch.cuda.get_device_properties(0).total_memory / 2**30 if on_gpu else None,
        "shape": (PAPER if on_gpu else SMALL).name,
        "python": platform.python_version(),
        "cuda": torch.version.cuda if on_gpu else None,
        "bf16_problem": bf16_problem(torch.device(device)),
        "versions": {name: version(name) for name in names},
    }


def table(found: dict[str, Any], made: Sequence[Row]) -> Table:
    """All rows as a table."""
    where = found["card"] or "CPU (no GPU found)"
    drawn = Table(title=f"{where}, {found['shape']} shape, torch {found['versions']['torch']}", show_lines=True)
    for name in ("part", "setting", "state", "figures", "note"):
        drawn.add_column(name, overflow="fold")
    for row in made:
        figures = "\n".join(f"{name} {value:,.4g}" for name, value in row.figures.items())
        drawn.add_row(*(escape(text) for text in (row.part, row.setting, row.state, figures, row.note)))
    return drawn


def file_name(card: str) -> str:
    """File name for a GPU model."""
    return re.sub(r"[^a-z0-9]+", "-", card.lower()).strip("-") + ".json"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print and write the results; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=7.5, help="time limit of the script [default: 7.5]")
    parser.add_argument("--only", choices=PARTS, action="append", help="part to run; may be repeated [default: all]")
    parser.add_argument("--save", action="store_true", help="write results/gpu/<card>.json; no effect without a GPU")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the table to this file")
    options = parser.parse_args(words)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    deadline, found, made = Deadline(60 * options.minutes), facts(device), list[Row]()
    for row in rows(options.only or PARTS, device, deadline):
        print(f"{row.part}, {row.setting}: {row.state}{row.note and f' ({row.note})'}", file=sys.stderr, flush=True)
        made.append(row)
    width = None if sys.stdout.isatty() else 140
    Console(width=width).print(table(found, made))
    text = json.dumps(found | {"rows": [dataclasses.asdict(row) for row in made]}, indent=1) + "\n"
    files = [options.json] if options.json else []
    if options.save and found["card"]:
        files.append(SAVED / file_name(found["card"]))
    elif options.save:
        print("nothing saved: there is no GPU", file=sys.stderr)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(file)
    return int(any(row.state == "failed" for row in made))


if __name__ == "__main__":
    sys.exit(main())
