"""Which setting is better, across studies?"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("results", type=click.Path(path_type=Path, file_okay=False), nargs=-1, required=True)
@click.option("--by", required=True, metavar="FIELD", help="A setting (ssl.threshold.tau) or a column of the records.")
@click.option(
    "--allow", type=click.Choice(["code", "data", "split"]), multiple=True, help="A difference that does not refuse."
)
@click.option("--replicates", type=click.IntRange(min=0), default=10_000, show_default=True, help="As of `report`.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Also write the table into this folder.")
def compare(
    results: tuple[Path, ...], by: str, allow: tuple[str, ...], replicates: int, seed: int, out: Path | None
) -> None:
    """Compare the arms of one or several RESULTS along one setting."""
    from agrm_study.report.compare import compare as compare_studies
    from agrm_study.report.renderers import RENDERERS

    table = compare_studies(list(results), by, allow=allow, replicates=replicates, seed=seed, out=out)
    click.echo(RENDERERS["md"](table))
