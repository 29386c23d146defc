"""How does a study get to where it is looked at? What is not there yet, or has changed since, is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agrm_study.hooks import hook_class
from agrm_study.hooks.trial_log import StudyLog, stamp

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What was done.

    Attributes:
        where: What a person opens to see it.
        written: Trials that were new or had changed.
        unchanged: Trials that were there already.
    """

    where: str
    written: int
    unchanged: int


def log_study(
    results: str | Path, name: str, out: str | None = None, *, on_progress: OnProgress | None = None
) -> Logged:
    """Show the recorded trials of a results folder with a hook; safe to repeat at any time.

    Args:
        results: A local path or a URI.
        name: A name of `HOOKS`.
        out: A folder or a URI that the hook understands; by default a place in the results folder.
        on_progress: Called with trials written and trials to write.

    Raises:
        InputError: No results, no such hook, or one that cannot be used here.
    """
    study = StudyLog(results)
    with hook_class(name)(out, study) as hook:
        records = {trial_id: record for trial_id, record in study.records().items() if hook.wanted(record)}
        there = hook.stamps()
        changed = {trial_id for trial_id, record in records.items() if there.get(trial_id) != stamp(record)}
        for done, trial in enumerate(study.logs(records, changed), start=1):
            hook.write(trial)
            if on_progress is not None:
                on_progress(done, len(changed))
        return Logged(where=hook.where, written=len(changed), unchanged=len(records) - len(changed))
