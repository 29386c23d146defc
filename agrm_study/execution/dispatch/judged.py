"""Scores of search trials: their objectives and constraint quantities, read from the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from agrm_study.plan.trial import TrialSpec
from agrm_study.records.reader import Ledger
from agrm_study.records.validation_scores import read_scores
from agrm_study.statistics.calibration import reliability
from agrm_study.statistics.part_scores import PartScores
from agrm_study.study.reported import reported_network
from agrm_study.study.search_space import SearchSettings


@dataclass(frozen=True, slots=True)
class Judged:
    """Scores of a finished search trial, or mean scores of a point over its seeds.

    Attributes:
        values: The objectives at the best epoch; NaN for an undefined objective.
        excess: Amount by which each constraint is exceeded: positive if violated, NaN if its quantity is undefined.
        curve: The first objective by epoch, for epochs at which it is defined; empty for a point.
    """

    values: tuple[float, ...]
    excess: tuple[float, ...] = ()
    curve: Mapping[int, float] = field(default_factory=dict)


def mean_of(trials: Sequence[Judged]) -> Judged:
    """The means over the seeds of a point; for a single trial, its own scores."""
    if len(trials) == 1:
        return trials[0]
    columns = zip(*(trial.values for trial in trials), strict=True)
    excess = zip(*(trial.excess for trial in trials), strict=True)
    return Judged(tuple(map(fmean, columns)), tuple(map(fmean, excess)))


def read_judged(
    ledger: Ledger, specs: Mapping[str, TrialSpec], best_epochs: Mapping[str, int], settings: SearchSettings
) -> dict[str, Judged]:
    """Scores of finished trials; trials without validation rows are left out."""
    objectives = settings.metric
    quantities = list(dict.fromkeys(constraint.quantity for constraint in settings.constraints))
    epochs = [name for name in quantities if name not in ("n_params", "val/ece")]
    scores = read_scores(ledger, best_epochs, (*objectives, *epochs), lambda t: reported_network(specs[t].recipe))
    known: dict[str, dict[str, float]] = {
        trial_id: dict(zip(epochs, its.values[len(objectives) :], strict=True)) for trial_id, its in scores.items()
    }
    if "n_params" in quantities:
        for trial_id, count in _parameters(ledger, known).items():
            known[trial_id]["n_params"] = count
    if "val/ece" in quantities:
        for trial_id in known:
            known[trial_id]["val/ece"] = _calibration_error(ledger, specs[trial_id])
    return {
        trial_id: Judged(
            its.values[: len(objectives)],
            tuple(c.excess(known[trial_id].get(c.quantity, math.nan)) for c in settings.constraints),
            its.curve,
        )
        for trial_id, its in scores.items()
    }


def _parameters(ledger: Ledger, trial_ids: Iterable[str]) -> dict[str, float]:
    columns = ledger.table_of("trials", list(trial_ids)).select(["trial_id", "n_params"]).to_pydict()
    pairs = zip(columns["trial_id"], columns["n_params"], strict=True)
    return {trial_id: math.nan if count is None else float(count) for trial_id, count in pairs}


def _calibration_error(ledger: Ledger, spec: TrialSpec) -> float:
    """Expected calibration error of a trial's reported network on the validation subjects; NaN if unavailable."""
    rows = ledger.predictions("val", trial_ids=[spec.trial_id])
    if rows.empty:
        return math.nan
    scores = PartScores.of_predictions(rows, reported_network(spec.recipe))
    return reliability(scores.probs_NK, scores.labels_N).ece
