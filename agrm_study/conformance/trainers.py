"""Conformance checks for trainers."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agrm_study.conformance.changed_options import changed_options
from agrm_study.conformance.checks import Broken, must
from agrm_study.execution.data.trainer_data import trainer_manifest
from agrm_study.execution.trial.own_results import predicted_probabilities, training_loss, weights_file
from agrm_study.plan.own_stages import EPOCHS as EPOCHS_NAME
from agrm_study.plan.own_stages import declaration
from agrm_study.study.parts.loaded import overrides, own_class
from agrm_study.study.parts.names import short_name
from agrm_study.training.trainer import Sample, Trainer, Trial

EPOCHS = 2
MOST_SHARED = 8
"""Maximum number of shared epochs that are trained in a check."""


@cache
def samples_of(name: str) -> tuple[Sample, ...]:
    """The samples of a trainer, read once."""
    return tuple(own_class("trainer", name).samples())


@cache
def trial_of(name: str, epochs: int = EPOCHS) -> Trial:
    """A trial in which every third sample of each label is used for validation."""
    labels = sorted({sample.label for sample in samples_of(name)})
    seen: Counter[str] = Counter()
    train: list[Sample] = []
    val: list[Sample] = []
    for sample in samples_of(name):
        (val if seen[sample.label] % 3 == 2 else train).append(sample)
        seen[sample.label] += 1
    indices = {part: np.array([labels.index(s.label) for s in rows]) for part, rows in (("train", train), ("val", val))}
    return Trial(
        classes=tuple(labels),
        seed=1,
        epochs=epochs,
        train=tuple(sample.id for sample in train),
        train_labels=indices["train"],
        val=tuple(sample.id for sample in val),
        val_labels=indices["val"],
    )


def begun(name: str, options: Mapping[str, Any], trial: Trial, saved: Path | None = None) -> Trainer:
    """A trainer whose `start` has been called."""
    trainer: Trainer = own_class("trainer", name)(own_class("trainer", name).options_of(options))
    trainer.start(trial, saved)
    return trainer


def continued(name: str, trainer: Trainer, options: Mapping[str, Any], trial: Trial) -> Trainer:
    """A new trainer, resumed from the state saved by another trainer."""
    with tempfile.TemporaryDirectory() as folder:
        trainer.save(Path(folder))
        return begun(name, options, trial, Path(folder))


def trained(name: str, *, pause: bool = False) -> NDArray[np.floating[Any]]:
    """Predictions on the validation samples after two epochs, optionally with a save and a resume in between."""
    trial = trial_of(name)
    trainer = begun(name, {}, trial)
    trainer.run_epoch(1)
    if pause:
        trainer = continued(name, trainer, {}, trial)
    trainer.run_epoch(2)
    return np.asarray(trainer.predict(trial.val))


def results_of(trainer: Trainer, trial: Trial, first: int, last: int) -> list[tuple[bytes, bytes]]:
    """Train epochs `first` to `last`; return the recorded values: loss, and predictions on the validation samples."""
    found = []
    for epoch in range(first, last + 1):
        loss = training_loss(trainer.run_epoch(epoch), epoch, type(trainer).__name__)
        found.append(
            (np.float64(np.nan if loss is None else loss).tobytes(), np.asarray(trainer.predict(trial.val)).tobytes())
        )
    return found


@cache
def _first_epoch(name: str) -> tuple[Trainer, Any]:
    """A trainer after one epoch, and the value returned by `run_epoch`; checks must not modify the trainer."""
    trainer = begun(name, {}, trial_of(name))
    return trainer, trainer.run_epoch(1)


@cache
def _straight(name: str) -> NDArray[np.floating[Any]]:
    return trained(name)


def has_a_docstring(name: str) -> None:
    """The class has a docstring."""
    must(own_class("trainer", name).__doc__, "the docstring is missing")


def samples_are_valid(name: str) -> None:
    """Samples are a list of `ags.Sample` that a study accepts, with at least two labels."""
    manifest = trainer_manifest(name, Path(), write=False)
    must(len({clip.label for clip in manifest.clips}) > 1, "all samples have the same label")


def data_are_the_same_each_time(name: str) -> None:
    """Samples and fingerprint are the same on every call."""
    cls = own_class("trainer", name)
    must(tuple(cls.samples()) == samples_of(name), "the samples differ")
    must(cls.fingerprint() == cls.fingerprint(), "the fingerprint differs")


def predictions_are_probabilities(name: str) -> None:
    """Predictions are probabilities: one row per sample, one column per class, rows that sum to 1."""
    trial = trial_of(name)
    predicted_probabilities(_straight(name), len(trial.val), len(trial.classes), short_name(name))


def samples_are_judged_one_by_one(name: str) -> None:
    """The prediction for a sample does not depend on other samples."""
    trainer, _ = _first_epoch(name)
    ids = trial_of(name).val[:5]
    together = np.asarray(trainer.predict(ids))
    alone = np.concatenate([np.asarray(trainer.predict((sample,))) for sample in ids])
    must(np.allclose(together, alone, atol=1e-5), "predictions for a sample differ between a batch and a single sample")


def equal_seeds_give_equal_results(name: str) -> None:
    """Two training runs with the same seed give equal predictions."""
    must(
        np.array_equal(trained(name), _straight(name)),
        "they differ; seed all random number generators with `trial.seed`",
    )


def a_resumed_training_is_the_same(name: str) -> None:
    """A training run that is saved and resumed gives the same predictions as an uninterrupted one."""
    must(np.array_equal(trained(name, pause=True), _straight(name)), "they differ; save all state that changes")


def declared_epochs_are_shared(name: str) -> None:
    """A trial that starts after the epochs of `shared_epochs` gives the same results as a trial that trains them."""
    if not overrides("trainer", name, "shared_epochs"):
        return
    changed = dict(changed_options(own_class("trainer", name).Options))
    points: list[dict[str, Any]] = [{}, *({option: value} for option, value in changed.items())]
    own = next((point for point in points if declaration(name, point, MOST_SHARED).last), None)
    if own is None:
        raise Broken("no epoch is declared for the default options, or after changing one of them")
    declared = declaration(name, own, MOST_SHARED)
    unnamed = [option for option in changed if option not in {*declared.names, *own}]
    for option in [*unnamed, *({EPOCHS_NAME} - declared.names)]:
        other = own if option == EPOCHS_NAME else own | {option: changed[option]}
        theirs = declaration(name, other, MOST_SHARED)
        last = min(declared.last, theirs.last)
        if last and theirs.names == declared.names:
            trial, longer = trial_of(name, last + 1), trial_of(name, last + 1 + (option == EPOCHS_NAME))
            alone = results_of(begun(name, own, trial), trial, 1, last + 1)
            shared = begun(name, other, longer)
            rows = results_of(shared, longer, 1, last)
            rows += results_of(continued(name, shared, own, trial), trial, last + 1, last + 1)
            differs = next((epoch for epoch in range(last + 1) if rows[epoch] != alone[epoch]), None)
            must(
                differs is None,
                f"epoch {(differs or 0) + 1} differs between trials with different values of `{option}`",
            )


def losses_are_numbers(name: str) -> None:
    """`run_epoch` returns the training loss as `loss`, a finite number, or returns nothing."""
    training_loss(_first_epoch(name)[1], 1, short_name(name))


def weights_can_be_kept(name: str) -> None:
    """`weights` returns NumPy arrays by name, or returns nothing."""
    weights_file(_first_epoch(name)[0].weights(), short_name(name))


CHECKS = (
    has_a_docstring,
    samples_are_valid,
    data_are_the_same_each_time,
    predictions_are_probabilities,
    samples_are_judged_one_by_one,
    losses_are_numbers,
    equal_seeds_give_equal_results,
    a_resumed_training_is_the_same,
    declared_epochs_are_shared,
    weights_can_be_kept,
)
