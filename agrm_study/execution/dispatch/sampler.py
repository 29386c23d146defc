"""Optuna's samplers and pruners, configured by the settings of a study file.

Each draw has its own sampler seed, derived from the search's `sampler_seed` and the draw number: an interrupted
search resumes as if uninterrupted, and a random search samples the same points regardless of their scores.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from agrm_study.study.optuna_samplers import NamedSampler, build_sampler
from agrm_study.study.search_space import Dimension, Pruner, SearchSettings

if TYPE_CHECKING:
    import optuna

DIGITS: Final = 8
"""Significant digits of sampled numbers: enough for any setting, and still readable."""

End = Literal["finished", "pruned", "dropped", "failed"]
"""Outcome of a point; a dropped point was unpromising after some of its seeds."""

Space = Mapping[str, Dimension]
"""Distribution of each setting, by dotted name."""

STATELESS: Final = ("random", "tpe", "gp", "RandomSampler", "TPESampler", "GPSampler")
"""Samplers that store no attributes on trials: replaying a draw does not call them."""

COUNTING: Final = ("CmaEsSampler", "QMCSampler")
"""Samplers that count their draws when sampling several settings jointly."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One point proposed by the sampler.

    Attributes:
        settings: Values by dotted name; dimensions whose condition does not hold are absent.
        drawn: The same values in Optuna's representation: the logit of a value, the index of a choice.
    """

    handle: optuna.Trial
    settings: dict[str, Any]
    drawn: dict[str, float | int]


class Sampler:
    """An in-memory Optuna study, filled by `tell` and `replay`.

    A dimension with a condition is sampled only if the condition holds. TPE decomposes such a space into groups; GP
    samples conditional dimensions at random, because its model requires a fixed space.
    """

    def __init__(self, search: SearchSettings, space: Space) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._search, self._space = search, space
        self._study = optuna.create_study(
            directions=list(search.directions),
            pruner=optuna_pruner(search.pruner),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )

    @property
    def number(self) -> int:
        """Number of points sampled and replayed so far."""
        return len(self._study.get_trials(deepcopy=False))

    def ask(self) -> Draw:
        """The next point, given all results so far."""
        self._study.sampler = optuna_sampler(self._search, self.number)
        return self._draw()

    def replay(self, drawn: Mapping[str, float | int]) -> Draw:
        """Adds a point sampled by an earlier run, as if `ask` had just returned it."""
        import optuna

        sampler = self._search.sampler
        name = sampler if isinstance(sampler, str) else sampler.name
        if name in STATELESS:
            self._study.sampler = optuna.samplers.RandomSampler(seed=0)
        else:  # for example NSGA-II, which marks each trial with its generation
            self._study.sampler = optuna_sampler(self._search, self.number)
        self._study.enqueue_trial(dict(drawn))
        return self._draw(count=name in COUNTING)

    def report(self, draw: Draw, epoch: int, value: float) -> bool:
        """Reports a trial's best validation metric up to an epoch; returns whether to prune the trial at that epoch."""
        if self._search.pruner.name == "none":
            return False
        draw.handle.report(value, epoch)
        return bool(draw.handle.should_prune())

    def tell(
        self, draw: Draw, end: End, values: tuple[float, ...] | None = None, excess: tuple[float, ...] = ()
    ) -> None:
        """Reports the end of a point; a point without finite objectives and constraints counts as failed.

        A dropped point is reported with the mean over its finished seeds, which is worse than the median.
        """
        from optuna.trial import TrialState

        if end in ("finished", "dropped") and values is not None and all(map(math.isfinite, (*values, *excess))):
            for constraint, each in zip(self._search.constraints, excess, strict=True):
                draw.handle.set_constraint(str(constraint), each)
            self._study.tell(draw.handle, list(values))
        else:
            state = TrialState.PRUNED if end == "pruned" else TrialState.FAIL
            self._study.tell(draw.handle, state=state)

    def _draw(self, *, count: bool = False) -> Draw:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            handle = self._study.ask()
            if count:  # otherwise the sampler would not count a draw with given values
                _ = handle.relative_params
            settings: dict[str, Any] = {}
            drawn: dict[str, float | int] = {}
            for name, dimension in self._space.items():
                if dimension.when.holds(settings):
                    drawn[name] = _suggest(handle, name, dimension)
                    settings[name] = outer(dimension, drawn[name])
        return Draw(handle, settings, drawn)


def _suggest(handle: optuna.Trial, name: str, dimension: Dimension) -> float | int:
    """A value in Optuna's representation: the logit for a logit scale, the index for a choice."""
    if dimension.choices is not None:
        return int(handle.suggest_categorical(name, tuple(range(len(dimension.choices)))))
    low, high = dimension.bounds
    log = dimension.scale == "log"
    if dimension.kind == "int":
        return int(handle.suggest_int(name, int(low), int(high), log=log, step=int(dimension.step or 1)))
    if dimension.scale == "logit":
        return float(handle.suggest_float(name, _logit(low), _logit(high)))
    return float(handle.suggest_float(name, low, high, log=log, step=dimension.step))


def outer(dimension: Dimension, drawn: float | int) -> Any:
    """The setting for a value in Optuna's representation."""
    if dimension.choices is not None:
        return dimension.choices[int(drawn)][1]
    if dimension.kind == "int":
        return int(drawn)
    low, high = dimension.bounds
    value = 1.0 / (1.0 + math.exp(-drawn)) if dimension.scale == "logit" else float(drawn)
    return min(max(float(f"{value:.{DIGITS}g}"), low), high)


def inner(space: Space, settings: Mapping[str, Any]) -> dict[str, float | int] | None:
    """A point in Optuna's representation; ``None`` if the current space does not contain it."""
    drawn: dict[str, float | int] = {}
    for name, dimension in space.items():
        if not dimension.when.holds(settings):
            if name in settings:
                return None
            continue
        if name not in settings:
            return None
        value = settings[name]
        if dimension.choices is not None:
            places = [place for place, (_, choice) in enumerate(dimension.choices) if _same(choice, value)]
            if not places:
                return None
            drawn[name] = places[0]
            continue
        low, high = dimension.bounds
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            return None
        if dimension.kind == "int":
            drawn[name] = int(value)
        else:
            drawn[name] = _logit(value) if dimension.scale == "logit" else float(value)
        steps = (value - low) / (dimension.step or 1)
        if dimension.step is not None and abs(steps - round(steps)) >= 1e-6:
            return None
    return drawn if set(settings) <= set(space) else None


def optuna_sampler(search: SearchSettings, number: int) -> optuna.samplers.BaseSampler:
    """The sampler for one draw."""
    from optuna import samplers

    seed = int(np.random.SeedSequence([search.sampler_seed, number]).generate_state(1)[0])
    if isinstance(search.sampler, NamedSampler):
        one_sequence = search.sampler.name == "QMCSampler"  # its seed scrambles the sequence that the draws share
        return build_sampler(search.sampler, search.sampler_seed % 2**32 if one_sequence else seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna marks TPE's groups as experimental; tests pin the supported release
        match search.sampler:
            case "random":
                return samplers.RandomSampler(seed=seed)
            case "tpe":
                return samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
            case "gp":
                return samplers.GPSampler(seed=seed, warn_independent_sampling=False)
            case "nsga2":
                return samplers.NSGAIISampler(seed=seed, population_size=population(search.trials))


def population(trials: int) -> int:
    """Size of a generation: a fifth of the trials, between 4 and Optuna's default of 50."""
    return min(50, max(4, trials // 5))


def optuna_pruner(pruner: Pruner) -> optuna.pruners.BasePruner:
    """The Optuna pruner for the given settings; one step is one epoch."""
    from optuna import pruners

    match pruner.name:
        case "asha":
            return pruners.SuccessiveHalvingPruner(
                min_resource=pruner.grace_epochs, reduction_factor=pruner.reduction_factor
            )
        case "median":
            return pruners.MedianPruner(
                n_startup_trials=pruner.min_trials, n_warmup_steps=pruner.grace_epochs, n_min_trials=pruner.min_trials
            )
        case _:
            return pruners.NopPruner()


def _logit(value: float) -> float:
    return math.log(value) - math.log1p(-value)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)
