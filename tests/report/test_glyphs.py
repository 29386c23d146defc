"""Figures with characters that no installed font has."""

import pytest
from matplotlib.figure import Figure
from synthetic_records import ABLATION, write_results

from agrm_study.report.build import make_report
from agrm_study.report.figures import glyphs
from agrm_study.report.figures.base import images


def figure(title):
    drawn = Figure()
    axes = drawn.subplots()
    axes.set_title(title)
    axes.set_xticks([0], ["Δ ± −"])
    images(drawn, ["svg"])
    return drawn


@pytest.fixture
def only_dejavu(monkeypatch):
    """A machine without fonts for Chinese, Japanese and Korean."""
    monkeypatch.setattr(glyphs, "font_families", lambda: ("DejaVu Sans",))
    glyphs._has_glyph.cache_clear()
    yield
    glyphs._has_glyph.cache_clear()


def test_characters_without_a_glyph_are_found_and_others_are_not(only_dejavu):
    assert glyphs.missing_glyphs(figure("Ärger Ж α 膝x膝金")) == {"膝", "金"}
    assert glyphs.missing_glyphs(figure("plain")) == frozenset()


def test_a_note_names_some_characters_and_what_to_install():
    note = glyphs.glyph_note({chr(0x4E00 + i) for i in range(7)})
    assert "7 characters" in note
    assert note.count("一") == 1
    assert "…" in note
    assert "Noto Sans CJK" in note
    assert glyphs.glyph_note(set()) is None


def test_a_report_says_once_per_study_which_names_its_figures_cannot_show(tmp_path, only_dejavu):
    root = write_results(tmp_path / "r", ABLATION.replace("w/o MTM", "无膝"), subjects=12, epochs=2)
    made = make_report(
        [root], tables=["arms"], figures=["forest", "learning_curves"], figure_formats=["svg"], page=False
    )
    assert len(made.notes) == 1
    assert "无" in made.notes[0]
