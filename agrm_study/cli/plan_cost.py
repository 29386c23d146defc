"""Text about the time and disk space that a plan needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agrm_study.study.counted import counted

if TYPE_CHECKING:
    from agrm_study.plan.budget import Bought
    from agrm_study.plan.cost import Cost
    from agrm_study.plan.disk import Disk
    from agrm_study.plan.summary import TimedSummary


def timed_sentence(timed: TimedSummary) -> str:
    """Estimates from timed steps."""
    problems = "".join(f"A step could not be timed: {problem}\n" for problem in timed.problems).rstrip()
    hours, spread = timed.slot_hours_at_most, timed.plus_minus
    if hours is None or spread is None:
        return problems or "No step was timed: trials of every kind have run before."
    where, shapes = timed.device, len(timed.shapes)
    if where == "cpu":
        where += f", {counted(timed.threads, 'thread')}"
    unknown = counted(timed.trials_unknown, "unmeasured trial is not included", "unmeasured trials are not included")
    rest = f"; {unknown}" if timed.trials_unknown else ""
    words = (
        f"At most {_time(hours)} ± {_time(spread)} of slot time for {counted(timed.trials_covered, 'trial')} of kinds "
        f"that have not run yet, if none stops early: measured {counted(timed.steps, 'step')} of "
        f"{counted(shapes, 'shape')} with random clips on {where}{rest}."
    )
    return f"{words}\n{problems}" if problems else words


def _time(hours: float) -> str:
    return f"{hours:.2f} hours" if hours >= 0.1 else f"{60 * hours:.1f} minutes"


def format_bytes(size: float) -> str:
    """A human-readable size: `3.2 GB`, `48 MB`."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}" if size < 10 * factor else f"{size / factor:.0f} {unit}"
    return f"{size / 1e3:.0f} kB"


def cost_sentence(cost: Cost | None, missing: int) -> str:
    """Estimated time of the missing trials, based on the finished trials."""
    if not missing:
        return "Nothing to train: no trial is missing."
    if cost is None:
        return "The time is unknown: no trial of this kind has run in this results folder; --measure times a few steps."
    spread = "" if cost.plus_minus is None else f" ± {cost.plus_minus:.2f}"
    rest = f"; {_unmeasured(cost.trials_unknown)}" if cost.trials_unknown else ""
    return f"About {cost.slot_hours:.2f}{spread} slot-hours{rest}."


def _unmeasured(trials: int) -> str:
    return counted(trials, "trial of an unmeasured kind is not included", "trials of unmeasured kinds are not included")


def bought_sentence(bought: Bought) -> str:
    """Number of trials that a run finishes within its limits, and the total work of all missing trials."""
    from agrm_study.execution.progress.wording import rough
    from agrm_study.study.duration import written_duration

    parts, needs = [], []
    if bought.time_s is not None:
        parts.append(f"--for {written_duration(bought.time_s)} with {counted(bought.slots, 'slot')}")
        needs.append(f"all trials take {rough(bought.all_s)}")
    if bought.gpu_hours is not None:
        parts.append(f"--gpu-hours {bought.gpu_hours:g}, {bought.used_gpu_hours:.1f} of them used")
        needs.append(f"all trials need {bought.all_gpu_hours:.1f} more GPU-hours")
    rest = f"; {_unmeasured(bought.unknown)}" if bought.unknown else ""
    if not bought.missing:
        words = "unknown, as no trial of this kind has run" if bought.unknown else "no trial is missing"
        return f"{', '.join(parts)}: {words}."
    words = f"{bought.trials} of {bought.missing} missing trials finish, {', '.join(needs)}"
    return f"{', '.join(parts)}: {words}{rest}."


def disk_sentence(disk: Disk, *, kept: bool) -> str:
    """The disk space that the missing trials need."""
    parts = [f"{format_bytes(disk.weights)} of weights" if disk.weights else "no weights (`keep_weights: none`)"]
    if disk.records is not None:
        parts.append(f"{format_bytes(disk.records)} of records")
    if disk.states:
        parts.append(f"{'' if kept else 'temporarily up to '}{format_bytes(disk.states)} of stage states")
    parts.append(f"{format_bytes(disk.checkpoint)} of checkpoints per running trial")
    unknown = counted(disk.unknown, "unmeasured trial is not included", "unmeasured trials are not included")
    rest = f"; {unknown}" if disk.unknown else ""
    free = ""
    if disk.free is not None and disk.free < disk.at_most:
        free = f" Only {format_bytes(disk.free)} is free."
    return f"Disk: up to {format_bytes(disk.at_most)} more: {', '.join(parts)}{rest}.{free}"
