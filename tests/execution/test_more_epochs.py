"""Trials that extend finished ones to more epochs are recognised by the identities of the shorter ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agrm_study.execution.dispatch.more_epochs import Longer, longer_notes, longer_trials
from agrm_study.plan.expand import expand
from agrm_study.records.reader import TrialState
from agrm_study.study.load import load_study
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Study


def study(folder: Path, epochs: int, **extra: Any) -> Study:
    content = {
        "name": "study",
        "tasks": ["two_class", "three_class"],
        "seeds": 2,
        "data": {"synthetic": {"subjects": 18}},
        "set": {"epochs": epochs},
        "arms": [{"name": "A"}, {"name": "B", "set": {"ssl.method": "supervised"}}],
        "reference": "A",
    } | extra
    file = folder / f"{epochs}.yaml"
    file.write_text(json.dumps(content))
    return load_study(file)


def fingerprints(recipe: Recipe) -> tuple[str, str]:
    return "data", f"split {recipe.split_seed} {recipe.data.model_dump_json()}"


def finished(of: Study, epochs: int, stop_reason: str = "epochs") -> dict[str, TrialState]:
    state = TrialState("finished", None, None, 1, 10.0, stop_reason=stop_reason, epochs=epochs)
    return {trial.trial_id: state for trial in expand(of, fingerprints).trials}


@pytest.mark.parametrize("splits", [{}, {"splits": {"folds": 3, "repeats": 2}}])
def test_every_longer_twin_of_a_finished_trial_is_found_in_every_fold_and_repeat(tmp_path: Path, splits: Any) -> None:
    longer = study(tmp_path, 80, **splits)
    missing = expand(longer, fingerprints).trials
    states = finished(study(tmp_path, 60, **splits), 60)
    found = longer_trials(longer, missing, states, fingerprints, {trial.trial_id: 60 for trial in missing[:3]})
    assert [each.trial for each in found] == list(missing)
    assert {each.before for each in found} == {60}
    assert sum(each.continues for each in found) == 3
    notes = longer_notes(found, lost="nothing was kept")
    assert notes[0] == "epochs 60 → 80: trials that resume from saved states of finished ones: 3."
    assert notes[1].endswith(f"finished: {len(missing) - 3}, because nothing was kept.")


def test_a_repeat_whose_shorter_trials_have_not_finished_continues_none(tmp_path: Path) -> None:
    splits = {"splits": {"folds": 3, "repeats": 2}}
    shorter, longer = study(tmp_path, 60, **splits), study(tmp_path, 80, **splits)
    second = {trial.trial_id for trial in expand(shorter, fingerprints).trials if trial.recipe.split_seed == 1}
    states = {trial_id: state for trial_id, state in finished(shorter, 60).items() if trial_id in second}
    missing = expand(longer, fingerprints).trials
    found = longer_trials(longer, missing, states, fingerprints, {})
    assert [each.trial for each in found] == [trial for trial in missing if trial.recipe.split_seed == 1]
    assert len(found) == len(missing) / 2


def test_trials_that_stopped_early_are_found_by_the_number_of_an_earlier_run(tmp_path: Path) -> None:
    longer = study(tmp_path, 80)
    missing = expand(longer, fingerprints).trials
    states = finished(study(tmp_path, 60), 45, "early_stop")
    inherited = {trial.trial_id: 60 for trial in missing}
    assert longer_trials(longer, missing, states, fingerprints, inherited) == []
    found = longer_trials(longer, missing, states, fingerprints, inherited, before=[60])
    assert len(found) == len(missing)
    assert all(each.continues for each in found)


def test_other_settings_are_other_trainings(tmp_path: Path) -> None:
    longer = study(tmp_path, 80, set={"epochs": 80, "optimizer.lr": 0.5})
    missing = expand(longer, fingerprints).trials
    found: list[Longer] = longer_trials(longer, missing, finished(study(tmp_path, 60), 60), fingerprints, {})
    assert found == []
