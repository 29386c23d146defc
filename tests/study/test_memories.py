"""A moving average is given per step or as a memory in epochs: each source may set only one of the two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agrm_study.plan.acting import acting_recipe
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.recipe import Ssl
from agrm_study.study.resolved import study_from_dict, study_to_dict
from agrm_study.study.study import Study

HEAD = """\
name: trial
tasks: [three_class]
seeds: [1]
data: {synthetic: {subjects: 12, unlabelled: 12}}
"""


def load(tmp_path: Path, text: str, **more: Any) -> Study:
    file = tmp_path / "study.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    return load_study(file, **more)


def ssl_of(study: Study, arm: str = "A") -> Ssl:
    return study.arm(arm).recipe.ssl


def test_both_in_one_group_are_refused_with_both_lines(tmp_path: Path) -> None:
    text = "set:\n  ssl.ema.alpha: 0.9\n  ssl.ema.memory_epochs: 3\narms: [{name: A}]\n"
    with pytest.raises(InputError, match=r"ssl\.ema\.alpha is given as well, on line 6") as caught:
        load(tmp_path, text)
    assert (caught.value.line, caught.value.field) == (7, "ssl.ema.memory_epochs")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("arms:\n  - {name: A, set: {ssl.threshold: {momentum: 0.9, memory_epochs: 2}}}\n", 6),
        ("grid:\n  ssl.ema.alpha: [0.9]\n  ssl.ema.memory_epochs: [1, 2]\n", 7),
        (
            "search:\n  sampler: random\n  trials: 4\n  metric: val/macro_f1\n  promote: 1\n  space:\n"
            "    ssl.ema.alpha: {float: [0.9, 0.99]}\n    ssl.ema.memory_epochs: {float: [1, 5]}\nreference: base\n",
            12,
        ),
    ],
)
def test_both_in_an_arm_a_grid_or_a_search_are_refused(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(InputError, match="is given as well") as caught:
        load(tmp_path, text)
    assert caught.value.line == line


def test_both_as_options_are_refused(tmp_path: Path) -> None:
    options = ["ssl.ema.alpha=0.9", "ssl.ema.memory_epochs=3"]
    with pytest.raises(InputError, match="is given as well"):
        load(tmp_path, "arms: [{name: A}]\n", overrides=options)


def test_a_later_source_replaces_what_an_earlier_one_gave_in_the_other_form(tmp_path: Path) -> None:
    """The base recipe gives alpha; the study its memory; an arm alpha again; an option the memory of all."""
    text = (
        "set: {ssl.ema.memory_epochs: 3}\narms:\n  - {name: A}\n  - {name: B, set: {ssl.ema.alpha: 0.5}}\n"
        "  - {name: C, set: {ssl.ema.memory_epochs: 4}}\n"
    )
    study = load(tmp_path, text)
    assert ssl_of(study).ema.memory_epochs == 3
    assert (ssl_of(study, "B").ema.memory_epochs, ssl_of(study, "B").ema.alpha) == (None, 0.5)
    assert ssl_of(study, "C").ema.memory_epochs == 4
    assert ssl_of(load(tmp_path, text, overrides=["ssl.ema.memory_epochs=5"])).ema.memory_epochs == 5
    assert ssl_of(load(tmp_path, text, overrides=["ssl.ema.alpha=0.7"])).ema.memory_epochs is None


def test_a_resolved_study_keeps_what_its_arms_replaced(tmp_path: Path) -> None:
    study = load(tmp_path, "set: {ssl.ema.memory_epochs: 3}\narms:\n  - {name: B, set: {ssl.ema.alpha: 0.5}}\n")
    again = study_from_dict(study_to_dict(study))
    assert again.arm("B").recipe == study.arm("B").recipe


def test_the_replaced_setting_cannot_act(tmp_path: Path) -> None:
    text = "arms:\n  - {name: A, set: {ssl.ema.memory_epochs: 3}}\n"
    one = acting_recipe(load(tmp_path, "set: {ssl.ema.alpha: 0.5}\n" + text).arm("A").recipe)
    two = acting_recipe(load(tmp_path, text).arm("A").recipe)
    assert one == two
    assert one.ssl.ema.alpha == 0.99
