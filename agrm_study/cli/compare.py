"""The `compare` command: compares settings across studies."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from agrm_study.cli.completion import complete_results, complete_setting_name


@click.command()
@click.argument(
    "results",
    type=str,
    shell_complete=complete_results,
    nargs=-1,
    required=True,
)
@click.option(
    "--by",
    required=True,
    metavar="FIELD",
    help="Setting by which the arms are grouped, e.g. ssl.threshold.tau.",
    shell_complete=complete_setting_name,
)
@click.option(
    "--allow",
    type=click.Choice(["code", "data", "split"]),
    multiple=True,
    help="Combine records that differ in this respect. May be repeated.",
)
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Also write the table to this folder.")
def compare(results: tuple[str, ...], by: str, allow: tuple[str, ...], out: Path | None) -> None:
    """Compare the arms of the studies in RESULTS, grouped by a setting."""
    from agrm_study.cli.report import print_table
    from agrm_study.records.local_copy import local_copy
    from agrm_study.report.compare import compare as compare_studies

    with ExitStack() as copies:
        folders = [copies.enter_context(local_copy(folder)) for folder in results]
        table = compare_studies(folders, by, allow=allow, out=out)
    print_table(table)
