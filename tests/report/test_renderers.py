import csv
import io
import shutil
import time
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tex import needs_tex, run_tex

from agrm_study.report.marks import best_and_second
from agrm_study.report.renderers import RENDERERS, html, latex, markdown
from agrm_study.report.renderers import csv as csv_renderer
from agrm_study.report.table import Column, Entry, Row, Table, words
from agrm_study.report.wording import mean_std, number, p_text, points

NASTY = r"50% of $A_b$ & {c} ~ #1 \ ^ <x> | τ=0.8 α≥½ ✓ ± † “é” ŁódźЖ"


def table(name="nasty", text=NASTY):
    return Table(
        name=name,
        caption=text,
        columns=(
            Column(key="task", title="Task", shown=False),
            Column(key="arm", title=text, align="left"),
            Column(key="f1", title="F1"),
        ),
        rows=(
            Row(
                entries=(
                    words("two_class"),
                    words(text),
                    Entry(text="91.0 ± 1.2", value=0.1 + 0.2, parts={"std": 1 / 3, "n": 5}, style="best"),
                ),
                heading=text,
            ),
            Row(
                entries=(words("two_class"), words("[x]"), Entry(text="–", style="second", marks=("†", "4/5"))),
            ),
        ),
        notes=(text, "* starred"),
        partial="PARTIAL: 1 of 2",
    )


def test_rows_must_fit_the_columns():
    with pytest.raises(ValueError, match="1 entries under 2 columns"):
        Table(name="t", caption="", columns=(Column(key="a", title="A"),) * 2, rows=(Row(entries=(words("x"),)),))


def test_csv_has_full_precision_and_hidden_columns():
    rows = list(csv.reader(io.StringIO(csv_renderer.render(table()))))
    assert rows[0] == ["task", "arm", "f1", "f1_std", "f1_n"]
    assert rows[1] == ["two_class", NASTY, repr(0.1 + 0.2), repr(1 / 3), "5"]
    assert float(rows[1][2]) == 0.1 + 0.2
    assert rows[2][2:] == ["", "", ""]


def test_markdown_escapes_and_marks():
    text = markdown.render(table())
    assert "**91.0 ± 1.2**" in text
    assert r"\<x\> \|" in text
    assert "†<sup>4/5</sup>" in text
    assert "PARTIAL: 1 of 2" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1


def test_html_escapes_everything_a_user_writes():
    text = html.render(table(text='<script>alert("1")</script>'))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "<strong>91.0 ± 1.2</strong>" in text


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_latex_escapes_any_text_to_ascii(text):
    escaped = latex.escape(text)
    assert escaped.isascii()
    assert "\n" not in escaped
    bare = escaped.replace(r"\#", "").replace(r"\&", "").replace(r"\%", "").replace(r"\_", "").replace(r"\$", "")
    assert not set(bare) & set("#&%_$")


def compile_tex(folder, name, engine="pdflatex"):
    done = run_tex(folder, name, engine=engine)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / f"{name}.pdf").stat().st_size > 1000
    return done.stdout


@needs_tex
def test_latex_compiles_as_it_stands_with_every_special_character(tmp_path):
    (tmp_path / "nasty.tex").write_text(latex.render(table()), encoding="utf-8")
    compile_tex(tmp_path, "nasty")


@needs_tex
def test_latex_can_be_put_into_a_paper_as_it_is(tmp_path):
    (tmp_path / "t.tex").write_text(latex.render(table()), encoding="utf-8")
    (tmp_path / "paper.tex").write_text(
        r"\documentclass[twocolumn]{article}\usepackage{booktabs,amssymb}\begin{document}Before."
        r"\input{t}\input{t}After.\end{document}",
        encoding="utf-8",
    )
    compile_tex(tmp_path, "paper")


CHINESE = "无膝外翻 [金] Ж"


@pytest.mark.parametrize("engine", ["pdflatex", "lualatex"])
@pytest.mark.parametrize("paper", ["", "twocolumn"])
def test_names_that_pdflatex_cannot_print_compile_and_fit_the_text(tmp_path, engine, paper):
    if shutil.which(engine) is None:
        pytest.skip(f"no TeX engine ({engine}) on this machine")
    source = latex.render(table("cjk", CHINESE))
    (tmp_path / "cjk.tex").write_text(source, encoding="utf-8")
    (tmp_path / "paper.tex").write_text(
        rf"\documentclass[{paper}]{{article}}\usepackage{{booktabs,amssymb}}\begin{{document}}\listoftables"
        "\n"
        r"\input{cjk}\input{cjk}\end{document}",
        encoding="utf-8",
    )
    compile_tex(tmp_path, "cjk", engine)
    compile_tex(tmp_path, "paper", engine)
    said = compile_tex(tmp_path, "paper", engine)  # now with the list of tables
    assert "Missing character" not in said
    assert "Overfull" not in said.partition("cjk.tex")[2]


def test_a_font_with_the_character_prints_it_under_lualatex_and_its_code_point_elsewhere():
    assert latex.escape("膝") == r"\agrmchar{819D}"
    assert r"\Uchar" in latex.render(table(text="膝"))
    assert r"\agrmchar" not in latex.render(table(text="é α"))


def test_every_renderer_says_what_is_missing():
    for name, render in RENDERERS.items():
        if name not in ("csv", "docx"):
            assert "PARTIAL" in render(table()), name


def test_ties_at_the_precision_shown_share_the_rank_and_ranking_is_unrounded():
    assert best_and_second([0.9104, 0.9101, 0.90, 0.8], ["91.0", "91.0", "90.0", "80.0"]) == (
        "best",
        "best",
        "second",
        "plain",
    )
    assert best_and_second([0.9, None, float("nan")], ["90", "", ""]) == ("plain", "plain", "plain")


def test_numbers_have_a_true_minus_and_never_minus_zero():
    assert number(-1.25) == "−1.25"
    assert number(-0.0001) == "0.00"
    assert points(0.0123) == "+1.2"
    assert points(-0.0001) == "+0.0"
    assert mean_std(0.9, float("nan")) == "90.0"


@given(st.floats(0, 1))
def test_no_p_value_prints_as_a_verdict_or_as_zero(p):
    text = p_text(p)
    assert text[0] in "<01"
    assert text != "0.000"
    assert "n.s" not in text


@pytest.mark.parametrize("year", [1970, 2150])
def test_a_word_document_holds_what_python_docx_writes_whatever_the_clock_says(monkeypatch, year):
    docx = pytest.importorskip("docx")
    made = RENDERERS["docx"](table())
    saved = io.BytesIO()
    docx.Document(io.BytesIO(made)).save(saved)
    with zipfile.ZipFile(io.BytesIO(made)) as ours, zipfile.ZipFile(saved) as theirs:
        assert {name: ours.read(name) for name in ours.namelist()} == {n: theirs.read(n) for n in theirs.namelist()}
        assert {info.date_time for info in ours.infolist()} == {(2000, 1, 1, 0, 0, 0)}
    monkeypatch.setattr(time, "localtime", lambda *now: time.struct_time((year, 1, 1, 0, 0, 0, 0, 1, 0)))
    assert RENDERERS["docx"](table()) == made
