"""Data settings of a trial: a manifest or a synthetic data set, the split, and the selection of clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from agrm_study.study.section import Count, Fraction, Section, Seed, integer_as_text

View = Annotated[int, Field(ge=-360, le=360)]


SubjectId = Annotated[str, BeforeValidator(integer_as_text)]


class Synthetic(Section):
    """A synthetic data set, which `run` generates if it does not exist."""

    subjects: Annotated[int, Field(ge=6, le=10_000)] = 60
    """Number of labelled children, with one clip each."""
    unlabelled: Annotated[int, Field(ge=0, le=10_000)] = 60
    """Number of unlabelled clips of adults, in the layout of CASIA-B."""
    seed: Seed = 0
    """Seed of the data set."""
    difficulty: Literal["easy", "medium", "hard"] = "medium"
    """Difficulty: the knee angle (easy 26±3°, medium 18±4°, hard 11±3°) and the strength of nuisance factors."""


class SplitFractions(Section):
    """Shares of the labelled subjects in each part of the split."""

    train: Fraction = 0.64
    """Share of subjects for training."""
    val: Fraction = 0.16
    """Share of subjects for validation, which selects the best epoch."""
    test: Fraction = 0.20
    """Share of subjects for testing."""

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitFractions:
        if abs(self.train + self.val + self.test - 1.0) > 1e-9:
            raise ValueError(f"train + val + test must be 1, got {self.train + self.val + self.test:g}")
        return self


class Data(Section):
    """The clips that a trial uses."""

    manifest: Path | None = None
    """A manifest (.parquet or .csv), relative to the study file. Its content is part of a trial's identity; its path
    is not."""
    synthetic: Synthetic | None = None
    """Generate a synthetic data set instead of reading a manifest."""
    subset: Literal["all", "balanced"] = "all"
    """Labelled subjects to use: all, or (`balanced`) an equal number per label, limited by the rarest label."""
    exclude: tuple[SubjectId, ...] = ()
    """Subjects to exclude, for example because of a corrupt video."""
    split: SplitFractions = SplitFractions()
    split_file: Path | None = None
    """A CSV file with the columns subject_id and split; overrides `split`."""
    folds: Annotated[int, Field(ge=0, le=1000)] = 0
    """Number of folds over subjects: fold number `fold` is the test part, and the other folds are divided into training
    and validation in the proportions of `split`; 0 uses `split` unchanged."""
    fold: Count = 0
    """Index of the fold used as the test part, counted from 0."""
    first_fold: Literal["dealt", "split"] = "dealt"
    """Construction of fold 0. `split`: fold 0 is the test part that results from `split` without folds, and the other
    subjects are distributed over the other folds; this requires that `split.test` is 1/`folds`. `dealt`: all subjects
    are distributed over the folds."""
    fold_group: Literal["subject", "site"] = "subject"
    """Unit that is never divided between folds: with `site`, all subjects of a site are in one fold (manifest column
    `site`)."""
    labelled_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the training subjects whose labels are used, sampled with the split seed, stratified by label."""
    remainder: Literal["drop", "unlabelled"] = "drop"
    """Use of the remaining training subjects: none, or their clips are added to the unlabelled training part, in
    addition to `unlabelled_train`; their labels are then used only to measure the accuracy of accepted
    pseudo-labels."""
    unlabelled_train: Count = 364
    """Maximum number of unlabelled clips for training."""
    unlabelled_val: Count = 324
    """Maximum number of unlabelled clips for validation; never used in a reported metric."""
    views: tuple[View, ...] = (0, 180)
    """Views to use from multi-view unlabelled sources, in degrees."""

    @model_validator(mode="after")
    def _fold_exists(self) -> Data:
        if self.folds == 1 or (self.folds and self.fold >= self.folds):
            raise ValueError(
                f"folds must be 0 or at least 2, and fold must be less than folds; got {self.folds} and {self.fold}"
            )
        if self.folds and self.split.train + self.split.val <= 0:
            raise ValueError("with folds, split.train + split.val must be above 0")
        if self.folds and self.first_fold == "split" and abs(self.folds * self.split.test - 1.0) > 1e-9:
            raise ValueError(f"first_fold: split requires that split.test is 1/{self.folds}, got {self.split.test:g}")
        if self.folds and self.first_fold == "split" and self.fold_group == "site":
            raise ValueError(
                "fold_group: site requires first_fold: dealt, because the split without folds ignores sites"
            )
        return self
