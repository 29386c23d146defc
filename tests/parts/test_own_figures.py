"""User-defined figures: drawn by a run and stored; two studies never mix their parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_files import PARTS, write_study
from synthetic_records import ABLATION, write_results

import agrm_study as ags
from agrm_study.plan.expand import expand
from agrm_study.report.folders import report_on
from agrm_study.study.analysis import analysis_settings
from agrm_study.study.resolved import write_resolved

FIGURE = '''
import agrm_study as ags


@ags.figure("seed_dots")
class SeedDots(ags.FigureKind):
    """One dot per arm."""

    name = "seed_dots"
    question = "How many arms are there?"
    needs = "an arm"

    def info(self, m):
        return tuple(arm.name for arm in m.evidence.study.arms)

    def draw(self, info):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(2, 2))
        figure.subplots().plot(range(len(info)), "o")
        return figure

    def caption(self, info):
        return f"Arms: {len(info)}."
'''


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """A results folder with a figure of its own, reported by a process that has executed it, and the file."""
    (tmp_path / "my_parts.py").write_text(FIGURE)
    own = "parts: [my_parts.py]\nreport: {tables: [ablation], figures: [forest, seed_dots]}\n"
    text = ABLATION.replace("seeds: [0, 1, 2, 3, 4]", "seeds: [0, 1]")
    (tmp_path / "s.yaml").write_text(text + own)
    results = tmp_path / "r"
    write_results(results, text, subjects=6, epochs=2)
    write_resolved(ags.load_study(tmp_path / "s.yaml"), results / "study.yaml")
    report_on([results])
    return results, tmp_path / "my_parts.py"


def files(results: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (results / "figures").glob("seed_dots.*")}


def test_after_its_file_is_gone_a_figure_is_shown_and_marked_as_kept(
    made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    results, file = made
    before = files(results)
    assert before
    assert (
        'id="seed_dots"' in (results / "report.html").read_text()
        or "seed_dots" in (results / "report.html").read_text()
    )
    file.unlink()
    monkeypatch.setattr("agrm_study.study.parts.loaded._loaded", {})
    report_on([results])
    page = (results / "report.html").read_text()
    assert files(results) == before
    assert "a stored copy: its code (my_parts.py)" in page
    assert "Arms: 4. This figure is a stored copy" in page


def test_an_edited_table_or_figure_is_no_changed_analysis(tmp_path: Path) -> None:
    file = write_study(tmp_path, parts=PARTS + FIGURE, report={"figures": ["seed_dots"], "tables": []})
    before = ags.load_study(file)
    write_study(tmp_path, parts=PARTS + FIGURE.replace('"o"', '"x"'), report={"figures": ["seed_dots"], "tables": []})
    after = ags.load_study(file)
    assert after.report.figures != before.report.figures
    assert analysis_settings(after) == analysis_settings(before)


def test_two_studies_with_parts_of_one_name_and_another_content_share_no_trial(tmp_path: Path) -> None:
    arms = {"plain": {"model.backbone": "plain3d"}, "rising": {"ssl.threshold.policy": "rising"}, "AGRM": {}}
    one = ags.load_study(write_study(tmp_path / "one", arms=arms))
    two = ags.load_study(
        write_study(tmp_path / "two", arms=arms, parts=PARTS.replace("padding=1", "padding=(1, 1, 1)"))
    )
    found = [{c.arm: c.trial_id for c in expand(study, lambda recipe: ("data", "split")).cells} for study in (one, two)]
    assert {arm for arm in arms if found[0][arm] == found[1][arm]} == {"AGRM"}
    from agrm_study.study.parts.loaded import own_class

    first, second = (own_class("backbone", study.arm("plain").recipe.model.backbone) for study in (one, two))
    assert first is not second
