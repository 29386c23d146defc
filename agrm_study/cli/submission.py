"""The `submission` command: writes all material for a manuscript that can be generated from the records into one
folder."""

from __future__ import annotations

from pathlib import Path

import click

from agrm_study.cli.completion import complete_results
from agrm_study.study.counted import counted
from agrm_study.study.terminal import printable

NAMES = ("claim", "tripod-ai")


def _checklists(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """The checklists specified in all uses of the option, without duplicates."""
    names = tuple(dict.fromkeys(name.strip() for text in given for name in text.split(",") if name.strip()))
    for name in names:
        if name not in NAMES:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(NAMES)}.")
    return names


@click.command()
@click.argument("results", type=click.Path(path_type=Path, file_okay=False), shell_complete=complete_results)
@click.option(
    "--checklist", "checklists", metavar="LIST", multiple=True, callback=_checklists,
    help=f"Checklists to fill from the records, separated by commas: {', '.join(NAMES)}. [default: all]",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Output folder. [default: RESULTS/submission]"
)
def submission(results: Path, checklists: tuple[str, ...], out: Path | None) -> None:
    """Write methods, participant flow, tables, figures, checklists and a records bundle of RESULTS into one folder.

    Each checklist item is answered from the records, with its source, or marked for completion by the authors. The
    folder compiles with pdflatex, and `agrm-study verify` checks it. Works without torch and Ray.
    """
    from rich.console import Console

    from agrm_study.submission.checklists import CHECKLISTS
    from agrm_study.submission.pack import MAIN, write_submission

    target = out or results / "submission"
    with Console(stderr=True, highlight=False).status("Reading") as status:
        pack = write_submission(results, target, checklists or tuple(CHECKLISTS), on_progress=status.update)
    click.echo(printable(f"{counted(len(pack.files), 'file')} in {pack.folder}"))
    for name, (open_items, items) in pack.open_items.items():
        click.echo(
            f"{CHECKLISTS[name].title}: {items - open_items} of {items} items filled, {open_items} for the authors"
        )
    click.echo(printable(f"compile: pdflatex {MAIN} (in {pack.folder}); verify: agrm-study verify {pack.folder}"))
