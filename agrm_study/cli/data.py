"""How does a person make, read, check and prepare a data set?"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click


@click.group()
def data() -> None:
    """Make a synthetic data set, index a real one, check it, decode it once."""


@data.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--subjects", type=click.IntRange(min=6), default=60, show_default=True, help="Labelled children.")
@click.option("--unlabelled", type=click.IntRange(min=0), default=60, show_default=True, help="Unlabelled clips.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--difficulty",
    type=click.Choice(["easy", "medium", "hard"]),
    default="medium",
    show_default=True,
    help="Knee angle and nuisance.",
)
@click.option("--workers", type=click.IntRange(min=1), default=None, help="Processes. [default: one a core]")
def synth(out: Path, subjects: int, unlabelled: int, seed: int, difficulty: str, workers: int | None) -> None:
    """Write a synthetic hybrid data set as real video files, with a manifest, into OUT."""
    from agrm_study.cli.progress_bar import progress_bar
    from agrm_study.training.data.datasets.synthetic import write_synthetic

    with progress_bar("Drawing videos") as on_progress:
        manifest = write_synthetic(
            out,
            subjects=subjects,
            unlabelled=unlabelled,
            seed=seed,
            difficulty=difficulty,
            workers=workers or os.cpu_count() or 1,
            on_progress=on_progress,
        )
    click.echo(str(manifest))
