"""The `init` command: writes a first study file."""

from __future__ import annotations

import re
from pathlib import Path

import click


@click.command(short_help="Write a commented starter study file.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=Path("study.yaml"))
@click.option(
    "--data",
    "manifest",
    type=click.Path(path_type=Path),
    default=None,
    metavar="MANIFEST",
    help="Manifest of your data.",
)
@click.option("--synthetic", is_flag=True, help="Use synthetic videos, generated on the first run.")
def init(file: Path, manifest: Path | None, synthetic: bool) -> None:
    """Write a commented starter study file to FILE (default: study.yaml).

    Tasks, unlabelled clips and resources are chosen to suit your data and this machine. An existing file is never
    overwritten. `agrm-study data index` creates a manifest from a folder of videos.
    """
    from agrm_study.cli.first_study import facts_of, first_study, synthetic_facts
    from agrm_study.execution.provenance import hardware
    from agrm_study.study.errors import InputError

    if (manifest is None) == (not synthetic):
        raise InputError(
            "specify either --data MANIFEST or --synthetic",
            hint="`agrm-study data index VIDEOS --layout folder --out DIR` creates a manifest of your videos.",
        )
    if file.exists():
        raise InputError("already exists and is not overwritten", where=file, hint="Specify a different file.")
    facts = synthetic_facts() if manifest is None else facts_of(manifest, file)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-._")[:60] or "study"
    machine = hardware()
    text = first_study(name, facts, cpus=machine["cpus"], gpus=len(machine["gpus"]))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as problem:
        raise InputError(f"cannot be written ({problem.strerror})", where=file) from None
    click.echo(str(file))
    click.echo(f"{facts.summary}\nReview {file}, then:", err=True)
    click.echo(f"  agrm-study plan {file}    shows what would run", err=True)
    click.echo(f"  agrm-study run {file}     runs the study; safe to repeat at any time", err=True)
