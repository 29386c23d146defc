"""`plan --detect`: designs from finished trials or from assumptions, and what is needed to detect a difference."""

import json

import pytest
from click.testing import CliRunner
from synthetic_records import ABLATION, write_results

from agrm_study.cli.plan import plan
from agrm_study.report.detect import MOST, detection, estimated, stated
from agrm_study.statistics.power import POWER, power_of
from agrm_study.study.errors import InputError

STUDY = ABLATION + "data: {synthetic: {subjects: 12}}\n"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("r") / "ablation", ABLATION, subjects=60)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = ABLATION if "data:" in ABLATION else STUDY
    (tmp_path / "ablation.yaml").write_text(text)
    return "ablation.yaml"


def ask(*words):
    done = CliRunner().invoke(plan, [*words], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_a_study_with_folds_says_what_its_lines_with_one_split_leave_out(tmp_path):
    text = ABLATION.replace("[two_class, three_class]", "[two_class]") + "splits: {folds: 4}\n"
    (tmp_path / "folds.yaml").write_text(text)
    root = write_results(tmp_path / "r", text, subjects=20, epochs=3)
    said = ask(str(tmp_path / "folds.yaml"), "--results", str(root), "--detect", "3")
    assert "With 1 fold, the interval is for one given training set" in " ".join(said.split())
    assert "assumed to be 0" not in said


def test_the_numbers_that_settle_a_difference_do_and_one_fewer_does_not(results):
    found, hours = estimated(results)
    assert hours is not None
    assert [v.task for v in found] == ["two_class", "three_class"]
    for v in found:
        d = detection(v, 0.05, seeds=5, hours_per_seed=hours)
        assert d.level == pytest.approx(0.05 / 3)
        for needed, name in ((d.subjects_needed, "subjects"), (d.seeds_needed, "seeds")):
            if needed is None:
                continue
            base = {"seeds": v.components.n_seeds, "subjects": v.components.n_subjects}[name]
            at = [power_of(0.05, v.components.projected(**{name: n / base}), d.level) for n in (needed, needed - 1)]
            assert at[0] >= POWER > at[1]


def test_more_seeds_and_subjects_detect_smaller_differences_and_seeds_cost_hours(results):
    [v, _], hours = estimated(results)
    d = detection(v, 0.03, seeds=5, hours_per_seed=hours)
    planned = d.designs[0]
    assert (planned.seeds, planned.subjects) == (5, v.components.n_subjects)
    for x in d.designs[1:]:
        assert x.detectable < planned.detectable
        assert x.power >= planned.power
        assert x.hours == pytest.approx(planned.hours * x.seeds / 5 * x.folds)


def test_what_seeds_alone_cannot_settle_is_said():
    [v] = stated(["two_class"], seed_sd=0.001, disagreement=0.3, seeds=5, subjects=50, comparisons=1)
    d = detection(v, 0.01, seeds=5, hours_per_seed=None)
    assert d.seeds_needed is None
    assert d.subjects_needed is not None
    assert d.subjects_needed < MOST


def test_the_command_prints_designs_from_finished_trials_and_from_assumptions(study, results):
    said = ask(study, "--results", str(results), "--detect", "3")
    assert "the widest of 3" in said
    assert "power for 3.0" in said
    said = ask(study, "--detect", "3", "--assume", "3", "15", "172")
    assert "assumptions: 3 points between seeds, 15% of subjects classified differently" in said
    found = json.loads(ask(study, "--detect", "3", "--assume", "3", "15", "172", "--json"))["detect"]
    assert [d["task"] for d in found] == ["two_class", "three_class"]
    assert "detect" not in json.loads(ask(study, "--json"))


def test_unknown_variances_and_assumptions_without_a_difference_are_refused_with_the_remedy(study):
    with pytest.raises(InputError, match="--assume SEED_SD DISAGREEMENT SUBJECTS"):
        ask(study, "--detect", "3")
    with pytest.raises(InputError, match="requires --detect"):
        ask(study, "--assume", "3", "15", "172")
