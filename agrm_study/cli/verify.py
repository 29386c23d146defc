"""The `verify` command: regenerates all outputs from the records and compares them with the written files."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agrm_study.cli.completion import complete_results
from agrm_study.study.counted import counted
from agrm_study.study.errors import InputError
from agrm_study.study.terminal import printable

if TYPE_CHECKING:
    from rich.status import Status

MOST_SHOWN = 50
"""Maximum number of printed differences and remarks; --json includes all."""


@click.command()
@click.argument(
    "results", type=str, shell_complete=complete_results, nargs=-1, required=True, metavar="RESULTS... [PAPER.tex]"
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
def verify(results: tuple[str, ...], as_json: bool) -> int:
    """Recreate the tables, numbers and figures of RESULTS from the records, and compare them with the existing files.

    RESULTS are results folders, records bundles (.zip) or submission folders. In a manuscript PAPER.tex, all
    agrm-study tables and all numbers written as \\agrm{key} are also compared with the records. Works without torch
    and Ray. The exit code is 1 if anything differs or cannot be verified.
    """
    from rich.console import Console

    from agrm_study.records.local_copy import local_copy
    from agrm_study.submission.bundle import opened_bundle
    from agrm_study.submission.manuscript import verify_manuscript
    from agrm_study.submission.pack import BUNDLE, MAIN, verify_submission
    from agrm_study.submission.verify import Made, Verification, verify_folder

    papers = [Path(name) for name in results if name.endswith(".tex")]
    folders = [name for name in results if not name.endswith(".tex")]
    if not folders:
        raise InputError(
            "a manuscript is verified against the records of its studies",
            given=", ".join(results),
            hint="Also specify the results folder: `agrm-study verify results/demo paper.tex`.",
        )
    out, made = Verification(), list[Made]()
    console = Console(stderr=True, highlight=False)
    with contextlib.ExitStack() as copies, console.status("Reading") as status:
        for name in folders:
            if (Path(name) / MAIN).is_file() and (Path(name) / BUNDLE).is_file():
                made.append(verify_submission(Path(name), out))
                continue
            if name.endswith(".zip"):
                folder, faults = copies.enter_context(opened_bundle(Path(name)))
                out.differences.extend(f"{name}: {fault}" for fault in faults)
            else:
                folder = copies.enter_context(local_copy(name))
            show = partial(_show_step, status, name)
            made.append(verify_folder(folder, out, named=name, weights=not name.endswith(".zip"), on_progress=show))
        for paper in papers:
            status.update(str(paper))
            verify_manuscript(paper, made, out)
    if as_json:
        click.echo(
            json.dumps(
                {"passed": out.passed, "checked": out.checked, "differences": out.differences, "remarks": out.remarks},
                indent=2,
                ensure_ascii=False,
            )
        )
    else:
        _show("differs", out.differences)
        _show("remark", out.remarks)
        counts = ", ".join(f"{number:,} {kind}" for kind, number in out.checked.items())
        verdict = (
            "verified: everything agrees with the records"
            if out.passed
            else counted(len(out.differences), "difference")
        )
        click.echo(f"{verdict} ({counts})")
    return 0 if out.passed else 1


def _show_step(status: Status, name: str, step: str) -> None:
    status.update(f"{name}: {step}")


def _show(kind: str, sentences: list[str]) -> None:
    for sentence in sentences[:MOST_SHOWN]:
        click.echo(printable(f"{kind}: {sentence}"))
    if len(sentences) > MOST_SHOWN:
        click.echo(f"{kind}: {len(sentences) - MOST_SHOWN} more; --json lists all")
