"""Every table compiles in one paper and opens in Word."""

import io

import pytest
from synthetic_records import ABLATION, write_external, write_results, write_robustness
from tex import needs_tex, run_tex

from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.renderers import RENDERERS, latex
from agrm_study.report.tables import TABLES, table_kind
from agrm_study.study.seeds import Stopped

TWO_SEEDS = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1]")
BROAD = TWO_SEEDS.replace(
    "reference:",
    "  - {name: τ=0.9, set: {ssl.threshold.tau: 0.9}}\n"
    "  - {name: C3D & co_, set: {model.backbone: r2plus1d_18}}\nreference:",
)
BROAD += "report: {operating_points: [{sensitivity: 0.9}, {specificity: 0.8}]}\n"
RACE = TWO_SEEDS.replace("[0, 1]", "{race: {first: 3, most: 4}}")
STOPPED = Stopped(
    arm="w/o both", task="three_class", n=3, rival="AGRM", pairs=3, difference=0.1, p=0.001, limit=0.05 / 3
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Every table that needs no search, by name."""
    made = {}
    for name, text in (("crossed", TWO_SEEDS), ("broad", BROAD), ("race", RACE)):
        root = write_results(
            tmp_path_factory.mktemp(name) / "r",
            text,
            subjects=18,
            epochs=4,
            parts=("test", "val", "train"),
            failed=[("w/o MTM", "two_class", 1)],
        )
        if name == "broad":
            write_external(root)
            write_external(root, "a_hospital_with_a_long_name", subjects=12)
            write_robustness(root, kinds=("occlusion", "low_light"), severities=(1, 2, 3, 4, 5))
        if name == "race":
            rules = {"first": 3, "most": 4, "step": 1, "level": 0.05}
            RaceLog(study="ablation", metric="macro_f1", stopped=(STOPPED,), **rules).write(Location.of(root))
        m = Measurements(collect(root))
        made |= {n: table_kind(n).build(m) for n in TABLES if n not in made and table_kind(n).unfit(m) is None}
    assert set(TABLES) - set(made) == {"promoted", "tuned", "predictive_values"}
    return made


@needs_tex
def test_all_tables_compile_in_one_paper_without_an_error_or_a_missing_sign(tables, tmp_path):
    for name, table in tables.items():
        (tmp_path / f"{name}.tex").write_text(RENDERERS["tex"](table), encoding="utf-8")
    body = "\n".join(rf"\input{{{name}}}\clearpage" for name in tables)
    (tmp_path / "paper.tex").write_text(
        r"\documentclass[twocolumn]{article}\usepackage{booktabs,amssymb}\begin{document}"
        f"\n{body}\n"
        r"\end{document}",
        encoding="utf-8",
    )
    done = run_tex(tmp_path, "paper")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout
    for name in tables:
        assert f"({name}.tex" in done.stdout.replace("./", "").replace("\n", "")


@pytest.fixture(scope="module")
def many_arms(tmp_path_factory):
    """Tables of ten arms of which one beats the reference, with two prevalences."""
    arms = "".join(f"  - {{name: FixMatch tau {k}, set: {{ssl.threshold.tau: 0.{50 + k}}}}}\n" for k in range(6))
    text = TWO_SEEDS.replace("[0, 1]", "[0, 1, 2]").replace("reference:", f"{arms}reference:")
    text += "report: {prevalences: [0.02, 0.1], margin: 0.05}\n"
    root = write_results(tmp_path_factory.mktemp("many") / "r", text, subjects=30, epochs=3)
    m = Measurements(collect(root))
    return {n: table_kind(n).build(m) for n in ("arms", "ablation", "screening", "discrimination", "predictive_values")}


@pytest.mark.parametrize("paper", ["", "twocolumn"])
@needs_tex
def test_no_table_is_wider_than_the_text_of_an_article(tables, many_arms, tmp_path, paper):
    named = {**tables, **{f"many-{n}": t for n, t in many_arms.items()}}
    for name, table in named.items():
        (tmp_path / f"{name}.tex").write_text(RENDERERS["tex"](table), encoding="utf-8")
    body = "\n".join(rf"\input{{{name}}}\clearpage" for name in named)
    (tmp_path / "paper.tex").write_text(
        rf"\documentclass[{paper}]{{article}}\usepackage{{booktabs,amssymb}}\begin{{document}}"
        f"\n{body}\n"
        r"\end{document}",
        encoding="utf-8",
    )
    done = run_tex(tmp_path, "paper", "-draftmode")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_wide_tables_are_set_smaller_and_their_intervals_under_their_numbers(many_arms):
    for table in many_arms.values():
        assert latex.layout(table).width <= latex.TEXT_WIDTH_PT, table.name
    assert r"\begin{tabular}[t]{@{}r@{}}" in latex.render(many_arms["screening"])
    assert r"[t]" not in latex.render(many_arms["predictive_values"])


def test_word_tables_have_three_rules_and_no_shading(tables):
    docx = pytest.importorskip("docx", reason="python-docx is not installed")
    (grid,) = docx.Document(io.BytesIO(RENDERERS["docx"](tables["ablation"]))).tables
    xml = grid._tbl.xml
    columns = len(grid.columns)
    assert xml.count("<w:top ") == columns
    assert xml.count("<w:bottom ") == 2 * columns
    assert "w:shd" not in xml
    assert grid.style.name == "Normal Table"


def test_all_tables_open_in_word_with_their_caption_rows_and_notes(tables):
    docx = pytest.importorskip("docx", reason="python-docx is not installed")
    for name, table in tables.items():
        document = docx.Document(io.BytesIO(RENDERERS["docx"](table)))
        text = [p.text for p in document.paragraphs]
        assert table.heading in text, name
        assert set(table.notes) <= set(text), name
        (grid,) = document.tables
        headings = sum(row.heading is not None for row in table.rows)
        assert len(grid.rows) == 1 + len(table.rows) + headings, name
        assert [c.text for c in grid.rows[0].cells] == [table.columns[i].title for i in table.visible], name
