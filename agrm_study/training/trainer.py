"""Interface of a trainer, through which a study plans, runs, resumes and reports training runs of any kind.

Legend of axes: N samples, K classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.parts.loaded import decorator
from agrm_study.study.parts.names import name_of_class
from agrm_study.study.parts.options import HasOptions


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled example of a trainer's data.

    Attributes:
        id: Id, unique among the samples.
        label: Label; a task of the study maps labels to classes.
        group: Person or other unit that is not divided by splits and counts once in statistics; if empty, the sample
            itself.
        site: Location of the recording, for `splits: {group: site}` and results by site; unknown if empty.
    """

    id: str
    label: str
    group: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One training run: all information that a trainer receives in addition to its settings.

    Attributes:
        classes: The K class names, by class index.
        seed: Seed of the training run.
        epochs: Number of epochs.
        train: Ids of the training samples.
        train_labels: Class indices (N,) of the training samples, int64.
        val: Ids of the validation samples.
        val_labels: Class indices (N,) of the validation samples, int64.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        threads: Number of threads that the trainer may use.
    """

    classes: tuple[str, ...]
    seed: int
    epochs: int
    train: tuple[str, ...]
    train_labels: NDArray[np.int64]
    val: tuple[str, ...]
    val_labels: NDArray[np.int64]
    device: str = "cpu"
    threads: int = 1


class Trainer(HasOptions, ABC):
    """Trains one trial, epoch by epoch.

    A study specifies the class (``trainer: file.py:Class``); its settings are defined by a nested class ``Options``,
    whose fields are set by name in the arms. Equal settings, samples and seeds must produce equal results. The data
    must be readable on every node, and `fingerprint` must change whenever the data change.

    Args:
        options: An instance of the nested class ``Options``.
    """

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if not any(getattr(getattr(cls, name, None), "__isabstractmethod__", False) for name in _ABSTRACT):
            decorator("trainer")(name_of_class(cls.__name__))(cls)

    def __init__(self, options: Any) -> None:
        self.options = options

    @classmethod
    @abstractmethod
    def samples(cls) -> Sequence[Sample]:
        """All labelled samples, independent of settings and seeds."""

    @classmethod
    @abstractmethod
    def fingerprint(cls) -> str:
        """Text that identifies the content of the data, such as a version or, preferably, a hash."""

    @classmethod
    def shared_epochs(cls, options: Any) -> tuple[int, Collection[str]]:
        """Declare the first epochs as a stage shared by trials; by default, no epochs are shared.

        Trials with equal values of the named options, equal seeds and equal samples train these epochs once: one trial
        saves its state, and the others start from it.

        Args:
            options: Options of a trial.

        Returns:
            The number of these epochs, and the names of all options that can change their results, including
            ``epochs`` if `Trial.epochs` can change them.
        """
        return 0, ()

    @abstractmethod
    def start(self, trial: Trial, saved: Path | None) -> None:
        """Prepare the training run.

        Args:
            trial: The trial.
            saved: Folder with files written by `save`, from which to resume; None for a new training run.
        """

    @abstractmethod
    def run_epoch(self, epoch: int) -> Mapping[str, float]:
        """Train for one epoch, counted from 1, and return the mean training loss as ``loss``, or an empty mapping."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Save to an empty folder all state that the next epoch or `predict` requires."""

    @abstractmethod
    def predict(self, ids: Sequence[str]) -> NDArray[np.floating[Any]]:
        """Class probabilities (N, K) of the samples, predicted by the model after the last epoch; rows sum to 1."""

    def weights(self) -> Mapping[str, NDArray[Any]]:
        """Arrays of the model by name, saved in the results folder; empty by default."""
        return {}


_ABSTRACT = tuple(Trainer.__abstractmethods__)
