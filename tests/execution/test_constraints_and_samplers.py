"""A search respects its constraints, with any sampler of Optuna, in one run or in two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_search import drawn, score

from agrm_study.execution.dispatch.judged import read_judged
from agrm_study.execution.dispatch.sampler import Sampler
from agrm_study.execution.summary import RunSummary
from agrm_study.plan.searches import searches
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.reader import Ledger
from agrm_study.study.resolved import read_resolved
from agrm_study.study.search_space import Search
from agrm_study.study.study import Study

TAU = "ssl.threshold.tau"
SearchOf = Callable[..., Study]
Run = Callable[..., RunSummary]


def promoted(results: Path) -> list[float]:
    return [arm.settings[TAU] for arm in read_resolved(results / "study.yaml").arms if arm.settings]


def test_a_point_that_breaks_a_constraint_is_never_promoted(search_of: SearchOf, hunt: Run, results: Path) -> None:
    bound = 0.85**2 * 0.8**2  # the runner's accuracy is the square of its score
    summary = hunt(search_of(trials=12, promote=2, constraints=[f"val/accuracy <= {bound}"]))
    assert summary.exit_code == 0
    allowed = [tau for tau in drawn(results) if score(tau) < 0.85]
    assert 2 <= len(allowed) < 12
    assert promoted(results) == sorted(allowed, key=score, reverse=True)[:2]


def test_a_search_none_of_whose_points_keeps_to_the_constraints_promotes_nothing(
    search_of: SearchOf, hunt: Run, results: Path
) -> None:
    summary = hunt(search_of(constraints=["val/accuracy >= 2"]))
    assert any("with a defined metric within the constraints" in message for message in summary.messages)
    assert (summary.exit_code, promoted(results)) == (1, [])


def test_constraints_bound_recorded_parameters_and_calibration(search_of: SearchOf, hunt: Run, results: Path) -> None:
    study = search_of(trials=1, promote=0, constraints=["n_params <= 3", "val/ece <= 0.25", "val/loss <= 0"])
    hunt(study)
    ledger = Ledger(results)
    [row] = [row for row in ledger.trials().to_dict("records") if row["phase"] == "search"]
    [search] = searches(study)

    class Builder:
        def replicates(self, recipe: Any, seeds: Any, **keys: Any) -> list[TrialSpec]:
            return [TrialSpec(trial_id=row["trial_id"], config_id="", study="", phase="search", arm="", recipe=recipe)]

    [spec] = search.trials({TAU: drawn(results)[0]}, Builder())  # type: ignore[arg-type]
    found = read_judged(ledger, {spec.trial_id: spec}, {spec.trial_id: row["best_epoch"]}, search.settings)
    params, ece, loss = found[spec.trial_id].excess
    assert params == row["n_params"] - 3
    rows = ledger.predictions("val", trial_ids=[spec.trial_id])
    logits = np.stack(rows["logits"].to_list()).astype(np.float64)
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    right = probs.argmax(axis=1) == rows["label"].to_numpy()
    by_bin: dict[int, list[tuple[float, bool]]] = {}
    for confidence, hit in zip(probs.max(axis=1), right, strict=True):
        by_bin.setdefault(int(np.ceil(confidence * 15)), []).append((confidence, hit))
    gaps = [len(its) * abs(np.mean([c for c, _ in its]) - np.mean([h for _, h in its])) for its in by_bin.values()]
    assert ece == pytest.approx(sum(gaps) / len(rows) - 0.25)
    assert loss == pytest.approx(1 - score(drawn(results)[0]) * 0.8)


def test_tpe_learns_from_constraints() -> None:
    def share_allowed(constraints: list[str]) -> float:
        space = {TAU: {"float": [0.0, 1.0]}, "ssl.ema.alpha": {"float": [0.1, 0.9]}}
        search = Search.model_validate({"trials": 60, "space": space, "constraints": constraints})
        sampler = Sampler(search, search.space)
        allowed = []
        for _ in range(60):
            draw = sampler.ask()
            tau = draw.settings[TAU]
            allowed.append(tau <= 0.3)
            sampler.tell(draw, "finished", (tau,), (tau - 0.3,) * len(constraints))
        return float(np.mean(allowed[20:]))

    assert share_allowed(["val/loss <= 0.3"]) > 0.5 > 0.2 > share_allowed([])


@pytest.mark.parametrize("name", ["QMCSampler", "NSGAIISampler", "TPESampler", "RandomSampler", "GPSampler"])
def test_a_search_by_an_optuna_sampler_in_two_runs_draws_what_one_run_draws(
    search_of: SearchOf, hunt: Run, results: Path, whole: Path, name: str
) -> None:
    keys: dict[str, Any] = {"sampler": name, "promote": 0}
    hunt(search_of(trials=6, **keys))
    hunt(search_of(trials=11, **keys))
    hunt(search_of(trials=11, **keys), results=whole)
    assert drawn(results) == drawn(whole)
    assert len(drawn(results)) == 11


def test_a_quasi_random_sequence_fills_the_space_evenly() -> None:
    search = Search.model_validate(
        {
            "trials": 17,
            "sampler": {"name": "QMCSampler", "options": {"qmc_type": "sobol", "scramble": True}},
            "space": {TAU: {"float": [0.0, 1.0]}, "ssl.ema.alpha": {"float": [0.0, 0.999]}},
        }
    )
    sampler = Sampler(search, search.space)
    draws = []
    for _ in range(17):
        draw = sampler.ask()
        draws.append(draw.settings[TAU])
        sampler.tell(draw, "finished", (0.5,))
    counts = np.histogram(draws[1:], bins=4, range=(0, 1))[0]  # the first draw is random: the space is not known yet
    assert max(counts) - min(counts) <= 2
