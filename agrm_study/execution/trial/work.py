"""Input of a worker: one trial, and the settings shared by all trials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, NamedTuple

from agrm_study.plan.trial import TrialSpec
from agrm_study.study.recipe import Recipe

AGRM_RUNNER: Final = "agrm_study.execution.trial.agrm_runner:AgrmRunner"
OWN_RUNNER: Final = "agrm_study.execution.trial.own_runner:OwnRunner"
EVALUATION_RUNNER: Final = "agrm_study.execution.trial.evaluation_runner:EvaluationRunner"
NOOP_RUNNER: Final = "agrm_study.execution.trial.runner:NoopRunner"


class StageEnd(NamedTuple):
    """End of a stage of a trial: the key of the stage and its last epoch."""

    key: str
    last: int


class Evaluation(NamedTuple):
    """The evaluation of a finished trial.

    Attributes:
        parts: Names of the parts to be evaluated (`records.evaluations`), in order.
        kept: Parts that are reused from the record of an earlier evaluation.
        results: Results folder of the study, which contains the weights.
        seed: Seed of the corruptions.
    """

    parts: tuple[str, ...]
    kept: tuple[str, ...]
    results: str
    weights_digest: str
    best_epoch: int
    seed: int = 0

    @classmethod
    def of(cls, values: Sequence[Any]) -> Evaluation:
        """The evaluation from plain JSON values."""
        parts, kept, *rest = values
        return cls(tuple(parts), tuple(kept), *rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One trial and the locations of its data.

    Attributes:
        attempts: Number of attempts recorded by earlier runs.
        stages: Stages of the trial, first to last; it inherits their state if saved, and otherwise saves it for other
            trials.
        accelerator: Type of accelerator that it must run on, if arms use different accelerators.
        predict_only: Whether a finished trial only recomputes its lost predictions from its saved weights.
        evaluation: Evaluation of a finished trial, which is run instead of training.
    """

    trial: TrialSpec
    manifest: str = ""
    store: str = ""
    attempts: int = 0
    stages: tuple[StageEnd, ...] = ()
    accelerator: str | None = None
    predict_only: bool = False
    evaluation: Evaluation | None = None

    @property
    def steps(self) -> int:
        """Number of training epochs, or of parts to evaluate."""
        return self.trial.recipe.epochs if self.evaluation is None else len(self.evaluation.parts)

    def to_json(self) -> str:
        """Compact JSON; settings with default values are omitted."""
        trial = {field.name: getattr(self.trial, field.name) for field in fields(TrialSpec)}
        trial["recipe"] = self.trial.recipe.model_dump(mode="json", exclude_defaults=True)
        values = {field.name: getattr(self, field.name) for field in fields(Work) if field.name != "trial"}
        return json.dumps({"trial": trial, **values}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Work:
        """Inverse of `to_json`."""
        values: dict[str, Any] = json.loads(text)
        trial = values.pop("trial")
        trial["recipe"] = Recipe.model_validate(trial["recipe"])
        stages = tuple(StageEnd(*end) for end in values.pop("stages"))
        evaluation = values.pop("evaluation")
        values["evaluation"] = None if evaluation is None else Evaluation.of(evaluation)
        return cls(trial=TrialSpec(**trial), stages=stages, **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Settings shared by all trials of a run.

    Attributes:
        results: Results folder, a local path or a URI.
        runner: ``module:Class`` of the `TrialRunner`.
        device: ``cpu`` or ``cuda``.
        metric: Validation metric shown in progress reports.
        stop_flag: File whose presence requests that every worker stop at the next epoch boundary; empty for no file.
        checkpoint_every_s: Minimum seconds between two rolling checkpoints (more if they take long); 0 for a checkpoint
            after each epoch. Stopping always saves a checkpoint.
        keep_weights: Whether the best weights of a finished trial are kept in its checkpoint folder.
        local_store: Folder on the local disk of each node to which the clip store is copied; empty to read it in place.
        prune: Whether the driver may end a trial between two epochs (`pruning`).
        versions: Versions that every worker must run; empty for no requirement.
        fence: Number of the driver (`fence`); a worker whose number is smaller than the number in the results folder
            must no longer write. 0 for no driver.
        run: Identity of the joined run (`leases`); empty for a run that uses the results folder exclusively.
    """

    results: str
    runner: str = AGRM_RUNNER
    device: str = "cpu"
    threads: int = 1
    metric: str = "macro_f1"
    stop_flag: str = ""
    checkpoint_every_s: float = 20.0
    keep_weights: bool = True
    local_store: str = ""
    prune: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    fence: int = 0
    run: str = ""

    def to_json(self) -> str:
        """Compact JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> WorkerSettings:
        """Inverse of `to_json`."""
        return cls(**json.loads(text))
