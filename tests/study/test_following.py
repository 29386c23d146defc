"""Reducing `epochs` alone gives a study that trains, with pre-training and ramp shortened in proportion."""

from __future__ import annotations

from pathlib import Path

import pytest

from agrm_study.plan.notes import study_notes
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.study import Study

HEAD = """\
name: trial
tasks: [two_class]
seeds: [0, 1]
data: {synthetic: {subjects: 12, unlabelled: 12}}
arms: [{name: A}]
"""


def load(folder: Path, settings: str, *options: str, preset: str | None = None) -> Study:
    file = folder / "study.yaml"
    file.write_text(HEAD + (f"set: {{{settings}}}\n" if settings else ""), encoding="utf-8")
    return load_study(file, overrides=options, preset=preset)


def lengths(study: Study) -> tuple[int, int, int]:
    ssl = study.arms[0].recipe.ssl
    return study.arms[0].recipe.epochs, ssl.pretrain_epochs, ssl.ramp.epochs


@pytest.mark.parametrize(
    ("settings", "options", "expected"),
    [
        # The base recipe trains 100 epochs: 10 of pre-training, 30 of ramp.
        ("", ("epochs=5",), (5, 1, 2)),
        ("", ("epochs=10",), (10, 1, 3)),
        ("", ("epochs=3",), (3, 1, 1)),
        ("", ("epochs=2",), (2, 0, 1)),
        ("", ("epochs=1",), (1, 0, 1)),
        ("epochs: 5", (), (5, 1, 2)),
        ("epochs: 40, ssl.pretrain_epochs: 20, ssl.ramp.epochs: 10", ("epochs=10",), (10, 5, 2)),
        ("epochs: 40, ssl.pretrain_epochs: 20, ssl.ramp.epochs: 10", ("epochs=10", "ssl.ramp.epochs=7"), (10, 5, 7)),
        ("epochs: 5, ssl.ramp.epochs: 4", (), (5, 1, 4)),
        # Valid as they are, so nothing follows: their trials keep their ids.
        ("", ("epochs=11",), (11, 10, 30)),
        ("epochs: 20", (), (20, 10, 30)),
        ("epochs: 5", ("ssl.pretrain_epochs=2",), (5, 2, 30)),
        ("ssl.pretrain_epochs: 3", ("epochs=5",), (5, 3, 30)),
        ("ssl.method: supervised", ("epochs=5",), (5, 10, 30)),
    ],
)
def test_lengths_follow_where_the_study_would_be_refused(
    tmp_path: Path, settings: str, options: tuple[str, ...], expected: tuple[int, int, int]
) -> None:
    assert lengths(load(tmp_path, settings, *options)) == expected


def test_both_values_are_shown(tmp_path: Path) -> None:
    [note] = study_notes(load(tmp_path, "", "epochs=5"))
    assert "ssl.pretrain_epochs from 10 to 1 and ssl.ramp.epochs from 30 to 2" in note
    assert study_notes(load(tmp_path, "epochs: 20")) == ()


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ("epochs: 5, ssl.pretrain_epochs: 5", ()),
        ("epochs: 5", ("ssl.pretrain_epochs=6",)),
        ("ssl.pretrain_epochs: 100", ()),
    ],
)
def test_what_was_set_with_epochs_or_later_is_refused_as_it_was_set(
    tmp_path: Path, settings: str, options: tuple[str, ...]
) -> None:
    with pytest.raises(InputError, match=r"`ssl.pretrain_epochs`: must be less than epochs"):
        load(tmp_path, settings, *options)


@pytest.mark.parametrize("epochs", ["five", "true", "5.0", "[5]", "null", "-3"])
def test_wrong_epochs_are_refused_as_before(tmp_path: Path, epochs: str) -> None:
    with pytest.raises(InputError, match=r"`epochs`"):
        load(tmp_path, f"epochs: {epochs}")


def test_a_preset_can_be_shortened_too(tmp_path: Path) -> None:
    study = load(tmp_path, "", "epochs=3", preset="tiny")
    assert lengths(study) == (3, 1, 1)
