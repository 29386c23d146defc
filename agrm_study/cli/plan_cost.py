"""Time and disk estimates of a plan, from finished trials and, for kinds that have never run, from timed steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from agrm_study.execution.data.prepared import Prepared
    from agrm_study.plan.trial import TrialSpec
    from agrm_study.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Estimates from timed steps.

    Attributes:
        facts: The estimates as plain values.
        network_bytes: Size of a network, by trial.
        record_bytes: Average size of a trial's records; None where nothing was timed.
    """

    facts: dict[str, Any]
    network_bytes: dict[str, int] = field(default_factory=dict)
    record_bytes: float | None = None


def time_steps(study: Study, prepared: Prepared, trials: Sequence[TrialSpec], inherited: Mapping[str, int]) -> Timed:
    """Times steps of trials; prints the timed shapes to stderr.

    Args:
        study: The study; its resources determine the device.
        prepared: Its data, generated or not.
        trials: Trials of kinds that have never run.
        inherited: Epochs that a trial takes over from another, by trial.
    """
    from agrm_study.execution.data.prepare import clip_counts
    from agrm_study.execution.resources.calibration import calibrate
    from agrm_study.plan.rehearsed import bound_cost, record_bytes

    def tell(index: int, total: int, words: str) -> None:
        click.echo(f"timing steps, {index} of {total}: {words}", err=True)

    found = calibrate(trials, cpu=study.resources.cpu, gpu=study.resources.gpu != 0, tell=tell)
    clips = clip_counts(prepared)
    bound = bound_cost(trials, found.trials, clips, inherited=inherited)
    return Timed(
        facts={
            "device": found.device,
            "threads": found.threads,
            "shapes": [{"shape": words} | asdict(times) for words, times in found.shapes],
            "steps": found.steps,
            "problems": list(found.problems),
            "slot_hours_at_most": None if bound is None else bound.slot_hours,
            "plus_minus": None if bound is None else bound.plus_minus,
            "trials_covered": 0 if bound is None else bound.trials_covered,
            "trials_unknown": len(trials) if bound is None else bound.trials_unknown,
        },
        network_bytes={trial_id: times.network_bytes for trial_id, times in found.trials.items()},
        record_bytes=fmean(record_bytes(trial.recipe, clips(trial.recipe)) for trial in trials) if trials else None,
    )


def timed_sentence(timed: dict[str, Any]) -> str:
    """The estimates as sentences."""
    problems = "".join(f"A step could not be timed: {problem}\n" for problem in timed["problems"]).rstrip()
    hours = timed["slot_hours_at_most"]
    if hours is None:
        return problems or "No step was timed: trials of every kind have run before."
    where, shapes = timed["device"], len(timed["shapes"])
    if where == "cpu":
        where += f", {timed['threads']} thread" + "s" * (timed["threads"] > 1)
    rest = f"; {timed['trials_unknown']} trials of other shapes come on top" if timed["trials_unknown"] else ""
    words = (
        f"At most {_time(hours)} ± {_time(timed['plus_minus'])} of one slot for {timed['trials_covered']} trials of "
        f"kinds that never ran, if none stops early: measured {timed['steps']} steps of {shapes} "
        f"shape{'s' * (shapes > 1)} with made-up clips on {where}{rest}."
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


def cost_sentence(cost: dict[str, Any] | None, missing: int) -> str:
    """The estimated time of the missing trials, from those that have run, as a sentence."""
    if not missing:
        return "Nothing to train: no trial is missing."
    if cost is None:
        return (
            "Time is not known yet: no trial of this kind has run in this results folder; --measure times a few steps."
        )
    spread = "" if cost["plus_minus"] is None else f" ± {cost['plus_minus']:.2f}"
    rest = f"; {cost['trials_unknown']} trials of kinds never measured come on top" if cost["trials_unknown"] else ""
    return f"About {cost['slot_hours']:.2f}{spread} hours of one slot{rest}."


def disk_sentence(disk: dict[str, Any], *, kept: bool) -> str:
    """The disk space that the missing trials need, as a sentence."""
    parts = [f"{format_bytes(disk['weights'])} of weights"]
    if disk["records"] is not None:
        parts.append(f"{format_bytes(disk['records'])} of records")
    if disk["states"]:
        parts.append(f"{'' if kept else 'for a while up to '}{format_bytes(disk['states'])} of states at stages' ends")
    parts.append(f"{format_bytes(disk['checkpoint'])} of checkpoint for each trial that runs")
    rest = f"; {disk['unknown']} trials of networks never measured come on top" if disk["unknown"] else ""
    return f"Disk: {', '.join(parts)}{rest}."
