"""Reuse of equal trials that another study in the same parent folder has finished.

A trial's identity covers everything that can change its outcome, so equal identities under one version of the code
denote the same trial, regardless of the study that ran it. The other studies are the sibling folders of the results
folder. A second results folder of the same study is a deliberate repetition and reuses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from agrm_study.execution.provenance import code_version
from agrm_study.execution.trial.checkpoints import BEST
from agrm_study.execution.trial.records import trial_columns
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.copying import copy_trial
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.removed_weights import removed_weights
from agrm_study.records.whole import broken_trials
from agrm_study.study.counted import counted


def find_equal(results: Location, missing: Iterable[TrialSpec]) -> Iterator[tuple[TrialSpec, Location]]:
    """The missing trials that a study in a sibling folder has finished, each with the results folder of that study.

    Phase and version of the code must be the same, and `clean` must not have removed the weights.
    """
    wanted = {trial.trial_id: trial for trial in missing}
    for folder in _beside(results):
        if not wanted:
            return
        trials = Ledger(folder).trials(trial_ids=wanted)
        mine = trials[(trials["status"] == "finished") & (trials["code_version"] == code_version())]
        if len(mine):
            unfit = broken_trials(folder, weights=True).keys() | removed_weights(folder).keys()
            mine = mine[~mine["trial_id"].isin(list(unfit))]
        for trial_id, study, phase in zip(mine["trial_id"], mine["study"], mine["phase"], strict=True):
            if study != wanted[trial_id].study and phase == wanted[trial_id].phase:
                yield wanted.pop(trial_id), folder


def take_over_equal(results: Location, missing: Iterable[TrialSpec], on_note: Callable[[str], None]) -> int:
    """Copies the records of missing trials that studies in sibling folders have finished; returns their number."""
    taken: Counter[str] = Counter()
    for trial, folder in find_equal(results, missing):
        _copy(trial, folder, results)
        taken[folder.name] += 1
    for name, trials in taken.items():
        on_note(f"{counted(trials, 'trial was', 'trials were')} reused from {name}, which has equal finished trials.")
    return taken.total()


def _copy(trial: TrialSpec, source: Location, target: Location) -> None:
    """Copies the weights, then the records of a trial; the copied row refers to this study and its arm.

    ``alpha`` keeps its recorded value, since a recipe may specify the memory of the average in epochs.
    """
    place = f"checkpoints/{trial.trial_id}/{BEST}"
    weights = (source / place).read()
    if weights is not None:
        (target / place).write_atomic(weights)
    columns = {name: value for name, value in trial_columns(trial).items() if name != "alpha"}
    copy_trial(Ledger(source), target, trial.trial_id, columns)


def _beside(results: Location) -> list[Location]:
    """The other results folders in the same parent folder."""
    parent, _, name = results.path.rpartition("/")
    if not parent:
        return []
    root = replace(results, path=parent, anchor="")
    return [folder for folder in root.children() if folder.name != name and (folder / "records" / "trials").exists()]
