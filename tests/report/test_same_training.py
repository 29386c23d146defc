import csv

import pytest
from synthetic_records import write_results

from agrm_study.report.answer import answer
from agrm_study.report.build import make_report
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.renderers import latex, markdown
from agrm_study.statistics.comparison import holm

ARMS = """
name: same
question: Does tau matter?
tasks: [two_class]
seeds: [0, 1, 2]
data: {synthetic: {subjects: 60, unlabelled: 20}}
set: {ssl.method: supervised}
arms:
  - {name: A}
  - {name: B, set: {ssl.threshold.tau: 0.5}}
reference: A
"""
MORE = ARMS + "".join(
    f"  - {{name: {name}, set: {{ssl.threshold.tau: {tau}, optimizer.lr: 1.0e-3}}}}\n"
    for name, tau in (("C", 0.6), ("D", 0.7))
).replace("reference", "# reference")
MORE = MORE.replace("reference: A\n", "", 1) + "reference: A\n"


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("r") / "same", ARMS, subjects=18, epochs=3, twins={"B": "A"})


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    folder = tmp_path_factory.mktemp("r") / "more"
    return write_results(folder, MORE, subjects=18, epochs=3, twins={"B": "A", "D": "C"}, skill={"C": 2.5})


def test_one_training_is_not_compared_with_itself(alone):
    m = Measurements(collect(alone))
    found = m.compared()["B", "two_class"]
    assert found.same
    assert found.difference is None
    assert m.family_sizes("two_class") == {}


def test_tables_mark_arms_that_are_one_training_and_name_the_setting_that_cannot_act(alone):
    made = make_report([alone], figures=[], formats=["csv", "md"]).tables[str(alone)]
    assert "factor_response" not in made
    assert {"arms", "per_class", "variance", "screening", "discrimination", "calibration"} <= set(made)
    for name in ("arms", "per_class", "variance", "screening", "discrimination", "calibration"):
        assert any("ssl.threshold.tau has no effect" in note and "§" in note for note in made[name].notes), name
    for name in ("arms", "per_class", "screening", "discrimination", "calibration"):
        at = [c.key for c in made[name].columns].index("arm")
        assert all("§" in row.entries[at].marks for row in made[name].rows), name
    with (alone / "tables" / "arms.csv").open() as file:
        row = next(r for r in csv.DictReader(file) if r["arm"] == "B")
    assert not row.get("delta")
    assert not row.get("p")
    table = made["arms"]
    last = table.rows[1].entries
    assert [last[-2].text, last[-1].text] == ["–", "–"]
    assert last[-2].marks == ("§",)
    assert {entry.style for row in table.rows for entry in row.entries} == {"plain"}
    assert "B§" in markdown.render(table)
    assert r"B\textsuperscript{\S{}}" in latex.render(table)


def test_the_answer_and_the_page_say_which_arms_are_one_training(alone):
    assert "B: same training as A, not compared." in answer(Measurements(collect(alone)))
    make_report([alone], tables=["arms"], figures=[], formats=["md"])
    page = (alone / "report.html").read_text()
    assert "The arms A and B train identically: ssl.threshold.tau has no effect" in page


def test_arms_that_are_one_training_count_once_in_the_correction(several):
    m = Measurements(collect(several))
    c, d = m.compared()["C", "two_class"], m.compared()["D", "two_class"]
    assert m.compared()["B", "two_class"].same
    assert c.difference is not None
    assert c.adjusted_p == d.adjusted_p == holm([c.difference.p])[0]
    assert m.family_sizes("two_class") == {"": 1}


GRID = ARMS[: ARMS.index("arms:")] + "grid: {ssl.threshold.tau: [0.5, 0.8], optimizer.lr: [1.0e-4, 1.0e-3]}\n"


def test_a_factor_that_cannot_act_has_no_response(tmp_path):
    names = [arm.name for arm in collect(write_results(tmp_path / "a", GRID, subjects=18, epochs=3)).study.arms]
    twins = {names[2]: names[0], names[3]: names[1]}
    root = write_results(tmp_path / "b", GRID, subjects=18, epochs=3, twins=twins)
    table = make_report([root], tables=["factor_response"], figures=[], formats=["md"], page=False).tables[str(root)]
    rows = {(r.entries[1].text, r.entries[2].text): r.entries[-1] for r in table["factor_response"].rows}
    assert {entry.text for (factor, _), entry in rows.items() if factor == "ssl.threshold.tau"} == {"–"}
    assert all(entry.value is not None for (factor, _), entry in rows.items() if factor == "optimizer.lr")


def idle(trial, blocks, rows):
    """λ stays 0 for seed 0, coverage stays 0 for the others."""
    for row in rows:
        if row["split"] == "train":
            row["ramp_weight" if trial["seed"] == 0 else "pseudo_coverage"] = 0.0


def test_semi_supervision_that_never_acted_is_noted_in_tables_and_on_the_page(tmp_path):
    text = ARMS.replace("set: {ssl.method: supervised}\n", "").replace("tau: 0.5", "tau: 0.99")
    root = write_results(tmp_path / "idle", text, subjects=18, epochs=3, change=idle)
    table = make_report([root], tables=["arms"], figures=[], formats=["md"]).tables[str(root)]["arms"]
    [note] = [note for note in table.notes if note.startswith("Semi-supervision had no effect for A")]
    assert "λ was never above 0 in 1 of 3 trials" in note
    assert "coverage was 0 in every epoch of 2 of 3 trials" in note
    assert "Semi-supervision had no effect for B" in (root / "report.html").read_text()


def test_pseudo_labels_that_were_never_accepted_are_noted_apart_from_the_consistency_loss(tmp_path):
    def none(trial, blocks, rows):
        for row in rows:
            if row["split"] == "train":
                row["pseudo_coverage"] = 0.0

    text = ARMS.replace("set: {ssl.method: supervised}\n", "")
    root = write_results(tmp_path / "idle", text, subjects=18, epochs=3, change=none)
    table = make_report([root], tables=["arms"], figures=[], formats=["md"], page=False).tables[str(root)]["arms"]
    [note] = [note for note in table.notes if note.startswith("Pseudo-labels had no effect for A: coverage was 0")]
    assert "of all 3 trials: no pseudo-label was used, only the consistency loss had an effect" in note
    assert not any(note.startswith("Semi-supervision") for note in table.notes)


def test_semi_supervision_that_acted_is_not_noted(tmp_path):
    text = ARMS.replace("set: {ssl.method: supervised}\n", "")
    root = write_results(tmp_path / "acted", text, subjects=18, epochs=3)
    assert collect(root).never_acted == ()
