"""The `report` command: creates tables and figures from the records of results folders; requires neither torch nor
Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agrm_study.cli.completion import complete_results
from agrm_study.study.counted import counted
from agrm_study.study.terminal import printable

if TYPE_CHECKING:
    from agrm_study.report.build import ReportSummary
    from agrm_study.report.table import Table

PLAIN_WIDTH = 120
"""Width to which notes are wrapped if the output is not a terminal."""


@click.command()
@click.argument(
    "results",
    type=str,
    shell_complete=complete_results,
    nargs=-1,
    required=True,
)
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only these tables. May be repeated.")
@click.option("--figure", "figures", multiple=True, metavar="NAME", help="Only these figures. May be repeated.")
@click.option(
    "--allow", type=click.Choice(["code", "data", "split"]), multiple=True,
    help="Combine records that differ in this respect, and mark them. May be repeated.",
)  # fmt: skip
@click.option(
    "--parts", type=click.Path(path_type=Path, dir_okay=False), multiple=True,
    help="Python file with your own tables and figures; it is executed. May be repeated.",
)  # fmt: skip
def report(
    results: tuple[str, ...],
    tables: tuple[str, ...],
    figures: tuple[str, ...],
    allow: tuple[str, ...],
    parts: tuple[Path, ...],
) -> None:
    """Recreate the tables and figures of RESULTS from the records alone."""
    write_report(
        list(results),
        tables=tables or None,
        figures=figures or None,
        allow=allow,
        parts=parts,
    )


def write_report(
    results: Sequence[str | Path],
    *,
    tables: Sequence[str] | None = None,
    figures: Sequence[str] | None = None,
    allow: Sequence[str] = (),
    parts: Sequence[Path] = (),
) -> ReportSummary:
    """Write tables and figures; print one table per study on stdout, and messages and the answer on stderr.

    Args:
        results: Results folders, paths or URIs.
        tables: Names of the tables to write. This and the other arguments have the same meaning as in `make_report`.
        parts: Python files with user-defined tables and figures; they are executed.

    Returns:
        Summary of the report; its answers are keyed by the results folders as given.

    Raises:
        InputError: If a folder contains no results, or a name is unknown.
    """
    from rich.console import Console

    from agrm_study.api.names import parts_in
    from agrm_study.report.folders import report_on
    from agrm_study.report.main_table import main_table

    console = Console(stderr=True, highlight=False)
    with console.status("Writing tables and figures") as status:
        made = report_on(
            results,
            tables=tables,
            figures=figures,
            allow=allow,
            parts=parts_in(parts).parts if parts else (),
            on_progress=lambda what: status.update(what),
        )
    summary, folders = made.summary, made.folders
    names = {str(folder): asked for asked, folder in zip(results, folders, strict=True)}
    for place, by_name in summary.tables.items():
        if (table := next(iter(by_name.values()), None) if tables else main_table(by_name)) is not None:
            print_table(table)
            others = [name for name in by_name if name != table.name]
            if others:
                click.echo(f"other tables in {below(names[place], 'tables')}: {', '.join(others)}", err=True)
    for asked, folder in zip(results, folders, strict=True):
        if str(folder) in summary.partial:
            click.echo(f"{asked}: {summary.partial[str(folder)]}", err=True)
    for problem in summary.problems:
        click.echo(printable(f"{'left out' if problem.severity == 'refuse' else 'marked'}: {problem}"), err=True)
    for reason in summary.skipped:
        click.echo(printable(f"not created: {reason}"), err=True)
    for note in summary.notes:
        click.echo(printable(f"note: {note}"), err=True)
    for asked, folder in zip(results, folders, strict=True):
        written = [file for file in summary.files if file.is_relative_to(folder)]
        pages = [file for file in written if file.suffix == ".html" and file.parent == folder]
        places = f"{below(asked, 'tables')} and {below(asked, 'figures')}"
        click.echo(f"{counted(len(written) - len(pages), 'file')} in {places}", err=True)
        for page in pages:
            said = printable(summary.answers[str(folder)])
            click.echo(f"{said}\nfull report: {below(asked, page.name)}", err=True)
    answers = {
        str(asked): summary.answers[str(folder)]
        for asked, folder in zip(results, folders, strict=True)
        if str(folder) in summary.answers
    }
    return replace(summary, answers=answers)


def print_table(table: Table) -> None:
    """Print a table on stdout: at terminal width, or unwrapped and unstyled if stdout is not a terminal."""
    from rich.console import Console

    from agrm_study.report.renderers.terminal import render, wide_enough

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(PLAIN_WIDTH, wide_enough(table)))
    styled = console.is_terminal
    console.print(render(table, console.width if styled else None, styled=styled))
    console.print()


def below(results: str | Path, name: str) -> str:
    """Displayed path of a file or folder within a results folder; parameters of a URI are omitted."""
    return f"{str(results).partition('?')[0]}/{name}" if "://" in str(results) else str(Path(results) / name)
