"""How does a results folder become tables and figures? From its records alone, without torch and without Ray."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import click


@click.command()
@click.argument("results", type=click.Path(path_type=Path, file_okay=False), nargs=-1, required=True)
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only these tables. May be repeated.")
@click.option("--figure", "figures", multiple=True, metavar="NAME", help="Only these figures. May be repeated.")
@click.option(
    "--replicates", type=click.IntRange(min=0), default=10_000, show_default=True,
    help="Bootstrap replicates; 0 leaves intervals and p values out.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the bootstrap.")
@click.option(
    "--allow", type=click.Choice(["code", "data", "split"]), multiple=True,
    help="A difference between records that does not refuse a cell.",
)  # fmt: skip
def report(
    results: tuple[Path, ...],
    tables: tuple[str, ...],
    figures: tuple[str, ...],
    replicates: int,
    seed: int,
    allow: tuple[str, ...],
) -> None:
    """Make the tables and figures of RESULTS again, from the records alone."""
    write_report(
        list(results), tables=tables or None, figures=figures or None, replicates=replicates, seed=seed, allow=allow
    )


def write_report(
    results: Sequence[Path],
    *,
    tables: Sequence[str] | None = None,
    figures: Sequence[str] | None = None,
    replicates: int = 10_000,
    seed: int = 0,
    allow: Sequence[str] = (),
) -> None:
    """Write tables and figures; the main tables go to stdout, everything else that is said to stderr.

    Raises:
        InputError: A folder without results, or a name that does not exist.
    """
    from rich.console import Console

    from agrm_study.records.compaction import compact
    from agrm_study.report.build import make_report
    from agrm_study.report.renderers import RENDERERS

    for folder in results:
        with contextlib.suppress(OSError):  # a folder that may only be read is reported on as it is
            compact(folder)
    console = Console(stderr=True, highlight=False)
    with console.status("Writing tables and figures") as status:
        summary = make_report(
            results,
            tables=tables,
            figures=figures,
            replicates=replicates,
            seed=seed,
            allow=allow,
            on_progress=lambda what: status.update(what),
        )
    for made in summary.tables.values():
        for table in made.values():
            click.echo(RENDERERS["md"](table))
    for name, sentence in summary.partial.items():
        click.echo(f"{name}: {sentence}", err=True)
    for problem in summary.problems:
        click.echo(f"left out: {problem}", err=True)
    for reason in summary.skipped:
        click.echo(f"not made: {reason}", err=True)
    for folder in results:
        written = [file for file in summary.files if file.is_relative_to(folder)]
        pages = [file for file in written if file.suffix == ".html" and file.parent == folder]
        click.echo(f"{len(written) - len(pages)} files in {folder / 'tables'} and {folder / 'figures'}", err=True)
        for page in pages:
            click.echo(f"the whole report: {page}", err=True)
