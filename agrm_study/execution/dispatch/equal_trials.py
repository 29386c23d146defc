"""Reuse of equal trials that another study beside this one has finished.

A trial's identity holds everything that can change its outcome, so equal identities under one version of the code are
the same trial, whichever study ran it first. The other studies are the folders beside the results folder. A second
results folder of the same study is a deliberate repetition and reuses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from agrm_study.execution.provenance import code_version
from agrm_study.execution.trial.checkpoints import BEST
from agrm_study.execution.trial.records import trial_columns
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.copying import copy_trial
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.whole import broken_trials


@dataclass(frozen=True, slots=True)
class EqualTrial:
    """A trial that another study has finished.

    Attributes:
        trial: The trial as this study requests it.
    """

    trial: TrialSpec
    results: Location


def find_equal(results: Location, missing: Iterable[TrialSpec]) -> Iterator[EqualTrial]:
    """The missing trials that a study beside this one has finished in the same phase, with the code as it is now."""
    wanted = {trial.trial_id: trial for trial in missing}
    for folder in _beside(results):
        if not wanted:
            return
        trials = Ledger(folder).trials(trial_ids=wanted)
        mine = trials[(trials["status"] == "finished") & (trials["code_version"] == code_version())]
        mine = mine[~mine["trial_id"].isin(list(broken_trials(folder, weights=True)) if len(mine) else [])]
        for trial_id, study, phase in zip(mine["trial_id"], mine["study"], mine["phase"], strict=True):
            if study != wanted[trial_id].study and phase == wanted[trial_id].phase:
                yield EqualTrial(wanted.pop(trial_id), folder)


def take_over_equal(results: Location, missing: Iterable[TrialSpec], on_note: Callable[[str], None]) -> int:
    """Copies the records of missing trials that studies beside this one have finished.

    Returns:
        Number of trials copied.

    Raises:
        OSError: When storage refuses.
    """
    taken: Counter[str] = Counter()
    for equal in find_equal(results, missing):
        take_over(results, equal)
        taken[equal.results.name] += 1
    for name, trials in taken.items():
        on_note(f"{trials} trials were reused from {name}, which has finished equal ones.")
    return taken.total()


def take_over(results: Location, equal: EqualTrial) -> None:
    """Copies the weights, then the records of a trial; its row names this study and its arm.

    Raises:
        OSError: When storage refuses.
    """
    trial_id = equal.trial.trial_id
    weights = (equal.results / "checkpoints" / trial_id / BEST).read()
    if weights is not None:
        (results / "checkpoints" / trial_id / BEST).write_atomic(weights)
    copy_trial(Ledger(equal.results), results, trial_id, trial_columns(equal.trial))


def _beside(results: Location) -> list[Location]:
    """The other results folders in the folder that holds this one."""
    parent, _, name = results.path.rpartition("/")
    if not parent:
        return []
    root = replace(results, path=parent, anchor="")
    return [folder for folder in root.children() if folder.name != name and (folder / "records" / "trials").exists()]
