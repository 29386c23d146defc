"""The `clean` command: lists files that are no longer needed, and removes them after confirmation."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from agrm_study.cli.completion import complete_results
from agrm_study.cli.plan_cost import format_bytes
from agrm_study.study.terminal import printable

if TYPE_CHECKING:
    from agrm_study.execution.clean import Unneeded


@click.command()
@click.argument("results", type=str, shell_complete=complete_results)
@click.option("--weights", is_flag=True, help="Also include the best weights of trials that no reported arm needs.")
@click.option("--all-weights", is_flag=True, help="Also include the best weights of reported arms.")
@click.option("--dry-run", is_flag=True, help="List the files without removing them.")
@click.option("--yes", is_flag=True, help="Remove without confirmation.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout, without confirmation.")
def clean(results: str, weights: bool, all_weights: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """List files in RESULTS that are needed neither for tables nor for resuming, and remove them after confirmation.

    These are temporary files of killed processes, claims of joined runs that have ended, checkpoints of trials that
    have finished or are no longer in the plan, and states that no trial needs. With --weights, the best weights of
    trials no longer in the plan and of arms stopped by a race are included. Records are never removed, so no table
    changes. `export` and `explain` need weights. Without a terminal, nothing is removed unless --yes is given.
    """
    from agrm_study.execution.clean import Which, remove, unneeded

    if yes and dry_run:
        raise click.UsageError("--yes and --dry-run are mutually exclusive")
    which: Which = "all" if all_weights else "unreported" if weights else "none"
    items = unneeded(results, weights=which)
    if not as_json:
        _show(results, items)
    asks = not (as_json or dry_run or yes) and sys.stdin.isatty() and sys.stdout.isatty()
    removes = bool(items) and (yes or (asks and click.confirm("Remove them?", default=False)))
    freed = remove(results, items, weights=which, on_note=_note) if removes else 0
    if as_json:
        found = [{"kind": item.kind, "path": item.path, "bytes": item.bytes} for item in items]
        click.echo(json.dumps({"unneeded": found, "removed": removes, "freed": freed}, indent=2, ensure_ascii=False))
    elif removes:
        click.echo(f"removed: {format_bytes(freed)}")
    elif items and not asks and not dry_run:
        click.echo("nothing was removed: add --yes to remove without confirmation")


def _note(text: str) -> None:
    click.echo(printable(text), err=True)


def _show(results: str, items: list[Unneeded]) -> None:
    from agrm_study.execution.clean import WORDS

    if not items:
        click.echo(printable(f"{results}: nothing to remove"))
        return
    for kind, words in WORDS.items():
        sizes = [item.bytes for item in items if item.kind == kind]
        if sizes:
            click.echo(f"{words}: {len(sizes)}, {format_bytes(sum(sizes))}")
    click.echo(f"total: {format_bytes(sum(item.bytes for item in items))}")
