"""The `evaluate` command: evaluates finished trials on an external data set, or on corrupted copies of their test
part."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from agrm_study.cli.completion import complete_results
from agrm_study.study.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from agrm_study.execution.evaluation.run import EvaluationSummary
    from agrm_study.execution.evaluation.sets import CorruptedCopies, ExternalSet


@click.command()
@click.argument("results", type=str, shell_complete=complete_results)
@click.option(
    "--manifest", type=click.Path(path_type=Path), default=None, help="Manifest of an external labelled data set."
)
@click.option("--name", default=None, metavar="NAME", help="Name of the external set in tables and records.")
@click.option(
    "--distinct-subjects", is_flag=True,
    help="Treat subject ids that also occur in the study as different people.",
)  # fmt: skip
@click.option(
    "--trained-on", type=click.Path(path_type=Path), default=None,
    help="Path of the study's own manifest, if it was moved.",
)  # fmt: skip
@click.option(
    "--corrupt", "kinds", default=None, metavar="LIST",
    help="Corruptions of the study's test part, separated by commas, or all.",
)  # fmt: skip
@click.option(
    "--severity", default="1-5", show_default=True, metavar="LIST", help="Severities for --corrupt, e.g. 1-5 or 1,3,5."
)
@click.option(
    "--seed", type=click.IntRange(min=0, max=2**31 - 1), default=0, show_default=True,
    help="Seed of the corruptions for --corrupt.",
)  # fmt: skip
@click.option(
    "--arm", "arms", multiple=True, metavar="NAME", help="Evaluate only this arm. May be repeated. [default: all]"
)
@click.option("--again", is_flag=True, help="Repeat recorded evaluations.")
@click.option("--address", metavar="ADDR", default=None, help="Address of a running Ray cluster, or auto.")
@click.option(
    "--slots", type=click.IntRange(min=1), default=None,
    help="Number of concurrent trials, on Ray. [default: one at a time, without Ray]",
)  # fmt: skip
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default=None, help="[default: a GPU if there is one]")
@click.option("--no-report", is_flag=True, help="Do not write tables or figures; `agrm-study report` can do so later.")
def evaluate(
    results: str,
    manifest: Path | None,
    name: str | None,
    distinct_subjects: bool,
    trained_on: Path | None,
    kinds: str | None,
    severity: str,
    seed: int,
    arms: tuple[str, ...],
    again: bool,
    address: str | None,
    slots: int | None,
    device: Literal["cpu", "cuda"] | None,
    no_report: bool,
) -> int:
    """Evaluate the finished trials of RESULTS on other data, with their saved weights.

    With --manifest and --name, the data are an external set, which must not share videos or subjects with the study.
    With --corrupt, they are corrupted copies of the study's own test part. Records are written to separate files in
    RESULTS, and the report includes the corresponding tables and figures. Recorded evaluations are not repeated.
    """
    from agrm_study.execution.evaluation.run import evaluate as evaluate_trials
    from agrm_study.execution.interrupt import Interrupt
    from agrm_study.execution.options import RunOptions
    from agrm_study.execution.progress.lines import choose_view
    from agrm_study.records.evaluations import EXTERNAL, ROBUSTNESS
    from agrm_study.study.terminal import printable

    wanted = _wanted(manifest, name, distinct_subjects, trained_on, kinds, severity, seed)
    on_ray = address is not None or slots is not None
    options = RunOptions(
        results=results,
        slots=slots,
        address=address,
        executor="ray" if on_ray else "inline",
        device=device or (None if on_ray else _device()),
    )
    with Interrupt() as interrupt:
        summary = evaluate_trials(
            results, wanted, options, arms=arms, again=again, view=choose_view(sys.stderr), interrupt=interrupt
        )
    for line in _lines(summary):
        click.echo(printable(line), err=True)
    if no_report or not summary.before + summary.evaluated:
        return summary.exit_code
    return _report(results, EXTERNAL if manifest is not None else ROBUSTNESS, summary.exit_code)


def _wanted(
    manifest: Path | None,
    name: str | None,
    distinct_subjects: bool,
    trained_on: Path | None,
    kinds: str | None,
    severity: str,
    seed: int,
) -> ExternalSet | CorruptedCopies:
    from agrm_study.execution.evaluation.sets import CorruptedCopies, ExternalSet
    from agrm_study.records.evaluations import NAME

    if (manifest is None) == (kinds is None):
        raise click.UsageError("specify the data: --manifest FILE with --name NAME, or --corrupt LIST")
    if kinds is not None:
        if name is not None or distinct_subjects or trained_on is not None:
            raise click.UsageError("--name, --distinct-subjects and --trained-on require --manifest")
        return CorruptedCopies(kinds=_kinds(kinds), severities=_severities(severity), seed=seed)
    if name is None or manifest is None:
        raise click.UsageError("--manifest requires --name, the name of the set in tables and records")
    if not NAME.fullmatch(name):
        raise InputError(
            "is not a valid set name",
            field="--name",
            given=name,
            allowed="up to 40 characters from a-z, 0-9, _ and -, beginning with a letter or digit",
        )
    return ExternalSet(manifest=manifest, name=name, distinct_subjects=distinct_subjects, trained_on=trained_on)


def _kinds(text: str) -> tuple[str, ...]:
    from agrm_study.execution.corruptions import CORRUPTIONS

    if text.strip() == "all":
        return tuple(CORRUPTIONS)
    found = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for kind in found:
        if kind not in CORRUPTIONS:
            raise InputError(
                "unknown corruption",
                field="--corrupt",
                given=kind,
                allowed=f"{', '.join(CORRUPTIONS)}, or all",
                hint=did_you_mean(kind, CORRUPTIONS),
            )
    if not found:
        raise InputError(
            "requires at least one corruption", field="--corrupt", given=text, allowed=f"{', '.join(CORRUPTIONS)}, all"
        )
    return found


def _severities(text: str) -> tuple[int, ...]:
    from agrm_study.records.evaluations import SEVERITIES

    found: set[int] = set()
    for word in text.split(","):
        form = re.fullmatch(r"\s*([1-5])(?:\s*-\s*([1-5]))?\s*", word)
        if form is None or int(form[2] or form[1]) < int(form[1]):
            raise InputError(
                "are not valid severities",
                field="--severity",
                given=text,
                allowed="numbers from 1 to 5, e.g. 1-5 or 1,3,5",
            )
        found |= set(range(int(form[1]), int(form[2] or form[1]) + 1))
    return tuple(severity for severity in SEVERITIES if severity in found)


def _lines(summary: EvaluationSummary) -> list[str]:
    """Summary of the evaluated trials and of the trials that were not evaluated."""
    from agrm_study.execution.progress.wording import failure_words

    lines = [f"error: the evaluation stopped early: {summary.error}"] if summary.error else []
    lines.append(summary.sentence)
    for trial in summary.failed:
        words = failure_words(trial.failure, trial.error)
        lines.append(f"  failed: {trial.arm}, {trial.task}, seed {trial.seed}: {words} (the same command retries it)")
    lines += [f"  not evaluated: {text}" for text in summary.without_weights]
    if summary.unfinished:
        lines.append(f"  {summary.unfinished} planned trials have not finished training and are not evaluated")
    if summary.interrupted:
        lines.append("interrupted: finished evaluations are kept; the same command runs the others")
    return lines


def _report(results: str, table: str, exit_code: int) -> int:
    """Write the report and print the table of the evaluation; returns the exit code."""
    from agrm_study.cli.report import print_table, write_report

    try:
        made = write_report([results])
    except (InputError, OSError) as problem:
        click.echo(f"error: the report could not be written: {problem}", err=True)
        click.echo(f"Fix the cause, then run `agrm-study report {results}` to write it from the records.", err=True)
        return exit_code or 1
    for tables in made.tables.values():
        if table in tables:
            print_table(tables[table])
    return exit_code


def _device() -> Literal["cpu", "cuda"]:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
