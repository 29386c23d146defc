"""The `schema` command: prints the JSON schema for completion and validation of study files in an editor."""

from __future__ import annotations

import json
from pathlib import Path

import click

from agrm_study.cli.completion import complete_study


@click.command(short_help="JSON Schema of study files, for editors.")
@click.argument("study", type=click.Path(path_type=Path, dir_okay=False), required=False, shell_complete=complete_study)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="File to write. [default: stdout]",
)
def schema(study: Path | None, out: Path | None) -> None:
    """Print the JSON Schema of study files, for editors (see docs/editor.md).

    With STUDY, the schema includes the user-defined parts of this study, and their options.
    """
    from agrm_study.api.names import all_names, parts_of, trainer_of
    from agrm_study.study.errors import InputError
    from agrm_study.study.parts.source import OwnParts
    from agrm_study.study.schema import study_schema

    own = OwnParts() if study is None else parts_of(study)
    trainer = None if study is None else trainer_of(study, own)
    text = json.dumps(study_schema(all_names(own), own.parts, trainer), indent=2, ensure_ascii=False) + "\n"
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
        f"{out} written. Editors with a YAML language server complete and check study files that begin with this "
        f"line:\n# yaml-language-server: $schema={out}",
        err=True,
    )
