"""Tokens that represent the settings affecting each epoch of a trial.

A trial of any method begins with supervised epochs: there is no teacher yet, and unlabelled clips are not used. Such an
epoch equals an epoch of the supervised method, and settings that have no effect in it (α, τ, the ramp, the policy) are
not part of its token. Two trials with equal tokens from the first epoch onwards have bit-identical states up to the
first difference. Epochs of a user-defined trainer are shared only if the trainer declares them as shared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agrm_study.plan.canonical import canonical_object, scalar_member
from agrm_study.plan.identity import FileHash, content_members
from agrm_study.plan.own_stages import EPOCHS, declared_epochs
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.options import OptionValues
from agrm_study.study.recipe import Recipe
from agrm_study.study.ssl_settings import Ramp

STAGE_VERSION: Final = 1
"""Incremented when the meaning of an epoch's token changes, so that old stages are not reused."""

LOOP: Final = ("epochs", "early_stop.patience", "early_stop.armed_after")
"""Settings that only determine when training ends: a longer training run continues a shorter one, unless its learning
rate depends on its length. The patience is part of the token again once early stopping is armed, because a plateau
schedule may count the same epochs."""

WHEN: Final = ("ssl.pretrain_epochs", "ssl.ramp.shape", "ssl.ramp.epochs", "ssl.ramp.maximum")
"""Settings that affect an epoch only through its position in the chain and its λ, both of which determine its token."""


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive epochs of a trial that are affected by the same settings.

    Attributes:
        first: First epoch, counted from 1.
        last: Last epoch.
        token: Hash of the settings that affect each of these epochs.
    """

    first: int
    last: int
    token: bytes


class SpanReader:
    """Computes the spans of trials; values common to the replicates of an arm are computed once.

    Args:
        hash_file: Hashes the files specified in recipes.
    """

    def __init__(self, hash_file: FileHash) -> None:
        self._hash_file = hash_file
        self._known: dict[tuple[str, ...], tuple[Span, ...]] = {}

    def spans(self, trial: TrialSpec) -> tuple[Span, ...]:
        """The spans of a trial, from epoch 1 to its last epoch; adjacent spans have different tokens.

        Raises:
            InputError: If a file specified in its recipe cannot be read.
        """
        key = (trial.config_id, trial.split_fingerprint, trial.labelled_fingerprint)
        if key not in self._known:
            self._known[key] = self._without_seeds(trial)
        seeds = f"{trial.recipe.seed}/{trial.recipe.split_seed}".encode()
        return tuple(
            Span(span.first, span.last, hashlib.sha256(span.token + seeds).digest()) for span in self._known[key]
        )

    def _of_own_trainer(self, trial: TrialSpec) -> tuple[Span, ...]:
        """The epochs that the trainer declares as shared, and the remaining epochs, which every setting may affect."""
        recipe, declared = trial.recipe, declared_epochs(trial.recipe)
        epochs = _member("epochs", recipe.epochs)
        everything = self._content(recipe, trial, trial.split_fingerprint) | epochs
        options = {name: value for name, value in recipe.training.options.items() if name in declared.names}
        training = recipe.training.model_copy(update={"options": OptionValues(options)})
        shared = self._content(recipe.model_copy(update={"training": training}), trial, trial.split_fingerprint)
        shared |= _member("shared", True) | (epochs if EPOCHS in declared.names else {})
        spans = (Span(1, declared.last, _token(shared)), Span(declared.last + 1, recipe.epochs, _token(everything)))
        return tuple(span for span in spans if span.first <= span.last)

    def _without_seeds(self, trial: TrialSpec) -> tuple[Span, ...]:
        recipe = trial.recipe
        if recipe.own_trainer:
            return self._of_own_trainer(trial)
        ssl = recipe.ssl.model_copy(update={"method": "supervised"})
        supervised = self._content(recipe.model_copy(update={"ssl": ssl}), trial, trial.labelled_fingerprint)
        del supervised["ssl.method"]
        semi = self._content(recipe, trial, trial.split_fingerprint)
        start = recipe.ssl.pretrain_epochs + 1 if recipe.uses_unlabelled else recipe.epochs + 1
        ramp = recipe.ssl.ramp
        bounds = {1, start, start + 1, start + ramp.epochs, recipe.armed_after, recipe.epochs + 1}
        firsts = sorted(epoch for epoch in bounds if 1 <= epoch <= recipe.epochs)
        found: list[Span] = []
        for first, following in zip(firsts, [*firsts[1:], recipe.epochs + 1], strict=True):
            acting = supervised if first < start else semi | _member("weight", weight_key(ramp, first - start))
            patience = recipe.early_stop.patience if first >= recipe.armed_after else None
            token = _token(acting | _member("patience", patience))
            if found and found[-1].token == token:
                found[-1] = Span(found[-1].first, following - 1, token)
            else:
                found.append(Span(first, following - 1, token))
        return tuple(found)

    def _content(self, recipe: Recipe, trial: TrialSpec, split_fingerprint: str) -> dict[str, str]:
        members = content_members(recipe, self._hash_file)
        for name in (*LOOP, *WHEN):
            if name != "epochs" or recipe.optimizer.schedule != "cosine":  # cosine rates depend on the last epoch
                members.pop(name, None)
        data = _member("data_fingerprint", trial.data_fingerprint)
        content = members | data | _member("split_fingerprint", split_fingerprint)
        return dict(sorted(content.items()))  # serialised once per span; sorting sorted content is fast


def _token(members: Mapping[str, str]) -> bytes:
    return hashlib.sha256(f"[{STAGE_VERSION},{canonical_object(members)}]".encode()).digest()


def _member(name: str, value: Any) -> dict[str, str]:
    return {name: scalar_member(name, value)}


def weight_key(ramp: Ramp, since_start: int) -> tuple[Any, ...]:
    """Key of λ in an epoch, given the number of epochs since the teacher started.

    Equal keys for equal ``since_start`` imply equal λ: two ramps that are both still at 0, or have both reached the
    same maximum, have equal keys.
    """
    if since_start >= ramp.epochs:
        return "end", ramp.maximum
    if ramp.shape == "step" or (ramp.shape == "linear" and since_start == 0):
        return ("zero",)
    return ramp.shape, ramp.epochs, ramp.maximum


def chain_key(parent: bytes, token: bytes, epochs: int) -> bytes:
    """The key reached after additional epochs that share a token: a hash of the parent's key and each epoch's token."""
    key, sha256 = parent, hashlib.sha256
    for _ in range(epochs):
        key = sha256(key + token).digest()
    return key
