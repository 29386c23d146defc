"""The `predict` command: classifies new videos with an exported model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agrm_study.cli.completion import complete_model

if TYPE_CHECKING:
    from agrm_study.export.predict import Prediction
    from agrm_study.export.recipe_file import ModelRecipe


@click.command(short_help="Classify videos with an exported network (screening research, not a diagnosis).")
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL_FOLDER", shell_complete=complete_model)
@click.argument("videos", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="VIDEO...")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Number of decoding processes."
)
def predict(model: Path, videos: tuple[Path, ...], as_json: bool, device: str, workers: int) -> int:
    """Classify each VIDEO with the network in MODEL_FOLDER (created by `agrm-study export`).

    Videos are decoded, cropped and averaged as in the study. This is screening research, not a diagnosis. The exit code
    is 1 if a video cannot be used; the others are still classified.
    """
    from agrm_study.cli.progress_bar import progress_bar
    from agrm_study.export.predict import Predictor
    from agrm_study.export.recipe_file import NOTICE

    predictor = Predictor.load(model, device)
    with progress_bar("Checking videos") as on_progress:
        found = predictor.predict(videos, workers=workers, on_progress=on_progress)
    if as_json:
        click.echo(json.dumps([each.to_dict() for each in found], indent=2, ensure_ascii=False))
    else:
        _show(found, predictor.model)
        click.echo(f"{NOTICE.capitalize()}.")
    for each in found:
        if each.error is not None:
            click.echo(f"error: {each.file}: {each.error}", err=True)
    return 1 if any(each.error is not None for each in found) else 0


def _show(found: Sequence[Prediction], model: ModelRecipe) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="dim", title=None)
    table.add_column("file", overflow="fold")
    for name in model.recipe.classes:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("decision")
    for each in found:
        if each.probabilities is not None and each.decision is not None:
            numbers = [f"{each.probabilities[name]:.3f}" for name in model.recipe.classes]
            mark = " *" if each.note else ""
            table.add_row(escape(each.file), *numbers, each.decision.replace("_", " ") + mark)
    if table.row_count:
        console.print(table)
    for each in found:
        if each.note:
            console.print(f"* {escape(each.file)}: {escape(each.note)}", soft_wrap=True)
