"""Options shared by several commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from agrm_study.cli.completion import complete_preset, complete_setting, complete_study

F = TypeVar("F", bound=Callable[..., Any])

PARTS = click.option(
    "--parts",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Python file with your own parts; it is executed. May be repeated.",
)


def limit_options(verb: F) -> F:
    """Add --for and --gpu-hours, the limits of a run."""
    for option in (
        click.option(
            "--gpu-hours",
            type=click.FloatRange(min=0, min_open=True),
            metavar="HOURS",
            default=None,
            help="Limit on the total GPU-hours of all runs in the results folder, including failed attempts.",
        ),
        click.option(
            "--for", "time_limit", metavar="TIME", default=None, help="Time limit of one run, e.g. 7h30m or 90m."
        ),
    ):
        verb = option(verb)
    return verb


def study_options(verb: F) -> F:
    """Add STUDY, --results, --set and --preset, which select a study."""
    for option in reversed(
        (
            click.argument("study", type=click.Path(path_type=Path, dir_okay=False), shell_complete=complete_study),
            click.option(
                "--results",
                metavar="DIR",
                default=None,
                help="Folder for records, tables and figures. [default: results/<name of the study>]",
            ),
            click.option(
                "--set",
                "overrides",
                metavar="KEY=VALUE",
                multiple=True,
                shell_complete=complete_setting,
                help="Change a setting of every arm, e.g. --set ssl.ema.alpha=0.999. May be repeated.",
            ),
            click.option(
                "--preset",
                metavar="NAME",
                default=None,
                shell_complete=complete_preset,
                help="Preset that overrides settings of the study, e.g. tiny.",
            ),
        )
    ):
        verb = option(verb)
    return verb


def results_folder(name: str, results: str | None, preset: str | None) -> str | Path:
    """Results folder of a study: as given (a URI unchanged), or ``results/<name>`` (``results/<name>-<preset>``)."""
    if results is not None:
        return results if "://" in results else Path(results)
    return Path("results") / (name if preset is None else f"{name}-{preset}")
