"""The specification of one training run of a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from agrm_study.study.recipe import Recipe

Phase = Literal["search", "final"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """One training run: arm × task × seed, and fold in a study with folds.

    Attributes:
        trial_id: Hash of everything that can change the outcome (16 hexadecimal digits).
        config_id: Hash of the same values without seeds and split; equal for the replicates of an arm on a task.
        study: Name of the study.
        phase: ``search`` selects settings on validation data; ``final`` is reported.
        arm: Row of a table.
        recipe: All training settings; settings without effect (tau of a supervised trial) have their default values.
        params: The factors in which the arm differs from the base recipe, by dotted name, as plain JSON values.
        data_fingerprint: Hash of the manifest's content.
        split_fingerprint: Hash of the split's content.
        labelled_fingerprint: Hash of the labelled parts of the split, the only parts that a supervised epoch reads.
        fold: The fold used as the test part; None in a study with a single split.
    """

    trial_id: str
    config_id: str
    study: str
    phase: Phase
    arm: str
    recipe: Recipe
    params: dict[str, Any] = field(default_factory=dict)
    data_fingerprint: str = ""
    split_fingerprint: str = ""
    labelled_fingerprint: str = ""
    fold: int | None = None

    @property
    def task(self) -> str:
        """Name of the trial's task."""
        return self.recipe.task.name

    @property
    def seed(self) -> int:
        """Training seed of the trial."""
        return self.recipe.seed
