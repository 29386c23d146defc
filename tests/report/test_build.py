import hashlib
import shutil
import subprocess
import sys

import pytest
from synthetic_records import ABLATION, write_results

from agrm_study.report.build import make_report
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.tables.ablation import Ablation, four_arms

SMALL = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("r") / "ablation", SMALL, subjects=24, epochs=5)


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_records_give_the_same_bytes_here_and_elsewhere(root, tmp_path):
    elsewhere = tmp_path / "copied"
    shutil.copytree(root, elsewhere)
    for folder in (root, elsewhere):
        make_report([folder], tables=["ablation"], figures=["forest"])
    for part in ("tables", "figures"):
        assert digests(root / part) == digests(elsewhere / part)
        assert digests(root / part)


def test_the_command_reports_on_a_copied_folder_that_may_only_be_read_without_torch_or_ray(root, tmp_path):
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'ray', 'torchvision'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from agrm_study.cli import main\n"
        "sys.argv = ['agrm-study', 'report', sys.argv[1], *'--table ablation --figure forest'.split()]\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    assert not {'torch', 'ray'} & set(sys.modules)\n"
    )
    copied = tmp_path / "copied"
    shutil.copytree(root, copied)
    for folder in (copied / "records").iterdir():
        folder.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", code, str(copied)], check=False, timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ablation of the Mean Teacher")
    assert str(copied / "report.html") in done.stderr
    assert (copied / "report.html").is_file()


def test_the_ablation_table_marks_modules_by_recipe_and_has_the_interaction(root):
    m = Measurements(collect(root))
    assert four_arms(m.evidence.study) == ("AGRM", "w/o MTM", "w/o SHPM", "w/o both")
    table = Ablation().build(m)
    marks = [(row.entries[1].text, row.entries[2].text, row.entries[3].text) for row in table.rows[:5]]
    assert marks == [
        ("AGRM", "✓", "✓"),
        ("w/o MTM", "–", "✓"),
        ("w/o SHPM", "✓", "–"),
        ("w/o both", "–", "–"),
        ("Interaction", "", ""),
    ]
    values = {a: m.metric(a, "two_class", "macro_f1").summary.mean for a in four_arms(m.evidence.study)}
    expected = values["AGRM"] - values["w/o MTM"] - values["w/o SHPM"] + values["w/o both"]
    assert table.rows[4].entries[-2].value == pytest.approx(expected)
    assert any("Interaction: AGRM − w/o MTM − w/o SHPM + w/o both" in n for n in table.notes)


def test_footnotes_state_n_ddof_subjects_replicates_test_family_and_versions(root):
    notes = " ".join(Ablation().build(Measurements(collect(root))).notes)
    for said in (
        "ddof 1",
        "n = 3",
        "N = 24",
        "Holm-adjusted over the 3 comparisons",
        "two-sided t-test over seeds",
        "not adjusted for multiple comparisons",
        "two-way variance",
        "Caution: 3 seeds",
        "code 0123456789ab",
        "not a diagnostic device",
    ):
        assert said in notes, said


def test_one_seed_gives_no_interval_and_no_p_and_says_so(tmp_path):
    root = write_results(tmp_path / "r", SMALL.replace("[0, 1, 2]", "[0]"), subjects=24, epochs=4)
    table = Ablation().build(Measurements(collect(root)))
    notes = " ".join(table.notes)
    assert "One seed: no interval or p-value" in notes
    assert "t-test" not in notes
    assert all(row.entries[-3].text in ("–", "") for row in table.rows)
    assert {row.entries[-1].text for row in table.rows} <= {"–", ""}


def test_a_study_without_any_finished_trial_makes_an_empty_report(tmp_path):
    root = write_results(
        tmp_path / "r",
        SMALL,
        skip=[
            (a, t, s)
            for a in ("AGRM", "w/o MTM", "w/o SHPM", "w/o both")
            for t in ("two_class", "three_class")
            for s in range(3)
        ],
    )
    summary = make_report([root])
    assert summary.partial
    assert "PARTIAL: 0 of 24" in (root / "tables" / "ablation.md").read_text()
