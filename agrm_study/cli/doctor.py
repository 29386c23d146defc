"""The `doctor` command: checks whether a machine or cluster can run a study, and suggests a remedy for each problem."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agrm_study.cli.completion import complete_results
from agrm_study.study.counted import counted

if TYPE_CHECKING:
    from agrm_study.execution.fitness.finding import Finding

MARKS = {"ok": "[green]✓[/]", "note": "[yellow]·[/]", "problem": "[red]✗[/]"}


@click.command(short_help="Check whether this machine can run a study.")
@click.argument("results", type=str, default="results", shell_complete=complete_results)
@click.option("--address", metavar="ADDR", default=None, help="Also check every node of this Ray cluster.")
@click.option("--ray", "with_ray", is_flag=True, help="Also start a local Ray instance (takes a few seconds).")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
def doctor(results: str, address: str | None, with_ray: bool, as_json: bool) -> int:
    """Check whether this machine can run a study whose results are written to RESULTS (default: ./results).

    Each line is ok, a note, or a problem that would stop a study, with a remedy. The exit code is 1 if there is a
    problem. Nothing is changed; files written for the checks are removed afterwards.
    """
    findings = _findings(results, address, with_ray)
    if as_json:
        found = list(findings)
        fit = not any(finding.level == "problem" for finding in found)
        click.echo(json.dumps({"fit": fit, "findings": [f.to_dict() for f in found]}, indent=2, ensure_ascii=False))
    else:
        found = _show(findings)
    return 1 if any(finding.level == "problem" for finding in found) else 0


def _findings(results: str, address: str | None, with_ray: bool) -> Iterator[Finding]:
    """Yield the finding of each check, in order, as soon as it is available."""
    from agrm_study.execution.fitness import machine, packages
    from agrm_study.execution.fitness.finding import note, problem

    checks: list[Callable[[], Iterable[Finding]]] = [
        packages.check_python,
        packages.check_packages,
        machine.check_processors,
        machine.check_memory,
        machine.check_shared_memory,
        machine.check_open_files,
        machine.check_clock,
        machine.check_ray_start,
        lambda: _storage(results),
        packages.check_torch,
        _video,
    ]
    if with_ray or address is not None:
        checks.append(lambda: _ray(address, results))
    for check in checks:
        try:
            yield from check()
        except Exception as fault:  # an error in a check becomes a finding; the other checks still run
            name = getattr(check, "__name__", "check").removeprefix("check_").strip("_")
            yield problem(name, f"{type(fault).__name__}: {fault}", "This check itself failed; please report it.")
    if "://" in results and not (with_ray or address is not None):
        advice = "At its start, a run checks whether the folder is writable."
        yield note("results folder", f"{results} is checked for joined runs only", advice)


def _storage(results: str) -> Iterable[Finding]:
    from agrm_study.execution.fitness.storage import check_joining, check_storage
    from agrm_study.records.location import Location

    return check_joining(Location.of(results)) if "://" in results else check_storage(Path(results))


def _video() -> Iterable[Finding]:
    from agrm_study.execution.fitness.video import check_video

    return check_video()


def _ray(address: str | None, results: str) -> Iterable[Finding]:
    from agrm_study.execution.driver.call import ray_findings

    return ray_findings(address, results)


def _show(findings: Iterable[Finding]) -> list[Finding]:
    """Print each finding as it arrives, then a one-line conclusion."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    began = time.monotonic()
    found = []
    for finding in findings:
        found.append(finding)
        text, advice = escape(finding.text), escape(finding.advice)
        if not console.is_terminal:  # one finding per line, for grep
            line = f"{finding.level:<8}{finding.check:<18}{text}{' -> ' if advice else ''}{advice}"
            console.print(line, soft_wrap=True)
            continue
        row = Table.grid(padding=(0, 1))
        row.add_column(width=1)
        row.add_column(width=17)
        row.add_column()
        row.add_row(MARKS[finding.level], finding.check, text)
        if advice:
            row.add_row("", "", f"[dim]→[/] {advice}")
        console.print(row)
    problems = sum(finding.level == "problem" for finding in found)
    notes = sum(finding.level == "note" for finding in found)
    noted = f" ({counted(notes, 'note')})" if notes else ""
    took = f"{time.monotonic() - began:.0f} s"
    if problems:
        them = "it" if problems == 1 else "them"
        console.print(
            f"\n{counted(problems, 'problem')} would stop a study{noted}; fix {them}, then check again. {took}"
        )
    else:
        console.print(f"\nThis machine can run a study{noted}. {took}")
    return found
