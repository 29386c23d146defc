"""Missing trials that differ from finished trials only in having more epochs, and may be able to continue them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agrm_study.plan.expand import Fingerprints, TrialBuilder
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.reader import TrialState
from agrm_study.records.schemas import PRUNED
from agrm_study.study.study import Study

_Replicates = tuple[str, int, str]
"""Key of trials that differ only in their training seed: their configuration and split."""
MOST_NUMBERS: Final = 4
"""Maximum number of smaller epoch counts that are tried, the largest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Longer:
    """A missing trial, and the number of epochs of the finished trial that it would continue.

    Attributes:
        continues: Whether it resumes from a saved state.
        cosine: Whether its learning rate depends on the number of epochs, so that a shorter training run cannot be
            continued.
    """

    trial: TrialSpec
    before: int
    continues: bool
    cosine: bool

    @property
    def words(self) -> str:
        """The change in the number of epochs, as text."""
        return f"epochs {self.before} → {self.trial.recipe.epochs}"


def longer_trials(
    study: Study,
    missing: Sequence[TrialSpec],
    states: Mapping[str, TrialState],
    fingerprints: Fingerprints,
    inherited: Mapping[str, int],
    before: Collection[int] = (),
) -> list[Longer]:
    """The missing trials for which a shorter counterpart has finished.

    Args:
        inherited: Number of initial epochs that each trial inherits from a saved state.
        before: Epoch counts of earlier runs, in addition to the recorded ones.
    """
    finished = {t: state for t, state in states.items() if state.status == "finished" and state.stop_reason != PRUNED}
    numbers = {state.epochs for state in finished.values() if state.epochs} | set(before)
    builder = TrialBuilder(study.name, fingerprints, parts=study.parts)
    ids: dict[tuple[_Replicates, int], dict[int, str]] = {}  # identities of trials with fewer epochs, by seed
    seeds: dict[_Replicates, set[int]] = {}
    for trial in missing:
        seeds.setdefault(_replicates(trial), set()).add(trial.seed)
    found = []
    for trial in missing:
        recipe = trial.recipe
        for fewer in sorted((n for n in numbers if n < recipe.epochs), reverse=True)[:MOST_NUMBERS]:
            key = _replicates(trial), fewer
            if key not in ids:
                shorter = recipe.model_copy(update={"epochs": fewer})
                twins = builder.replicates(shorter, seeds[_replicates(trial)], arm="", params={}, phase=trial.phase)
                ids[key] = {twin.seed: twin.trial_id for twin in twins}
            if (known := finished.get(ids[key][trial.seed])) is not None:
                continues = inherited.get(trial.trial_id, 0) >= (known.epochs or fewer)
                cosine = recipe.optimizer.schedule == "cosine"
                found.append(Longer(trial=trial, before=fewer, continues=continues, cosine=cosine))
                break
    return found


def _replicates(trial: TrialSpec) -> _Replicates:
    return trial.config_id, trial.recipe.split_seed, trial.split_fingerprint


def longer_notes(longer: Sequence[Longer], *, lost: str) -> list[str]:
    """One sentence for each change in the number of epochs: how many trials continue, and why others do not.

    Args:
        lost: Reason why no state exists from which training could continue.
    """
    notes = []
    going_on = Counter(each.words for each in longer if each.continues)
    for words, number in going_on.items():
        notes.append(f"{words}: trials that resume from saved states of finished ones: {number}.")
    for cosine, why in (
        (True, "their learning rate depends on `epochs` (`optimizer.schedule: cosine`)"),
        (False, lost),
    ):
        anew = Counter(each.words for each in longer if not each.continues and each.cosine is cosine)
        for words, number in anew.items():
            notes.append(
                f"{words}: trials that start from epoch 1 although shorter ones have finished: {number}, because {why}."
            )
    return notes
