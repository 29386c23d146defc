"""Verification finds every changed digit of a written table, and accepts permitted changes of a manuscript."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from synthetic_records import ABLATION, write_results
from tex import needs_tex, run_tex

from agrm_study.cli.verify import verify
from agrm_study.report.build import make_report
from agrm_study.report.numbers import parse, segment
from agrm_study.report.renderers.latex import escape
from agrm_study.study.errors import InputError
from agrm_study.submission.bundle import MANIFEST, opened_bundle, write_bundle
from agrm_study.submission.grid import compare_grids
from agrm_study.submission.manuscript import verify_manuscript
from agrm_study.submission.read_latex import find_tables, grid_of, plain
from agrm_study.submission.read_tables import READERS
from agrm_study.submission.verify import Verification, verify_folder

STUDY = (
    ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")
    + "report: {tables: [ablation, class_counts, screening], figures: [forest]}\n"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A results folder with its report."""
    root = write_results(tmp_path_factory.mktemp("r") / "ablation", STUDY, subjects=24)
    make_report([root])
    return root


@pytest.fixture(scope="module")
def made(written):
    """What its records give."""
    return verify_folder(written, Verification())


@pytest.fixture
def root(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "ablation"))


def check(*paths):
    done = CliRunner().invoke(verify, [*map(str, paths), "--json"], standalone_mode=False)
    assert done.exception is None, done.exception
    said = json.loads(done.stdout)
    assert done.return_value == (0 if said["passed"] else 1)
    return said


def checked(manuscript, made):
    out = Verification()
    verify_manuscript(manuscript, [made], out)
    return out


def test_a_fresh_report_agrees_with_its_records_in_every_format(root):
    said = check(root)
    assert said["passed"], said["differences"]
    formats = {p.suffix for p in (root / "tables").iterdir()}
    assert {".csv", ".md", ".html", ".tex"} <= formats
    assert said["checked"]["tables"] == len(list((root / "tables").iterdir()))
    assert said["checked"]["figures"] == 3


@pytest.mark.parametrize("suffix", ["tex", "md", "html", "csv"])
def test_a_changed_digit_is_named_with_table_row_column_and_both_values(root, suffix):
    file = root / "tables" / f"ablation.{suffix}"
    text = file.read_text(encoding="utf-8")
    marker = {"tex": "\\midrule", "html": "<td"}.get(suffix, "w/o MTM")
    start = text.index("w/o MTM", text.index(marker))
    row = text[start : start + 700]
    value = re.search({"csv": r"0\.\d{5,}", "html": r"(?<=>)\d\d\.\d"}.get(suffix, r"\d\d\.\d"), row).group()
    other = value[:-1] + str((int(value[-1]) + 1) % 10)
    if suffix == "csv":
        other = value.replace(value[2], str((int(value[2]) + 1) % 10), 1)
    file.write_text(text.replace(row, row.replace(value, other, 1)), encoding="utf-8")
    said = check(root)
    [difference] = [d for d in said["differences"] if f"ablation.{suffix}" in d]
    assert "table `ablation`" in difference
    assert "w/o MTM" in difference
    assert re.search("column `(Accuracy|accuracy)`", difference), difference
    assert value in difference
    assert other in difference


def digits_of(text):
    """Positions of digits that a reader sees: outside lengths, column types and macros of layout."""
    layout = r"\\(?:setlength|renewcommand|documentclass|usepackage|begin|end|multicolumn\{\d+\})[^\n]*"
    hidden = [m.span() for m in re.finditer(layout, text)]
    return [i for i, c in enumerate(text) if c.isdigit() and not any(a <= i < b for a, b in hidden)]


@pytest.mark.parametrize("name", ["ablation", "screening", "class_counts"])
def test_no_digit_of_a_table_in_a_manuscript_can_be_changed_unnoticed(root, name):
    text = (root / "tables" / f"{name}.tex").read_text(encoding="utf-8")
    [table] = find_tables(text)
    expected = grid_of(table)
    positions = [i for i in digits_of(text) if i > table.float[0]]
    assert len(positions) > 20
    for i in positions:
        changed = text[:i] + str((int(text[i]) + 1) % 10) + text[i + 1 :]
        [found] = find_tables(changed)
        compared = compare_grids(grid_of(found), expected, whole=False)
        assert compared.mismatches or compared.remarks, changed[max(0, i - 40) : i + 20]
        line = changed[:i].rpartition("\n")[2]
        if not line.startswith(("%", "\\caption")) and table.body[0] < i < table.body[1] and "&" in line:
            assert compared.mismatches


PAPER = r"""\documentclass{article}
\usepackage{booktabs,amssymb}
\input{ablation/numbers.tex}
\begin{document}
\section{AGRM reaches \agrm{ablation.agrm.three-class.macro-f1.mean}}
\begin{table}\caption{Ours.}
BODY
\end{table}
\end{document}
"""


def paper(root, edit):
    """A manuscript with the tabular of the ablation table, edited as an author would."""
    text = (root / "tables" / "ablation.tex").read_text(encoding="utf-8")
    body = text[text.index("\\begin{tabular}{@{}l") : text.index("\\par\\smallskip")]
    file = root.parent / "paper.tex"
    file.write_text(PAPER.replace("BODY", edit(body)), encoding="utf-8")
    return file


def rows_of(body):
    return body.split("\\midrule\n", 1)[1].split("\\bottomrule")[0]


EDITS = {
    "as it is": lambda body: body,
    "math mode": lambda body: body.replace(r"\ensuremath{\pm}", r"$\pm$").replace(r"\ensuremath{-}", "$-$"),
    "fonts": lambda body: body.replace("w/o MTM", r"\textsc{w/o MTM}").replace(r"\textbf", r"\mathbf"),
    "rules": lambda body: body.replace(r"\midrule", r"\hline").replace(r"\toprule", r"\hline"),
    "line breaks": lambda body: body.replace(" & ", "\n  & "),
    "typed signs": lambda body: body.replace(r"\ensuremath{\pm}", "±").replace(r"\ensuremath{-}", "−"),
    "space after rows": lambda body: body.replace(" \\\\\n", " \\\\[2pt]\n"),
    "a comment": lambda body: body.replace("\\toprule", "% 99.9 & 12.3 \\\\\n\\toprule"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_formatting_of_the_author_is_no_difference(root, made, edit):
    out = checked(paper(root, edit), made)
    assert out.passed, out.differences
    assert out.checked["tables in the manuscript"] == 1
    assert out.checked["uses of a number"] == 1


def without_row(body, name):
    lines = re.split(r"(?<=\\\\)\n(?=\S)", rows_of(body))
    kept = [line for line in lines if name not in line]
    assert len(kept) < len(lines)
    return body.replace(rows_of(body), "\n".join(kept))


def test_an_arm_left_out_of_the_manuscript_is_a_remark(root, made):
    out = checked(paper(root, lambda body: without_row(body, "w/o SHPM &")), made)
    assert out.passed
    assert any("w/o SHPM` is omitted" in remark for remark in out.remarks)


def test_exchanged_names_of_two_arms_are_found(root, made):
    said = check(
        root,
        paper(
            root, lambda body: body.replace("w/o MTM", "@@").replace("w/o SHPM", "w/o MTM").replace("@@", "w/o SHPM")
        ),
    )
    assert not said["passed"]


def test_a_row_that_the_records_do_not_have_is_found(root, made):
    def add(body):
        columns = body.split("\\midrule")[0].count("&")
        return body.replace("\\bottomrule", "Theirs" + " & 99.9" * columns + " \\\\\n\\bottomrule")

    differences = checked(paper(root, add), made).differences
    assert any("Theirs` is not in the table generated from the records" in d for d in differences)


def test_numbers_by_macro_are_compared_and_unknown_ones_named(root):
    file = paper(root, lambda body: body)
    file.write_text(file.read_text().replace("macro-f1.mean", "macro-f2.mean"))
    [difference] = check(root, file)["differences"]
    assert "paper.tex:5" in difference
    assert "Did you mean `ablation.agrm.three-class.macro-f1.mean`" in difference
    numbers = root / "numbers.tex"
    key = "ablation.agrm.three-class.macro-f1.mean"
    value = parse(numbers.read_text())[key]
    numbers.write_text(numbers.read_text().replace(f"{{{key}}}{{{value}}}", f"{{{key}}}{{99.9}}"))
    said = check(root, paper(root, lambda body: body))
    assert [key in d and "99.9" in d and value in d for d in said["differences"]] == [True, True]  # folder and paper


def test_a_table_of_a_study_without_records_is_not_verified(root, made):
    file = paper(root, lambda body: body.replace("table ablation/", "table other/"))
    [difference] = checked(file, made).differences
    assert "other/ablation" in difference
    assert "not verified" in difference


def test_a_manuscript_without_anything_of_ours_and_a_missing_file_fail(made, tmp_path):
    empty = tmp_path / "empty.tex"
    empty.write_text("\\documentclass{article}\\begin{document}\\input{gone}\\end{document}")
    out = Verification()
    verify_manuscript(empty, [made], out)
    assert len(out.differences) == 2
    assert "gone.tex" in out.differences[0]
    with pytest.raises(InputError, match="cannot be read"):
        verify_manuscript(tmp_path / "none.tex", [], Verification())


def test_a_manuscript_alone_is_refused(tmp_path):
    with pytest.raises(InputError, match="against the records"):
        CliRunner().invoke(verify, [str(tmp_path / "paper.tex")], standalone_mode=False, catch_exceptions=False)


@needs_tex
@pytest.mark.parametrize("known", [True, False])
def test_latex_compiles_known_numbers_in_titles_and_stops_at_unknown_ones(root, known):
    file = paper(root, lambda body: r"\caption{\agrm{ablation.agrm.three-class.macro-f1.std}}" + body)
    if not known:
        file.write_text(file.read_text().replace("macro-f1.std", "macro-f1.sdt"))
    done = run_tex(file.parent, "paper")
    assert (done.returncode == 0) == known, done.stdout[-1500:]
    if not known:
        assert "agrmUnknownNumber" in done.stdout
        assert "macro-f1.sdt" in done.stdout


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("AGRM", "agrm"),
        ("w/o MTM", "w-o-mtm"),
        ("τ=0.9", "tau-0-9"),
        ("Überprüfung", "uberprufung"),
        ("macro_f1", "macro-f1"),
    ],
)
def test_keys_are_ascii(name, wanted):
    assert segment(name) == wanted


def test_names_without_a_latin_letter_get_different_keys():
    assert segment("対照") != segment("提案")
    assert re.fullmatch("x[0-9a-f]{4}", segment("対照"))


def test_a_bundle_verifies_without_torch_and_ray_and_names_a_changed_file(root, tmp_path):
    bundle = tmp_path / "records.zip"
    assert write_bundle(root, bundle) > 10
    first = bundle.read_bytes()
    write_bundle(root, bundle)
    assert bundle.read_bytes() == first
    script = (
        "import sys\n"
        "class Refused:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'ray', 'torchvision'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refused())\n"
        "from agrm_study.cli.app import main\n"
        "sys.argv = ['agrm-study', 'verify', sys.argv[1]]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(bundle)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything agrees" in done.stdout
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(changed, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info, content.replace(b"w/o", b"w/O") if info.filename.endswith("ablation.md") else content)
    said = check(changed)
    assert any("ablation.md: does not match the checksum" in d for d in said["differences"])


@pytest.mark.parametrize("name", ["../escaped", "/etc/escaped", "ablation/../../escaped"])
def test_a_bundle_with_a_name_that_leads_out_of_it_is_refused(tmp_path, name):
    bundle = tmp_path / "bad.zip"
    listing = {"format": 1, "results": "ablation", "files": {}}
    with zipfile.ZipFile(bundle, "w") as new:
        new.writestr(MANIFEST, json.dumps(listing))
        new.writestr(name, "x")
    with pytest.raises(InputError, match="records bundle"), opened_bundle(bundle):
        pass


def test_a_file_that_is_no_bundle_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK no zip")
    with pytest.raises(InputError, match="records bundle"), opened_bundle(tmp_path / "x.zip"):
        pass


def test_every_reader_reads_what_its_renderer_writes(root):
    pytest.importorskip("docx")
    grids = {s: READERS[s]((root / "tables" / f"ablation.{s}").read_bytes()) for s in ("md", "html", "docx", "tex")}
    for grid in grids.values():
        assert len(grid.rows) == len(grids["md"].rows)
        for row, other in zip(grid.rows, grids["md"].rows, strict=True):
            assert row.label == other.label
            assert row.heading == other.heading
            assert len(row.cells) == len(other.cells)


def test_names_in_scripts_that_pdflatex_cannot_print_are_read_back_from_their_code_points():
    assert plain(escape("无膝外翻 [金] Ж")) == "无膝外翻 [金] Ж"
