"""What does an editor need to know to complete and check study files?"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(short_help="JSON Schema of study files, for editors.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Write it here. [default: stdout]",
)
def schema(out: Path | None) -> None:
    """Print the JSON Schema of study files, for editors (docs/editor.md says how to use it)."""
    from agrm_study.api.names import known_names
    from agrm_study.study.errors import InputError
    from agrm_study.study.schema import study_schema

    text = json.dumps(study_schema(known_names()), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise InputError(
            "the file cannot be written", field="--out", given=str(out), hint=f"{problem.strerror}."
        ) from None
    click.echo(
        f"{out} written. Study files that begin with this line are completed and checked by editors that have a YAML "
        f"language server:\n# yaml-language-server: $schema={out}",
        err=True,
    )
