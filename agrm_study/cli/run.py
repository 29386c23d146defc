"""How does a study get from its file to its tables? One command, safe to repeat at any time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agrm_study.cli.options import results_folder, study_options

if TYPE_CHECKING:
    from agrm_study.execution.summary import RunSummary


@click.command()
@study_options
@click.option("--address", metavar="ADDR", default=None, help="A Ray cluster. [default: a Ray on this machine]")
@click.option("--slots", type=click.IntRange(min=1), default=None, help="Trials at once. [default: as many as fit]")
@click.option("--retry-failed", is_flag=True, help="Also run what failed for a reason that would come out the same.")
@click.option("--no-report", is_flag=True, help="Leave tables and figures to `agrm-study report`.")
def run(
    study: Path,
    results: str | None,
    overrides: tuple[str, ...],
    preset: str | None,
    address: str | None,
    slots: int | None,
    retry_failed: bool,
    no_report: bool,
) -> int:
    """Run what STUDY is missing, record it, and write its tables and figures.

    STUDY is a study file or the name of a shipped study. Nothing that has finished is run again: the same command
    goes on after an interruption, a crash, or a widened study.
    """
    from agrm_study.cli.names import read_study
    from agrm_study.execution.progress.view import choose_view
    from agrm_study.execution.run import RunOptions, run_study

    asked = read_study(study, overrides, preset)
    folder = results_folder(asked.name, results, preset)
    options = RunOptions(results=results or folder, slots=slots, address=address, retry_failed=retry_failed)
    summary = run_study(asked, options, view=choose_view(sys.stderr))
    _tell(summary)
    if summary.before + summary.finished and not no_report:
        from agrm_study.cli.report import write_report

        write_report([folder])
    return summary.exit_code


def _tell(summary: RunSummary) -> None:
    """What was done and what was not, on stderr."""
    from agrm_study.execution.progress.wording import duration, failure_words

    def line(text: str) -> None:
        click.echo(text, err=True)

    done = summary.before + summary.finished
    line(
        f"{summary.study}: {done} of {summary.total} trials finished"
        f" ({summary.finished} in this run, {duration(summary.wall_s)})"
    )
    for trial in summary.failed:
        words = failure_words(trial.failure, trial.error)
        heals = "the next run tries it again" if trial.heals else "--retry-failed runs it again"
        line(f"  failed: {trial.arm}, {trial.task}, seed {trial.seed}: {words} ({heals})")
    if summary.held:
        line(f"  {summary.held} trials were held back because their arm kept failing in the same way")
    if summary.interrupted:
        line("interrupted: what had finished is kept; the same command goes on from there")
