"""The `status` command: shows finished, running and failed trials, with the reason for each failure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from agrm_study.cli.completion import complete_results
from agrm_study.cli.plan_cost import format_bytes
from agrm_study.study.counted import counted
from agrm_study.study.terminal import escape, printable

if TYPE_CHECKING:
    from agrm_study.execution.progress.status import SearchStatus, StudyStatus, TuningStatus


@click.command()
@click.argument("results", type=str, shell_complete=complete_results)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
@click.option("--check", is_flag=True, help="Read every record and weights file and compare it with its digest.")
def status(results: str, as_json: bool, check: bool) -> int:
    """Show the progress of the study in RESULTS, from any shell, while it runs or afterwards.

    With --check, the exit code is 1 if a file is missing or damaged. Records of version 0.1 have no digests: they are
    counted as unverified.
    """
    from agrm_study.execution.progress.status import status as read_status
    from agrm_study.records.disk_use import disk_use
    from agrm_study.records.whole import broken_trials, check_results, unverified_trials

    state = read_status(results)
    disk = asdict(disk_use(results))
    unverified = unverified_trials(results) if check else 0
    if check:
        faults = check_results(results)
    else:
        faults = [str(fault) for fault in broken_trials(results, content=False).values()]
    if as_json:
        found = {"disk": disk, "faults": faults} | ({"unverified": unverified} if check else {})
        click.echo(json.dumps(state.to_dict() | found, indent=2, ensure_ascii=False))
    else:
        _show(state)
        parts = ", ".join(f"{kind} {format_bytes(size)}" for kind, size in disk.items() if size)
        click.echo(f"\ndisk: {format_bytes(sum(disk.values()))} ({parts})")
        for fault in faults:
            click.echo(printable(f"incomplete or damaged: {fault}"))
        if unverified:
            click.echo(f"unverified: {unverified} finished trials, recorded by a version of agrm-study without digests")
        if check and not faults:
            verified = "every other record" if unverified else "every record"
            click.echo(f"{verified} and weights file is intact")
    return 1 if check and faults else 0


def _show(state: StudyStatus) -> None:
    from rich.console import Console
    from rich.table import Table

    from agrm_study.execution.dispatch.race import why
    from agrm_study.execution.progress.watching import owner_words
    from agrm_study.execution.progress.wording import duration, failure_words, hours_words, replicate_words, rough
    from agrm_study.study.tasks import task_words

    console = Console(highlight=False)
    console.print(f"[bold]{escape(state.results)}[/]  {escape(owner_words(state.active))}")
    counts = [f"{state.finished} of {state.total} trials finished"]
    running = "running" if state.active else "unfinished"
    counts += [f"{len(state.running)} {running}"] * bool(state.running)
    counts += [f"{state.failed} failed"] * bool(state.failed) + [f"{state.held} held back"] * bool(state.held)
    counts += [f"{state.waiting} waiting"] * bool(state.waiting)
    left = "" if state.time_left_s is None else f" · {rough(state.time_left_s)} left"
    console.print(", ".join(counts) + left)
    console.print(f"[dim]{hours_words(state.used)} used, including failed attempts[/]\n")

    if state.search is not None:
        console.print(escape(_search_words(state.search, running)), soft_wrap=True)
        for tuned in state.search.tuned:
            console.print(escape(_tuning_words(tuned, running)), soft_wrap=True)
        console.print()
    if state.race is not None:
        for stopped in state.race.stopped:
            console.print(escape(f"race: {why(stopped, task=len(state.race.looked) > 1)}"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("arm", "task", "finished", "running" if state.active else "started", "failed", "waiting"):
        table.add_column(title, justify="left" if title in ("arm", "task") else "right")
    for arm in state.arms:
        numbers = (str(n) for n in (arm.finished, arm.running, arm.failed, arm.waiting))
        table.add_row(escape(arm.arm), escape(task_words(arm.task)), *numbers)
    if state.arms:
        console.print(table)

    if state.running:
        console.print(f"\n[dim]{'running' if state.active else 'unfinished; the next run resumes them'}[/]")
    for trial in state.running:
        done = trial.note if trial.note and not trial.epoch else f"epoch {trial.epoch} of at most {trial.epochs}"
        metric = "" if trial.metric is None else f", validation {trial.metric:.3f}"
        updated = f", last update {duration(trial.heard_s)} ago" if state.active else ""
        console.print(
            f"  {escape(' / '.join(trial.arms))} · {escape(task_words(trial.task))} · "
            f"{replicate_words(trial)}: {escape(done)}{metric}{updated}"
        )
    if state.failures:
        console.print("\n[dim]failed[/]")
    for failed in state.failures:
        heals = "the next run retries it" if failed.heals else "--retry-failed runs it again"
        words = escape(failure_words(failed.failure, failed.error))
        console.print(
            f"  {escape(' / '.join(failed.arms))} · {escape(failed.task)} · {replicate_words(failed)}: {words}; {heals}"
        )
    for problem in state.problems:
        console.print(f"\ncannot be read: {escape(problem)}")


def _search_words(search: SearchStatus, running: str) -> str:
    """Counts of the searches and their best point so far."""
    kind = "tuning" if search.tuned else "search"
    parts = [f"{kind}: {search.finished} of {search.total} trials finished", *_other_ends(search, running)]
    if search.best is not None and not search.tuned:
        parts.append(f"best validation {search.metric} {search.best:.3f} ({search.best_arm})")
    if search.to_promote:
        added = "the tuned arms" if search.tuned else "its best settings"
        parts.append(f"{added} add {counted(search.to_promote, 'trial')}")
    return ", ".join(parts)


def _other_ends(search: SearchStatus | TuningStatus, running: str) -> list[str]:
    """Description of the trials of a search that did not finish."""
    parts = [f"{search.pruned} ended early"] * bool(search.pruned) + [f"{search.failed} failed"] * bool(search.failed)
    parts += [f"{search.running} {running}"] * bool(search.running)
    return parts + [f"{search.waiting} pending"] * bool(search.waiting)


def _tuning_words(arm: TuningStatus, running: str) -> str:
    """Counts of the tuning of an arm on a task, and its best point so far."""
    from agrm_study.study.tasks import task_words

    parts = [f"{arm.finished} finished", *_other_ends(arm, running)]
    if arm.best is not None:
        parts.append(f"best {arm.best:.3f} ({arm.best_point})")
    return f"  {arm.arm} · {task_words(arm.task)}: {', '.join(parts)}"
