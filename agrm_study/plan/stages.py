"""Stages: epochs shared by several trials and trained only once.

A trial is a chain of stages. A stage's key is a hash of its parent's key and of the settings that can affect its
epochs, so equal keys mean equal states. A stage ends at the epoch after which the chains of two trials diverge, and
both trials resume from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from agrm_study.plan.epochs import Span, SpanReader, chain_key
from agrm_study.plan.gc_pause import gc_paused
from agrm_study.plan.identity import FileHash, file_hash
from agrm_study.plan.own_stages import declared_epochs
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.recipe import Recipe

ROOT: Final = b""
"""Key before the first epoch."""

KEY_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Stage:
    """Epochs shared by several trials, or exclusive to one trial.

    Attributes:
        key: 16 hexadecimal digits; equal keys mean equal states at the end of the stage.
        parent: Key of the stage that it continues; None for an initial stage.
        first: First epoch, counted from 1.
        last: Last epoch.
        trials: Trials that contain the stage, in execution order; it may be run with the recipe of any of these trials,
            up to the last epoch of the stage.
        ends: Trials for which this is the last stage.
    """

    key: str
    parent: str | None
    first: int
    last: int
    trials: tuple[str, ...]
    ends: tuple[str, ...]

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.last - self.first + 1

    @property
    def shared(self) -> bool:
        """Whether more than one trial contains the stage."""
        return len(self.trials) > 1


@dataclass(frozen=True)
class Stages:
    """The stages of a set of trials, parents before children; siblings in the execution order of their first trial."""

    stages: tuple[Stage, ...]

    @cached_property
    def by_key(self) -> dict[str, Stage]:
        """Stages by key."""
        return {stage.key: stage for stage in self.stages}

    @cached_property
    def _chains(self) -> dict[str, tuple[Stage, ...]]:
        chains: dict[str, list[Stage]] = {}
        for stage in self.stages:
            for trial in stage.trials:
                chains.setdefault(trial, []).append(stage)
        return {trial: tuple(chain) for trial, chain in chains.items()}

    @cached_property
    def _children(self) -> dict[str | None, tuple[Stage, ...]]:
        children: dict[str | None, list[Stage]] = {}
        for stage in self.stages:
            children.setdefault(stage.parent, []).append(stage)
        return {parent: tuple(found) for parent, found in children.items()}

    def chain(self, trial_id: str) -> tuple[Stage, ...]:
        """The stages of a trial, in order; empty for an unplanned trial."""
        return self._chains.get(trial_id, ())

    def children(self, key: str | None) -> tuple[Stage, ...]:
        """The stages that continue a stage, or the initial stages if it is None."""
        return self._children.get(key, ())

    @property
    def epochs_without_sharing(self) -> int:
        """Number of epochs if every trial were trained separately (ignoring early stopping)."""
        return sum(stage.epochs * len(stage.trials) for stage in self.stages)

    @property
    def epochs_with_sharing(self) -> int:
        """Number of epochs with each stage trained once (ignoring early stopping)."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def saved(self) -> int:
        """Number of epochs saved by sharing."""
        return self.epochs_without_sharing - self.epochs_with_sharing

    def to_train(self, known: Collection[str] = ()) -> tuple[Stage, ...]:
        """The stages that must be trained, given the keys of the stages whose end states exist."""
        wanted = {stage.key for trial in self._chains for stage in self._beyond(trial, known)}
        return tuple(stage for stage in self.stages if stage.key in wanted)

    def inherited(self, known: Collection[str] = ()) -> dict[str, int]:
        """Number of inherited epochs of each trial, if the first trial that needs a stage trains it."""
        trained: set[str] = set()
        found = {}
        for trial, chain in self._chains.items():
            own = 0
            for stage in self._beyond(trial, known):
                if stage.key not in trained:
                    trained.add(stage.key)
                    own += stage.epochs
            found[trial] = chain[-1].last - own
        return found

    def _beyond(self, trial_id: str, known: Collection[str]) -> tuple[Stage, ...]:
        """The stages of a trial after its last stage with an existing state."""
        chain = self._chains[trial_id]
        if not known:
            return chain
        starts = max((place for place, stage in enumerate(chain, start=1) if stage.key in known), default=0)
        return chain[starts:]


@gc_paused()
def plan_stages(
    trials: Iterable[TrialSpec],
    *,
    share: bool = True,
    known: Collection[str] = (),
    hash_file: FileHash = file_hash,
) -> Stages:
    """The stages of the given trials.

    Keys do not depend on the other trials: stages trained for a study are reused after it is extended.

    Args:
        trials: Trials in execution order, usually the missing trials.
        share: If False, each trial is a separate stage.
        known: Keys of existing states; a stage also ends at an epoch at which one of them can be reused.
        hash_file: Hashes the files specified in recipes.

    Raises:
        InputError: If a file specified in a recipe cannot be read.
    """
    reader = SpanReader(cache(hash_file))
    chains = [_Chain(trial.trial_id, reader.spans(trial)) for trial in trials]
    found: list[Stage] = []
    if share:
        _grow(chains, 0, ROOT, frozenset(known), found)
    else:
        for chain in chains:
            _grow([chain], 0, ROOT, frozenset(), found)
    return Stages(tuple(found))


def pretraining_end(trial: TrialSpec, reader: SpanReader) -> tuple[str, int] | None:
    """Key and last epoch of a trial's supervised pre-training; None for a trial without pre-training.

    For a user-defined trainer, key and last epoch of the epochs that it declares as shared, if further epochs follow.

    Raises:
        InputError: If a file specified in its recipe cannot be read.
    """
    last, key = _pretraining(trial.recipe), ROOT
    if not last:
        return None
    for span in reader.spans(trial):
        if span.first <= last:
            key = chain_key(key, span.token, min(span.last, last) - span.first + 1)
    return _digits(key), last


def _pretraining(recipe: Recipe) -> int:
    if recipe.own_trainer:
        last = declared_epochs(recipe).last
        return last if last < recipe.epochs else 0
    return recipe.ssl.pretrain_epochs if recipe.uses_unlabelled else 0


@dataclass(frozen=True, slots=True)
class _Chain:
    """Spans of a trial."""

    trial: str
    spans: tuple[Span, ...]

    @property
    def last(self) -> int:
        return self.spans[-1].last

    def span(self, epoch: int) -> Span:
        """The span that contains an epoch, which must not exceed the last epoch."""
        for span in self.spans:
            if epoch <= span.last:
                return span
        raise IndexError(epoch)


def _grow(chains: Sequence[_Chain], done: int, parent: bytes, known: frozenset[str], found: list[Stage]) -> None:
    """Add the stages of chains that agree up to epoch ``done``, depth first."""
    branches: dict[bytes, list[_Chain]] = {}
    for chain in chains:
        if chain.last > done:
            branches.setdefault(chain.span(done + 1).token, []).append(chain)
    for branch in branches.values():
        if len(branch) == 1 and not known:
            found.append(_rest(branch[0], done, parent))
            continue
        last, key = done, parent
        while True:
            here = [chain.span(last + 1) for chain in branch]
            key, last = _go_on(key, here[0].token, last, min(span.last for span in here), known)
            if _digits(key) in known or any(chain.last == last for chain in branch):
                break
            if len({chain.span(last + 1).token for chain in branch}) > 1:
                break
        found.append(
            Stage(
                key=_digits(key),
                parent=_digits(parent) if done else None,
                first=done + 1,
                last=last,
                trials=tuple(chain.trial for chain in branch),
                ends=tuple(chain.trial for chain in branch if chain.last == last),
            )
        )
        _grow(branch, last, key, known, found)


def _rest(chain: _Chain, done: int, parent: bytes) -> Stage:
    """The epochs after ``done`` of a trial that shares none of them, as one stage."""
    key, last = parent, done
    for span in chain.spans:
        if span.last > last:
            key, last = chain_key(key, span.token, span.last - last), span.last
    trials = (chain.trial,)
    return Stage(_digits(key), _digits(parent) if done else None, done + 1, last, trials=trials, ends=trials)


def _go_on(key: bytes, token: bytes, done: int, last: int, known: frozenset[str]) -> tuple[bytes, int]:
    """Key and epoch reached after epochs that share a token, up to the first epoch with a known key, or to ``last``."""
    if not known:
        return chain_key(key, token, last - done), last
    for epoch in range(done + 1, last + 1):
        key = chain_key(key, token, 1)
        if _digits(key) in known:
            return key, epoch
    return key, last


def _digits(key: bytes) -> str:
    return key.hex()[:KEY_DIGITS]
