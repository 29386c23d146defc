"""The `run` command: runs a study and writes its tables; safe to repeat at any time."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agrm_study.cli.options import limit_options, results_folder, study_options
from agrm_study.hooks import HOOKS
from agrm_study.study.counted import counted
from agrm_study.study.errors import InputError

if TYPE_CHECKING:
    from agrm_study.execution.summary import RunSummary


@click.command()
@study_options
@click.option(
    "--address",
    metavar="ADDR",
    default=None,
    help="Address of a running Ray cluster, or auto. [default: a local Ray instance]",
)
@click.option("--autoscale", is_flag=True, help="Let the cluster's autoscaler add nodes; requires --slots.")
@click.option(
    "--slots", type=click.IntRange(min=1), default=None, help="Number of concurrent trials. [default: as many as fit]"
)
@limit_options
@click.option("--retry-failed", is_flag=True, help="Also run trials that failed deterministically.")
@click.option(
    "--join", is_flag=True, help="Share the study with other runs that use --join and the same results folder."
)
@click.option("--no-report", is_flag=True, help="Do not write tables or figures; `agrm-study report` can do so later.")
@click.option(
    "--log", "logs", type=click.Choice(list(HOOKS)), multiple=True,
    help="Export trials to this tracker as they finish (see `agrm-study log`). May be repeated.",
)  # fmt: skip
@click.option(
    "--notify", metavar="COMMAND", default=None,
    help="Command to run at the end; it receives the outcome as its last argument (one line) and on stdin (JSON). "
         "[default: $AGRM_STUDY_NOTIFY]",
)  # fmt: skip
def run(
    study: Path,
    results: str | None,
    overrides: tuple[str, ...],
    preset: str | None,
    address: str | None,
    autoscale: bool,
    slots: int | None,
    time_limit: str | None,
    gpu_hours: float | None,
    retry_failed: bool,
    join: bool,
    no_report: bool,
    logs: tuple[str, ...],
    notify: str | None,
) -> int:
    """Run the missing trials of STUDY, record them, and write tables and figures.

    STUDY is a study file or the name of a shipped study. Finished trials are not run again: the same command resumes
    a study after an interruption or a crash, and runs only the new trials after arms or seeds have been added.

    With --for or --gpu-hours, trials that cannot finish within the limit are not started, and running ones are saved
    before it is reached. The exit code is then 130 (--for: the same command resumes the study) or 1 (--gpu-hours).
    """
    from agrm_study.api.names import read_study
    from agrm_study.cli.followed_view import FollowedView
    from agrm_study.execution.dispatch.budget import read_limits
    from agrm_study.execution.interrupt import Interrupt
    from agrm_study.execution.options import RunOptions
    from agrm_study.execution.progress.lines import choose_view
    from agrm_study.execution.run import run_study
    from agrm_study.hooks.follow import Follower
    from agrm_study.plan.notes import study_notes

    asked = read_study(study, overrides, preset)
    folder = results_folder(asked.name, results, preset)
    limits = read_limits(time_limit, gpu_hours)
    options = RunOptions(
        results=folder,
        slots=slots,
        address=address,
        autoscale=autoscale,
        retry_failed=retry_failed,
        limits=limits,
        join=join,
    )
    command = _notifier(notify)
    for note in study_notes(asked):
        click.echo(f"note: {note}", err=True)
    followers = [Follower(options.results, name, asked) for name in dict.fromkeys(logs)]
    with Interrupt() as interrupt:
        view = FollowedView(choose_view(sys.stderr), followers)
        summary = run_study(asked, options, view=view, interrupt=interrupt)
    _tell(summary)
    with ExitStack() as at_the_end:  # also if the report cannot be written
        said: dict[str, Any] = {"answer": None, "report": None, "exit_code": summary.exit_code}
        at_the_end.callback(_notify, command, summary, said)
        for follower in followers:
            if (problem := follower.close()) is not None:
                click.echo(problem, err=True)
        if summary.before + summary.finished and summary.reports and not no_report:
            said |= _report(options.results, summary.exit_code)
    return int(said["exit_code"])


def _report(results: str | Path, exit_code: int) -> dict[str, Any]:
    """Write the report; return the answer, the page and the exit code (not 2 on failure, since trials have run)."""
    from agrm_study.cli.report import below, write_report

    try:
        made = write_report([results])
    except (InputError, OSError) as problem:
        click.echo(f"error: the report could not be written: {problem}", err=True)
        click.echo(f"Fix the cause, then run `agrm-study report {results}` to write it from the records.", err=True)
        return {"exit_code": exit_code or 1}
    return {"answer": made.answers.get(str(results)), "report": below(results, "report.html")}


def _notifier(given: str | None) -> tuple[str, ...] | None:
    from agrm_study.execution.notify import VARIABLE, notifier

    if given is not None:
        return notifier(given)
    command = os.environ.get(VARIABLE)
    return notifier(command, VARIABLE) if command else None


def _notify(command: tuple[str, ...] | None, summary: RunSummary, said: dict[str, Any]) -> None:
    """Run the notification command; a failure is printed and does not affect the exit code."""
    from agrm_study.execution.notify import notify

    if command is not None and (problem := notify(command, summary.sentence, summary.to_dict() | said)) is not None:
        click.echo(problem, err=True)


def _tell(summary: RunSummary) -> None:
    """Print a summary of finished and unfinished work to stderr."""
    from agrm_study.execution.progress.wording import failure_words, hours_words, replicate_words

    def line(text: str) -> None:
        click.echo(text, err=True)

    if summary.error:
        line(f"error: the run stopped early: {summary.error}")
    line(summary.sentence)
    if summary.finished or summary.unfinished:
        line(f"  {hours_words(summary.used)} used in total, including failed attempts")
    for trial in summary.failed:
        words = failure_words(trial.failure, trial.error)
        heals = "the next run retries it" if trial.heals else "--retry-failed retries it"
        line(f"  failed: {trial.arm}, {trial.task}, {replicate_words(trial)}: {words} ({heals})")
    if summary.inherited:
        epochs = counted(summary.inherited, "epoch was", "epochs were")
        line(f"  {epochs} reused from trials that had already trained them")
    if summary.held:
        trials = counted(summary.held, "trial was", "trials were")
        line(f"  {trials} held back because the arm kept failing in the same way")
    if summary.elsewhere:
        trials = counted(summary.elsewhere, "trial is", "trials are")
        line(f"  {trials} running in other joined runs")
    if not summary.reports:
        line("another joined run writes the report")
    if summary.interrupted:
        line("interrupted: finished trials are kept; the same command resumes the others")
