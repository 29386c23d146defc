"""Parts of a study used in its report: question, arms, analysis settings and planned trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agrm_study.study.parts.source import OwnPart
from agrm_study.study.recipe import Recipe
from agrm_study.study.reported import Network, reported_network
from agrm_study.study.search_space import Dimension, Tune
from agrm_study.study.seeds import Race
from agrm_study.study.spec import OperatingPoint
from agrm_study.study.splits import Splits
from agrm_study.study.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmInfo:
    """One arm: its name, its settings, and its full recipe (except task and seed).

    Attributes:
        recipe: The recipe, with the settings chosen by tuning on the study's first task.
        space: Search space of its tuning, if different from the study's space.
        tuned: The settings chosen by its tuning, by task.
    """

    name: str
    settings: Mapping[str, Any]
    recipe: Recipe
    seed_offset: int = 0
    space: Mapping[str, Dimension] | None = None
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def has_mtm(self) -> bool:
        """Whether the arm has the Mean Teacher module."""
        return self.recipe.has_teacher

    @property
    def average(self) -> Network | None:
        """Network with averaged weights: ``teacher``, or ``ema`` for an average that is not used as a teacher; None if
        the arm has neither."""
        return "teacher" if self.has_mtm else "ema" if self.averages_only else None

    @property
    def averages_only(self) -> bool:
        """Whether an average of the network's weights is evaluated but not used as a teacher."""
        return self.recipe.evaluate.ema and not self.recipe.has_teacher

    @property
    def has_shpm(self) -> bool:
        """Whether the arm has the spatial hierarchical pooling module."""
        return self.recipe.model.pooling.name == "shpm"

    @property
    def accepts(self) -> bool:
        """Whether the arm uses a threshold to accept pseudo-labels."""
        ssl = self.recipe.ssl
        return self.recipe.uses_unlabelled and ssl.method != "mean_teacher" and ssl.pseudo.mode != "off"

    @property
    def network(self) -> Network:
        """The reported network."""
        return reported_network(self.recipe)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyInfo:
    """The parts of a study that are used in a report: question, arms, tasks, seeds and analysis settings.

    ``evaluated`` lists the kinds of additional evaluations in its results (`evaluated.evaluated_kinds`).
    """

    name: str
    question: str
    tasks: Mapping[str, Task]
    seeds: tuple[int, ...]
    arms: tuple[ArmInfo, ...]
    reference: str | None
    primary_metric: str
    factors: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prevalences: tuple[float, ...] = ()
    margin: float | None = None
    operating_points: tuple[OperatingPoint, ...] = ()
    search_metric: str | None = None
    search_seeds: int | None = None
    tune: Tune | None = None
    race: Race | None = None
    parts: tuple[OwnPart, ...] = ()
    splits: Splits | None = None
    evaluated: tuple[str, ...] = ()

    def arm(self, name: str) -> ArmInfo:
        """The arm with the given name.

        Raises:
            KeyError: If the study has no such arm.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One trial that the study requests.

    Attributes:
        fold: The fold used as the test part; None in a study with a single split.
        repeat: Repeat of the folds.
    """

    arm: str
    task: str
    seed: int
    split_seed: int
    trial_id: str
    phase: str = "final"
    fold: int | None = None
    repeat: int = 0
