"""Optuna hook: a search as an Optuna study with every finished trial, for Optuna's dashboard."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from agrm_study.hooks.base import Hook
from agrm_study.hooks.trial_log import TrialLog
from agrm_study.records.schemas import PRUNED
from agrm_study.records.search_log import SearchLog
from agrm_study.study.errors import InputError
from agrm_study.study.search_space import Dimension, Search
from agrm_study.study.study import Study

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

TRIAL: Final = "agrm_study:trial_id"
STAMP: Final = "agrm_study:stamp"
"""Names of the user attributes for the trial id and stamp."""


class OptunaHook(Hook):
    """Adds the trials of a search to an Optuna study, with parameter values as in the study file.

    Optuna does not allow changes to finished trials, so a trial that failed and was rerun has one entry per attempt. It
    also does not allow different choices or a different scale in the same study: after such a change of the space, the
    trials are written to a new Optuna study, ``NAME (space 2)``, in the same storage. A dimension whose bounds or
    choices exclude a trial's value is omitted from its entry. A point with several seeds has one entry per seed.
    """

    name: ClassVar[str] = "optuna"
    package: ClassVar[str] = "optuna"

    @classmethod
    def check(cls, study: Study) -> None:
        if study.search is None:
            raise InputError(
                "the Optuna hook requires a study with a search",
                where=study.name,
                hint="tensorboard, mlflow and wandb support every study, including studies that tune their arms.",
            )

    @property
    def where(self) -> str:
        return f"optuna-dashboard {self.out}"

    def stamps(self) -> Mapping[str, str]:
        attributes = (trial.user_attrs for trial in self._optuna.get_trials(deepcopy=False))
        return {each[TRIAL]: each.get(STAMP, "") for each in attributes if TRIAL in each}

    def wanted(self, trial: Mapping[str, object]) -> bool:
        drawn = self._drawn is None or trial["trial_id"] in self._drawn
        return bool(trial["phase"] == "search" and drawn)

    def write(self, trial: TrialLog) -> None:
        from optuna.trial import TrialState, create_trial

        metrics = [name.removeprefix("val/") for name in self._search.metric]
        values = [trial.final.get(name, math.nan) for name in self._search.metric]
        state = TrialState.PRUNED if trial.record.get("stop_reason") == PRUNED else TrialState.COMPLETE
        if trial.failed or (state is TrialState.COMPLETE and not all(math.isfinite(value) for value in values)):
            state = TrialState.FAIL
        space = {
            name: dimension
            for name, dimension in self._search.space.items()
            if name in trial.factors and dimension.contains(trial.factors[name])
        }
        curve = {epoch: at[metrics[0]] for epoch, at in trial.objective_curve.items() if metrics[0] in at}
        names = ("arm", "seed", "failure", "best_epoch", "epochs", "wall_s")
        attributes = {name: trial.record[name] for name in names if name in trial.record}
        entry = create_trial(
            state=state,
            params={name: _value(dimension, trial.factors[name]) for name, dimension in space.items()},
            distributions={name: distribution(dimension) for name, dimension in space.items()},
            values=values if state is TrialState.COMPLETE else None,
            intermediate_values=curve if len(metrics) == 1 else None,
            user_attrs={TRIAL: trial.trial_id, STAMP: trial.stamp} | attributes,
        )
        self._optuna.add_trial(entry)

    def _place(self, out: str | None) -> str:
        if out is not None and "://" in out:
            return out
        path = self._in_results("optuna.db") if out is None else Path(out).absolute()
        path = path / "optuna.db" if path.is_dir() else path
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path) if path.suffix in (".log", ".journal") else f"sqlite:///{path}"

    def _open(self) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        self._search = cast(Search, self.study.study.search)  # `check` has accepted the study
        log = SearchLog.read(self.study.location)
        self._drawn = (
            None if log is None else {trial_id for proposal in log.proposals for trial_id in proposal.trial_ids}
        )
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            storage: Any = self.out if "://" in self.out else JournalStorage(JournalFileBackend(self.out))
            self._optuna = self._study_of_this_space(storage)
        except Exception as fault:  # storages raise database-specific errors
            raise InputError(
                "Optuna cannot use this storage",
                field="--out",
                given=self.out,
                allowed="a folder, a .db or .journal file, or a URL such as sqlite:///optuna.db",
                hint=f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}",
            ) from None
        if [direction.name.lower() for direction in self._optuna.directions] != list(self._search.directions):
            raise InputError(
                "contains a study with the same name and different objectives", field="--out", given=self.out,
                hint="Choose a different storage.",
            )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna marks metric names as experimental
            self._optuna.set_metric_names(list(self._search.metric))

    def _study_of_this_space(self, storage: Any) -> optuna.Study:
        """The first Optuna study with this name whose trials have compatible dimensions; a new study if there is
        none.
        """
        import optuna

        space = {name: distribution(dimension) for name, dimension in self._search.space.items()}
        number = 1
        while True:
            found = optuna.create_study(
                storage=storage,
                study_name=self.study.study.name if number == 1 else f"{self.study.study.name} (space {number})",
                directions=list(self._search.directions),
                load_if_exists=True,
            )
            if all(_compatible(trial.distributions, space) for trial in found.get_trials(deepcopy=False)):
                return found
            number += 1


def _compatible(recorded: Mapping[str, BaseDistribution], space: Mapping[str, BaseDistribution]) -> bool:
    """Whether Optuna accepts both distributions of every shared dimension in one study."""
    from optuna.distributions import check_distribution_compatibility

    try:
        for name in recorded.keys() & space.keys():
            check_distribution_compatibility(recorded[name], space[name])
    except ValueError:
        return False
    return True


def distribution(dimension: Dimension) -> BaseDistribution:
    """The Optuna distribution of a dimension; a logit scale, which Optuna does not support, becomes a linear scale."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.choices is not None:
        return CategoricalDistribution([_choice(value) for _, value in dimension.choices])
    low, high = dimension.bounds
    log = dimension.scale == "log"
    if dimension.kind == "int":
        return IntDistribution(int(low), int(high), log=log, step=int(dimension.step or 1))
    return FloatDistribution(low, high, log=log, step=dimension.step)


def _value(dimension: Dimension, value: Any) -> Any:
    return _choice(value) if dimension.choices is not None else value


def _choice(value: Any) -> bool | int | float | str | None:
    """A choice converted to a type that Optuna can store: lists and mappings become JSON text."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)
