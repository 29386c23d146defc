"""Export of a study to a hook; only new and changed trials are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agrm_study.hooks import hook_class
from agrm_study.hooks.trial_log import StudyLog, stamp

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """Result of an export.

    Attributes:
        where: Command, path or address for viewing the exported study.
        written: Number of new or changed trials.
        unchanged: Number of trials whose entries were up to date.
    """

    where: str
    written: int
    unchanged: int


def log_study(
    results: str | Path, name: str, out: str | None = None, *, on_progress: OnProgress | None = None
) -> Logged:
    """Write the recorded trials of a results folder to a hook; idempotent.

    Args:
        results: Results folder; a local path or a URI.
        name: Name of a hook in `HOOKS`.
        out: A folder or a URI that the hook supports; defaults to a location in the results folder.
        on_progress: Called with the number of written trials and the number of trials to write.

    Raises:
        InputError: If the folder contains no results, or the hook is unknown or cannot be used.
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
