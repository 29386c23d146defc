"""The environment table lists the trials that ran with different versions."""

from __future__ import annotations

import json

import pandas as pd

from agrm_study.report.tables.environment import mixed_versions


def trials(*versions: dict[str, list[str]] | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arm": "A",
            "task": "three_class",
            "seed": range(len(versions)),
            "versions": [None if found is None else json.dumps(found) for found in versions],
        }
    )


def test_nothing_is_noted_where_all_trials_ran_with_one_version_or_none_is_recorded() -> None:
    assert mixed_versions(trials({"numpy": ["2.4.0"]}, {"numpy": ["2.4.0"]})) == ()
    assert mixed_versions(trials({"torch": ["2.8.0+cpu"]}, {"torch": ["2.8.0+cu128"]})) == ()
    assert mixed_versions(trials(None, None)) == ()
    assert mixed_versions(trials()) == ()


def test_trials_of_the_rarer_version_are_named() -> None:
    both = [{"numpy": ["2.4.0"], "ray": ["2.60.0"]}, {"numpy": ["2.4.0"], "ray": ["2.60.0"]}]
    assert mixed_versions(trials(*both, {"numpy": ["2.0.2"], "ray": ["2.60.0"]})) == (
        "Trials ran with different versions of numpy: 2.4.0, but 2.0.2 in 1 (A, three_class, seed 2).",
    )


def test_a_trial_that_was_resumed_with_another_version_is_named_with_both() -> None:
    (note,) = mixed_versions(trials({"numpy": ["2.4.0"]}, {"numpy": ["2.0.2", "2.4.0"]}, {"numpy": ["2.4.0"]}))
    assert note.endswith("2.4.0, but 2.0.2 then 2.4.0 in 1 (A, three_class, seed 1).")


def test_many_trials_are_counted_and_unrecorded_ones_are_noted() -> None:
    notes = mixed_versions(trials(None, *[{"ray": ["2.60.0"]}] * 9, *[{"ray": ["2.50.0"]}] * 6))
    assert notes == (
        "Trials ran with different versions of ray: 2.60.0, but 2.50.0 in 6 trials.",
        "The versions of 1 trial are not recorded.",
    )
