"""The `check-part` command: tests user-defined parts."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("check-part", short_help="Check your own backbones, losses, tables, trainers …")
@click.argument("file", type=click.Path(path_type=Path))
def check_part(file: Path) -> int:
    """Run the conformance checks of every part in FILE and explain failures; the exit code is 1 if a check fails.

    FILE is a Python file or a module, as under `parts:` in a study. It is executed.
    """
    from agrm_study.api.names import parts_in
    from agrm_study.conformance.checks import check_part as checks
    from agrm_study.study.parts.names import full_name
    from agrm_study.study.terminal import printable

    failed = 0
    for part in parts_in([file]).parts:
        ended = list(checks(part.kind, full_name(part.name, part.source)))
        broken = [check for check in ended if check.reason]
        failed += len(broken)
        click.echo(f"{part.kind} {part.name}: {len(ended) - len(broken)} of {len(ended)} checks pass")
        for check in broken:
            click.echo(printable(f"  fails: {check.promise} Found: {check.reason}."))
    return 1 if failed else 0
