"""An arm trained with different seeds: not a duplicate of an equal arm, and compared with it unpaired."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_records import write_results

from agrm_study.plan.expand import expand
from agrm_study.plan.notes import study_notes
from agrm_study.report.build import make_report
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.resolved import study_from_dict, study_to_dict
from agrm_study.study.study import Study

TWICE = """\
name: trial
tasks: [three_class]
seeds: [0, 1, 2]
data: {synthetic: {subjects: 12, unlabelled: 12}}
arms:
  - {name: A}
  - {name: A again, seed_offset: 1000}
reference: A
primary_metric: macro_f1
"""


def load(tmp_path: Path, text: str = TWICE) -> Study:
    file = tmp_path / "study.yaml"
    file.write_text(text, encoding="utf-8")
    return load_study(file)


def test_its_trials_have_other_seeds_and_equal_settings(tmp_path: Path) -> None:
    study = load(tmp_path)
    plan = expand(study, lambda recipe: ("data", "split"))
    seeds = {arm: [cell.seed for cell in plan.cells if cell.arm == arm] for arm in ("A", "A again")}
    assert seeds == {"A": [0, 1, 2], "A again": [1000, 1001, 1002]}
    assert len({trial.config_id for trial in plan.trials}) == 1
    assert [trial.seed for trial in plan.trials] == [0, 1000, 1, 1001, 2, 1002]


def test_it_is_no_duplicate_but_the_same_seeds_are(tmp_path: Path) -> None:
    assert study_notes(load(tmp_path)) == ()
    [note] = study_notes(load(tmp_path, TWICE.replace(", seed_offset: 1000", "")))
    assert "train identically" in note


def test_a_resolved_study_keeps_it(tmp_path: Path) -> None:
    study = load(tmp_path)
    assert study_from_dict(study_to_dict(study)).arms == study.arms


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed_offset: 1000", "seed_offset: 2", "must not result in seeds that other arms use"),
        ("seed_offset: 1000", "seed_offset: 9223372036854775806", "larger than"),
        ("seeds: [0, 1, 2]", "seeds: {race: {first: 3, most: 5}}", "a race compares arms with the same seeds"),
    ],
)
def test_offsets_that_cannot_be_compared_are_refused_at_their_line(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load(tmp_path, TWICE.replace(old, new))
    assert caught.value.line == 7


def test_the_report_compares_it_unpaired_and_says_so(tmp_path: Path) -> None:
    root = write_results(tmp_path / "twice", TWICE, subjects=18, epochs=3)
    table = make_report([root], tables=["arms"], figures=[], formats=["md"]).tables[str(root)]["arms"]
    [note] = [note for note in table.notes if "is unpaired" in note]
    assert note.startswith("Δ of A again (three classes)") or note.startswith("Δ of A again (")
    assert not [note for note in table.notes if "train identically" in note or "lacks" in note]
    assert not [note for note in table.notes if note.startswith("Δ of A again") and "is based on" in note]
