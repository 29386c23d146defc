"""Studies that tune their arms: valid content, and invalid content with line and rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.resolved import study_from_dict, study_to_dict

STUDY = """\
name: alike
tasks: [two_class]
seeds: [0, 1]
data: {synthetic: {subjects: 6}}
tune:
  trials: 4
  space:
    ssl.ema.alpha: {float: [0.9, 0.99]}
arms:
  - name: A
  - name: B
    set: {model.pooling.name: average}
reference: A
"""


def load(tmp_path: Path, text: str = STUDY, *options: str):  # type: ignore[no-untyped-def]
    file = tmp_path / "study.yaml"
    file.write_text(text, encoding="utf-8")
    return load_study(file, overrides=options)


def message(tmp_path: Path, text: str, *options: str) -> str:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text, *options)
    return str(caught.value)


def test_a_tuned_study_survives_being_resolved(tmp_path: Path) -> None:
    study = load(
        tmp_path, STUDY.replace("  - name: A\n", "  - {name: A, tune: {space: {ssl.ramp.epochs: {int: [5, 9]}}}}\n")
    )
    assert study.tune is not None
    again = study_from_dict(study_to_dict(study))
    assert (again.tune, again.arms) == (study.tune, study.arms)


def test_a_study_without_tuning_is_resolved_as_before(tmp_path: Path) -> None:
    text = STUDY[: STUDY.index("tune:")] + STUDY[STUDY.index("arms:") :]
    value = study_to_dict(load(tmp_path, text))
    assert "tune" not in value
    assert all(arm.keys() == {"name", "settings"} for arm in value["arms"])


OWN = "    tune: {space: {%s}}\n"
BAD = {
    "an empty space": (
        ("  space:\n    ssl.ema.alpha: {float: [0.9, 0.99]}\n", ""),
        ["study.yaml:8: `arms[0]`: the arm A has nothing to tune", "Define a separate space for this arm"],
    ),
    "an arm that sets what is varied": (
        ("model.pooling.name: average", "ssl.ema.alpha: 0.95"),
        ["study.yaml:12: `arms[1].set", "the arm B sets ssl.ema.alpha, but its tuning varies ssl.ema.alpha"],
    ),
    "an arm that gives the same average in epochs": (
        ("model.pooling.name: average", "ssl.ema.memory_epochs: 3"),
        ["the arm B sets ssl.ema.memory_epochs, but its tuning varies ssl.ema.alpha"],
    ),
    "search seeds that are reported": (
        ("  trials: 4", "  trials: 4\n  seed: 1"),
        ["study.yaml:7: `tune.seed`", "must differ from the seeds of the reported trials", "given 1"],
    ),
    "search seeds that reach the reported ones": (
        ("  trials: 4", "  trials: 4\n  seed: 90\n  seeds: 20"),
        ["`tune.seed`", "must differ from the seeds of the reported trials"],
        "    seed_offset: 100\n",
    ),
    "an unknown setting in a space of its own": (
        ("    set:", OWN % "ssl.ema.alfa: {float: [0.9, 0.99]}" + "    set:"),
        ["`arms[1].tune.space.ssl.ema.alfa`", "Did you mean `ssl.ema.alpha`?"],
    ),
    "a value that an arm's recipe does not allow": (
        ("[0.9, 0.99]", "[0.9, 1.5]"),
        ["study.yaml:8: `tuning of A: ssl.ema.alpha`", "less than 1"],
    ),
    "several metrics": (
        ("  trials: 4", "  trials: 4\n  sampler: nsga2\n  metric: [val/loss, val/accuracy]"),
        ["`tune`", "a single objective"],
    ),
    "promotion": (("  trials: 4", "  trials: 4\n  promote: 3"), ["`tune.promote`", "no such key"]),
    "a race": (("[0, 1]", "{race: {first: 3, most: 5}}"), ["`seeds`", "tuned arms cannot race"]),
    "more trials than any study has": (("  trials: 4", "  trials: 600000"), ["1200004 trials (1200000 search trials"]),
}


@pytest.mark.parametrize("what", BAD)
def test_a_tuning_that_cannot_be_is_told_by_line_field_and_rule(what: str, tmp_path: Path) -> None:
    (old, new), pieces, *more = BAD[what]
    assert old in STUDY
    text = STUDY.replace(old, new, 1)
    if more:
        text = text.replace("    set:", f"{more[0]}    set:")
    told = message(tmp_path, text)
    for piece in pieces:
        assert piece in told


def test_a_tuning_beside_a_grid_or_a_space_without_a_tuning_is_told(tmp_path: Path) -> None:
    grid = STUDY[: STUDY.index("arms:")] + "grid: {ssl.threshold.tau: [0.6, 0.7]}\n"
    assert "with `arms`, not with" in message(tmp_path, grid)
    lone = STUDY[: STUDY.index("tune:")] + STUDY[STUDY.index("arms:") :]
    lone = lone.replace("    set:", OWN % "ssl.ramp.epochs: {int: [5, 9]}" + "    set:")
    assert "`arms[1].tune`: this study does not tune its arms" in message(tmp_path, lone)


def test_an_option_changes_the_budget_but_not_what_is_varied(tmp_path: Path) -> None:
    assert load(tmp_path, STUDY, "tune.trials=9").tune.trials == 9
    assert "the tuning of every arm varies this setting" in message(tmp_path, STUDY, "ssl.ema.alpha=0.9")
    lone = STUDY[: STUDY.index("tune:")] + STUDY[STUDY.index("arms:") :]
    assert "this study has no tune" in message(tmp_path, lone, "tune.trials=9")
