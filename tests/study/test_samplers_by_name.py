"""Samplers by Optuna name, and constraints: valid and invalid content of a study file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from agrm_study.study.constraints import Constraint, read_constraint
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.optuna_samplers import CLASSES, REFUSED, SHORT, NamedSampler, build_sampler
from agrm_study.study.resolved import study_from_dict, study_to_dict
from agrm_study.study.search_space import Search
from agrm_study.study.translate import Rule

STUDY = """\
name: hunt
tasks: [two_class]
seeds: [0, 1]
search:
  sampler: {sampler}
  constraints: {constraints}
  metric: {metric}
  trials: 4
  space: {{ssl.ema.alpha: {{float: [0.9, 0.99]}}}}
data: {{synthetic: {{subjects: 6}}}}
"""


def load(tmp_path: Path, sampler: str = "tpe", constraints: str = "[]", metric: str = "val/macro_f1") -> Any:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.format(sampler=sampler, constraints=constraints, metric=metric), encoding="utf-8")
    return load_study(file)


def told(tmp_path: Path, **keys: str) -> str:
    with pytest.raises(InputError) as caught:
        load(tmp_path, **keys)
    return str(caught.value)


def test_every_sampler_of_optuna_is_offered_or_refused_with_what_to_use() -> None:
    samplers = {name for name in optuna.samplers.__all__ if name.endswith("Sampler") and not name.startswith("Base")}
    assert samplers == {*CLASSES, *REFUSED}


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "CmaEsSampler"])
def test_a_sampler_by_name_is_optunas_and_survives_being_resolved(tmp_path: Path, name: str) -> None:
    study = load(tmp_path, name)
    assert study.search.sampler == NamedSampler(name=name)
    assert type(build_sampler(study.search.sampler, 3)) is getattr(optuna.samplers, name)
    assert study_from_dict(study_to_dict(study)).search == study.search


def test_options_reach_the_constructor(tmp_path: Path) -> None:
    sampler = load(tmp_path, "{name: TPESampler, options: {n_startup_trials: 3, multivariate: true}}").search.sampler
    made = build_sampler(sampler, 0)
    assert (made._n_startup_trials, made._multivariate) == (3, True)


@pytest.mark.parametrize(
    ("sampler", "pieces"),
    [
        ("TPESamplr", ["study.yaml:5: `search.sampler`", "is not a sampler", "Did you mean `TPESampler`?"]),
        ("GridSampler", ["is not a sampler", "Use `grid`"]),
        ("PartialFixedSampler", ["under `set`"]),
        ("BaseSampler", ["is not a sampler"]),
        ("{name: os.system}", ["is not a sampler"]),
        ("3", ["is not a sampler", f"allowed: {', '.join(SHORT)}"]),
        ("{name: tpe, options: {n_startup_trials: 3}}", ["must be a class of optuna.samplers"]),
        ("{name: TPESampler, option: {}}", ["must be a class of optuna.samplers, with options"]),
        ("{name: TPESampler, options: {n_startup: 3}}", ["does not accept the option n_startup", "`n_startup_trials`"]),
        ("{name: TPESampler, options: {seed: 3}}", ["does not accept the option seed", "Set `sampler_seed`."]),
        ("{name: TPESampler, options: {constraints_func: x}}", ["Set `constraints`."]),
        ("{name: TPESampler, options: {gamma: 3}}", ["does not accept the option gamma"]),
        ("{name: TPESampler, options: {n_startup_trials: many}}", ["n_startup_trials", "must be int, got 'many'"]),
        ("{name: TPESampler, options: {n_startup_trials: true}}", ["must be int, got True"]),
        ("{name: NSGAIISampler, options: {population_size: 1}}", ["NSGAIISampler cannot be used here"]),
    ],
)
def test_a_wrong_sampler_is_one_message(tmp_path: Path, sampler: str, pieces: list[str]) -> None:
    message = told(tmp_path, sampler=sampler)
    for piece in pieces:
        assert piece in message


def test_several_objectives_need_a_sampler_that_has_them(tmp_path: Path) -> None:
    two = "[val/loss, val/accuracy]"
    assert load(tmp_path, "NSGAIIISampler", metric=two).search.directions == ("minimize", "maximize")
    assert "require the sampler nsga2, got random" in told(tmp_path, sampler="random", metric=two)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    assert "CmaEsSampler requires cmaes" in told(tmp_path, sampler="CmaEsSampler")


def test_results_of_a_search_are_read_where_its_sampler_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = study_to_dict(load(tmp_path, "RandomSampler"))
    value["search"]["sampler"]["name"] = "CmaEsSampler"
    monkeypatch.setitem(sys.modules, "cmaes", None)
    assert study_from_dict(value).search.sampler == NamedSampler(name="CmaEsSampler")


@pytest.mark.parametrize(
    ("text", "value", "excess"),
    [("val/ece <= 0.1", 0.25, 0.15), ("n_params<=5e6", 4e6, -1e6), (" val/macro_f1 >= 0.5 ", 0.25, 0.25)],
)
def test_a_constraint_is_broken_by_its_excess(text: str, value: float, excess: float) -> None:
    assert read_constraint(text).excess(value) == pytest.approx(excess)


def test_constraints_survive_being_resolved_as_the_text_that_they_were(tmp_path: Path) -> None:
    study = load(tmp_path, constraints='["val/ece <= 0.1", "n_params <= 5e6"]')
    assert study.search.constraints[1] == Constraint(quantity="n_params", relation="<=", bound=5e6)
    value = study_to_dict(study)
    assert value["search"]["constraints"] == ["val/ece <= 0.1", "n_params <= 5000000"]
    assert study_from_dict(value).search == study.search


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("val/ece", "must bound one quantity"),
        ("val/ece < 0.1", "must bound one quantity"),
        ("0.1 >= val/ece", "must bound one quantity"),
        ("val/ece <= 1e999", "must bound one quantity"),
        ("val/ece <= 1.2.3", "must bound one quantity"),
        ("__import__('os').system('true') <= 1", "must bound one quantity"),
        ("test/ece <= 0.1", "must not use the test part"),
        ("val/eec <= 0.1", "is not a recorded validation quantity"),
        (3, "must bound one quantity"),
    ],
)
def test_a_wrong_constraint_is_one_message(text: Any, piece: str) -> None:
    with pytest.raises(Rule, match=piece):
        read_constraint(text)
    with pytest.raises(ValueError, match=piece):
        Search.model_validate({"trials": 3, "space": {"epochs": {"int": [5, 9]}}, "constraints": [text]})
