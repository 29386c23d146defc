"""The `plan` command: shows the work that `run` would do, and its cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agrm_study.cli.options import limit_options, results_folder, study_options
from agrm_study.cli.plan_cost import bought_sentence, cost_sentence, disk_sentence, format_bytes, timed_sentence
from agrm_study.study.arm_names import rounded, value_text
from agrm_study.study.counted import counted, some
from agrm_study.study.errors import InputError

if TYPE_CHECKING:
    from agrm_study.plan.summary import (
        FoldsSummary,
        GpuSummary,
        PlanSummary,
        RaceSummary,
        SearchSummary,
        SharingSummary,
        TunedArm,
    )

SEEDS_SHOWN = 12
"""Maximum number of seeds to list; for more, only the first and last seeds and the number are shown."""
_HELD_BACK = "held back, as its trials keep failing in the same way: --retry-failed runs them"


@click.command()
@study_options
@click.option(
    "--measure", is_flag=True,
    help="Estimate the duration of kinds of trials that have not run yet from a few training steps on random clips.",
)  # fmt: skip
@click.option(
    "--detect", type=click.FloatRange(min=0, max=100, min_open=True), metavar="POINTS",
    help="Also show which differences the study can detect, and the seeds or subjects needed to detect a difference of "
    "POINTS percentage points.",
)  # fmt: skip
@click.option(
    "--assume", type=(click.FloatRange(min=0), click.FloatRange(min=0, max=100), click.IntRange(min=2)),
    metavar="SEED_SD DISAGREEMENT SUBJECTS",
    help="For --detect before any trial has finished: standard deviation over seeds (points), test subjects that "
    "only one of two arms classifies correctly (%), number of test subjects.",
)  # fmt: skip
@limit_options
@click.option(
    "--slots", type=click.IntRange(min=1, max=100_000), default=None,
    help="Number of concurrent trials for --for and --gpu-hours. [default: as many as fit on this machine]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
def plan(
    study: Path,
    results: str | None,
    overrides: tuple[str, ...],
    preset: str | None,
    measure: bool,
    detect: float | None,
    assume: tuple[float, float, int] | None,
    time_limit: str | None,
    gpu_hours: float | None,
    slots: int | None,
    as_json: bool,
) -> None:
    """Show what `run STUDY` would do: new, finished and failed trials, and the cost of the missing ones.

    With --for or --gpu-hours, also show how many of the missing trials finish within that limit.
    """
    from agrm_study.api.names import read_study
    from agrm_study.api.planning import plan_study
    from agrm_study.cli import plan_detect
    from agrm_study.execution.dispatch.budget import read_limits

    if assume is not None and detect is None:
        raise InputError("requires --detect", field="--assume", hint="Specify the difference to detect: --detect 3.")
    asked = read_study(study, overrides, preset)
    folder = results_folder(asked.name, results, preset)
    limits = read_limits(time_limit, gpu_hours)
    summary = plan_study(asked, folder, measure=measure, on_shape=_on_shape, limits=limits, slots=slots)
    found = []
    if detect is not None:
        found = plan_detect.detections(folder, asked, detect, assume or ())
    if as_json:
        shown = summary.to_dict() | ({"detect": [d.to_dict() for d in found]} if found else {})
        click.echo(json.dumps(shown, indent=2))  # ASCII, which every terminal can display
    else:
        _show(summary)
        plan_detect.show(found)


def _on_shape(index: int, total: int, words: str) -> None:
    click.echo(f"timing steps, {index} of {total}: {words}", err=True)


def _show(plan: PlanSummary) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from agrm_study.execution.progress.wording import hours_words
    from agrm_study.execution.results_folder.usage import Used
    from agrm_study.plan.averages import steps_sentences

    console = Console(highlight=False)
    console.print(f"[bold]{escape(plan.study)}[/]  {escape(plan.question)}")
    console.print(f"tasks {', '.join(plan.tasks)} · seeds {seeds_text(plan.seeds)} · results {escape(plan.results)}\n")
    table = Table(box=None, pad_edge=False, header_style="dim")
    counts = ["cells", "finished", "failed", *(["reused"] if plan.equal_beside else []), "new"]
    for title in ("arm", *counts):
        table.add_column("trials" if title == "cells" else title, justify="left" if title == "arm" else "right")
    for arm in plan.arms:
        table.add_row(escape(arm.arm), *(str(getattr(arm, count)) for count in counts))
    if plan.arms:
        console.print(table)
        console.print()
    for note in plan.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    if plan.notes:
        console.print()
    if plan.search is not None and plan.search.tuned:
        for sentence in _tuning_sentences(plan.search, len(plan.seeds), len(plan.tasks) > 1):
            console.print(escape(sentence), soft_wrap=True)
    elif plan.search is not None:
        console.print(_search_sentence(plan.search, len(plan.seeds) * len(plan.tasks)), soft_wrap=True)
    console.print(_trials_sentence(plan), soft_wrap=True)
    for sentence in steps_sentences(plan.steps):
        console.print(escape(sentence), soft_wrap=True)
    if plan.equal_beside:
        trials, them = counted(plan.equal_beside, "trial is", "trials are"), "it" if plan.equal_beside == 1 else "them"
        console.print(f"{trials} finished in results folders next to this one; `run` reuses {them}")
    if plan.sharing.epochs_at_most < plan.epochs_at_most:
        console.print(_sharing_sentence(plan.sharing, plan.epochs_at_most))
    if plan.folds is not None:
        console.print(escape(_folds_sentence(plan.folds)), soft_wrap=True)
    if plan.race is not None:
        console.print(escape(_race_sentence(plan.race)), soft_wrap=True)
    if plan.gpu is not None:
        console.print(escape(_gpu_sentence(plan.gpu)), soft_wrap=True)
    if plan.data_to_write:
        console.print("The synthetic videos have not been generated; `run` generates them first.")
    for store in plan.clip_stores:
        state = "built" if store.built else "to build"
        console.print(f"clip store: {format_bytes(store.bytes)}, {counted(store.clips, 'clip')} ({state})")
    if plan.timed is None or plan.cost is not None or not plan.to_run:
        console.print(cost_sentence(plan.cost, plan.to_run), soft_wrap=True)
    if plan.timed is not None and plan.to_run:
        console.print(escape(timed_sentence(plan.timed)), soft_wrap=True)
    if plan.cpu_hours:
        used = Used(cpu_s=3600 * plan.cpu_hours, gpu_s=3600 * plan.gpu_hours)
        console.print(f"Used so far: {hours_words(used)}, including failed attempts.")
    if plan.bought is not None:
        console.print(bought_sentence(plan.bought), soft_wrap=True)
    if plan.disk is not None:
        console.print(disk_sentence(plan.disk, kept=plan.sharing.asked == "keep"), soft_wrap=True)


def seeds_text(seeds: Sequence[int]) -> str:
    """Seeds in one line: ``0, 1, 2``, or ``0, 1, …, 31999 (32000 seeds)``."""
    if len(seeds) <= SEEDS_SHOWN:
        return ", ".join(map(str, seeds))
    return f"{seeds[0]}, {seeds[1]}, …, {seeds[-1]} ({len(seeds)} seeds)"


def _trials_sentence(plan: PlanSummary) -> str:
    """Number of trials, and number of trials to run."""
    merged = counted(plan.merged, "cell shares a trial with another cell", "cells share a trial with another cell")
    words = f"{counted(plan.trials, 'trial')}{f' ({merged})' if plan.merged else ''}, {plan.missing} to run"
    if plan.search is None:
        return f"{words}, {counted(plan.epochs_at_most, 'epoch')} at most"
    known = "arms known so far" if plan.search.to_promote else "final phase"
    kind = "tuning" if plan.search.tuned else "search"
    epochs = f"; {kind} and final phase together: {counted(plan.epochs_at_most, 'epoch')} at most"
    return f"{known}: {words}{epochs if plan.epochs_at_most else ''}"


def _sharing_sentence(sharing: SharingSummary, alone: int) -> str:
    """Training epochs saved by sharing."""
    shared = sharing.epochs_at_most
    there = f", {sharing.stages_there} of them already trained" if sharing.stages_there else ""
    stages = f"{counted(sharing.stages_shared, 'stage')} that trials share{there}"
    words = stages if sharing.stages_shared else "kept states"
    return f"{words}: {counted(shared, 'epoch')} instead of {alone} ({1 - shared / alone:.0%} less)"


def _search_sentence(search: SearchSummary, replicates: int) -> str:
    """Trials of the search and the final trials that follow."""
    words = f"search: {_points(search.trials, search.seeds)} on validation data, {_ends(search)}, {_to_run(search)}"
    if search.to_promote:
        words += f"; then its best {search.promote} × {counted(replicates, 'seed')}, "
        words += counted(search.to_promote, "more trial")
    if search.held_back:
        words += f"; {_HELD_BACK}"
    if search.nothing_to_promote:
        words += "; none finished with a defined metric, so nothing is promoted"
    return words


def _folds_sentence(f: FoldsSummary) -> str:
    """Number of folds, tested subjects, cost, and trials shared with a study without folds."""
    low, high = f.per_fold
    again = f" × {f.repeats} repeats" if f.repeats > 1 else ""
    words = (
        f"folds: {f.folds}{again}; each of {f.subjects} labelled subjects is tested once per seed"
        f"{' and repeat' if f.repeats > 1 else ''}, {low if low == high else f'{low} to {high}'} per fold; "
        f"{f.folds * f.repeats} trials per arm, task and seed"
    )
    if f.sites is not None:
        of_folds = "; ".join(f"fold {fold}: {some(sites)}" for fold, sites in enumerate(f.sites))
        return (
            f"{words}. The test part of a fold consists of whole sites ({of_folds}). No trial of the same study "
            "without folds can be reused, as its split ignores sites"
        )
    if not f.reused:
        return (
            f"{words}; no trial of the same study without folds can be reused, as its test share (data.split.test) is "
            f"not 1/{f.folds}"
        )
    return (
        f"{words}; fold 0 equals the split of the same study without folds, whose finished trials are reused "
        f"({f.reused_finished} in this folder or next to it); the other folds need new training"
    )


def _points(number: int, seeds: int) -> str:
    """Number of points, as text."""
    return counted(number, "trial") if seeds == 1 else f"{number} points × {seeds} seeds"


def _to_run(search: SearchSummary) -> str:
    """Number of points to run, and number of their trials if a point has several."""
    several = search.seeds > 1 and search.missing > 0
    return f"{search.missing} to run" + f" ({counted(search.trials_at_most, 'trial')} at most)" * several


def _ends(search: SearchSummary | TunedArm) -> str:
    """Number of points by final state."""
    done = [f"{search.finished} finished"] + [f"{search.pruned} ended early"] * bool(search.pruned)
    done += [f"{search.dropped} dropped after some seeds"] * bool(search.dropped)
    return ", ".join(done + [f"{search.failed} failed"] * bool(search.failed))


def _tuning_sentences(search: SearchSummary, seeds: int, tasks: bool) -> list[str]:
    """Budget for the tuning of arms, and the chosen settings or remaining trials of each arm."""
    budget = _points(search.trials // len(search.tuned), search.seeds)
    words = f"tuning: {budget} on validation data per arm{' and task' * tasks}, {_ends(search)}, {_to_run(search)}"
    if search.to_promote:
        more = counted(search.to_promote, "more trial")
        words += f"; then each arm with its best settings × {counted(seeds, 'seed')}, {more}"
    found = [words]
    for arm in search.tuned:
        name = f"  {arm.arm} ({arm.task})" if tasks else f"  {arm.arm}"
        if arm.held_back:
            words = _HELD_BACK
        elif arm.missing:
            words = f"{_ends(arm)}, {arm.missing} to run; its settings are not known yet"
        elif arm.settings is None:
            words = f"{_ends(arm)}; no point can be chosen, so the arm is not reported"
        else:
            chosen = ", ".join(f"{setting} {value_text(rounded(value))}" for setting, value in arm.settings.items())
            words = f"{chosen} (validation {arm.value:.3f}; {_ends(arm)})"
        found.append(f"{name}: {words}")
    return found


def _race_sentence(race: RaceSummary) -> str:
    """Rules of a race, the trials that it still needs, and the arms that it has stopped."""
    words = (
        f"race: {counted(race.first, 'seed')} for every arm, up to {race.most} for arms that are not stopped; "
        f"{counted(race.at_least, 'trial')} to run if all arms but one are stopped at the next look, {race.at_most} if "
        "none is"
    )
    out = [f"{arm.arm} ({arm.task}) after {counted(arm.n, 'seed')}" for arm in race.stopped]
    return f"{words}; stopped: {', '.join(out)}" if out else words


def _gpu_sentence(gpu: GpuSummary) -> str:
    """The GPU share of a trial."""
    from agrm_study.execution.resources.gpu_share import share_words

    if gpu.share is None:
        return "gpu: auto has not measured this study's steps yet; `run` measures them first."
    together = f", {gpu.trials_on_one} trials at a time on one GPU" if gpu.share < 1 else ""
    return gpu.note or f"{share_words(gpu.share)} per trial{together}"
