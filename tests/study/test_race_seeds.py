"""Valid values of `seeds: {race: …}`, and studies that cannot use a race."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.resolved import study_from_dict, study_to_dict
from agrm_study.study.schema import study_schema
from agrm_study.study.seeds import Race


def load(tmp_path: Path, overrides: tuple[str, ...] = (), **keys: Any) -> Any:
    content = {
        "name": "many",
        "tasks": ["three_class"],
        "seeds": {"race": {"first": 4, "most": 8}},
        "data": {"synthetic": {"subjects": 6}},
        "arms": [{"name": "A"}, {"name": "B", "set": {"ssl.threshold.tau": 0.6}}],
        "reference": "A",
    } | keys
    file = tmp_path / "many.yaml"
    file.write_text(json.dumps(content))
    return load_study(file, overrides=overrides)


def test_a_race_plans_the_most_seeds_and_keeps_its_rules(tmp_path: Path) -> None:
    study = load(tmp_path)
    assert study.race == Race(first=4, most=8, step=1, level=0.05)
    assert study.seeds == tuple(range(8))
    again = study_from_dict(json.loads(json.dumps(study_to_dict(study))))
    assert (again.race, again.seeds) == (study.race, study.seeds)


def test_a_resolved_study_of_before_there_were_races_has_none(tmp_path: Path) -> None:
    value = study_to_dict(load(tmp_path, seeds=3))
    assert value.pop("race") is None
    assert study_from_dict(value).race is None


def test_options_change_a_race_or_end_it(tmp_path: Path) -> None:
    assert load(tmp_path, ("seeds.race.most=20",)).race.most == 20
    assert load(tmp_path, ("seeds=3",)).race is None


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ({"race": {"first": 2}}, "race.first must be at least 3, not 2"),
        ({"race": {"first": 5, "most": 5}}, "race.most must be greater than race.first, got 5 and 5"),
        ({"race": {"most": 2.5}}, "race.most must be a whole number, not 2.5"),
        ({"race": {"mots": 8}}, "Did you mean `most`?"),
        ({"race": {"step": 0}}, "race.step must be at least 1"),
        ({"race": {"level": 1}}, "race.level must be less than 0.5, not 1"),
        ({"race": {"level": True}}, "race.level must be a number"),
        ({"race": 5}, "must be {race: {…}}"),
        ({"first": 3}, "must be {race: {…}}"),
    ],
)
def test_a_race_without_sense_is_refused_with_its_line(tmp_path: Path, seeds: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, seeds=seeds)
    assert said in str(caught.value)
    assert "many.yaml:1" in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"report": {"tables": ["ablation"]}}, "its interaction is computed from four arms with the same seeds"),
        ({"report": {"tables": ["arms", "factor_response"]}}, "it averages arms with the same seeds"),
        ({"report": {"families": {"all": ["B"]}}}, "the family 'all' cannot be tested in a race"),
        ({"arms": [{"name": "A"}]}, "a race requires at least two arms"),
        ({"primary_metric": "roc_auc", "tasks": ["two_class"]}, "is not recorded on validation data"),
        (
            {
                "arms": None,
                "reference": None,
                "search": {"trials": 3, "space": {"ssl.threshold.tau": {"float": [0.5, 0.9]}}},
            },
            "a search cannot use a race",
        ),
    ],
)
def test_what_needs_every_arm_at_equal_seeds_cannot_race(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, **keys)
    assert said in str(caught.value)


def test_an_editor_knows_the_keys_of_a_race() -> None:
    [race] = [option for option in study_schema()["properties"]["seeds"]["anyOf"] if option["type"] == "object"]
    assert set(race["properties"]["race"]["properties"]) == set(Race.model_fields)
