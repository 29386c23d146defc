import io
import re

import pytest
from rich.console import Console
from synthetic_records import ABLATION, write_results

from agrm_study.cli.report import write_report
from agrm_study.report.build import make_report
from agrm_study.report.renderers.terminal import render
from agrm_study.report.table import Column, Entry, Row, Table

SMALL = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1]").replace("[two_class, three_class]", "[two_class]")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    skip = [("w/o MTM", "two_class", 1)]
    return write_results(tmp_path_factory.mktemp("r") / "terminal", SMALL, subjects=18, epochs=4, skip=skip)


@pytest.fixture(scope="module")
def ablation(root):
    return make_report([root], tables=["ablation"], figures=[], formats=["md"], page=False).tables[str(root)][
        "ablation"
    ]


def printed(table: Table, width: int) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, highlight=False)
    console.print(render(table, width, styled=True))
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40])
def test_no_number_is_cut_at_any_width(ablation, width):
    text = printed(ablation, width)
    assert all(len(line) <= width for line in text.splitlines())
    primary = [i for i, c in enumerate(ablation.columns) if c.key in ("macro_f1", "delta", "p")]
    for row in ablation.rows:
        for i in primary:
            for part in re.findall(r"[\d.]+", row.entries[i].text):
                assert part in text


def test_columns_that_do_not_fit_are_named(ablation):
    assert "Omitted, as the terminal is too narrow: Recall, Precision" in " ".join(printed(ablation, 80).split())
    assert "Left out" not in printed(ablation, 200)


def test_marks_and_control_characters_are_shown():
    column = (Column(key="arm", title="Arm", align="left"), Column(key="f1", title="F1"))
    row = Row(entries=(Entry(text="a\x1b[31mb"), Entry(text="50.0 ± 1.0", style="second", marks=("4/5", "†"))))
    text = printed(Table(name="x", caption="[bold]c[/bold]", columns=column, rows=(row,)), 80)
    assert "a\\x1b[31mb" in text
    assert "50.0 ± 1.0 (4/5)†" in text
    assert "[bold]c[/bold]" in text


def test_report_prints_the_table_that_answers_and_names_the_others(root, capsys):
    write_report([root], figures=["confusion"])
    out, err = capsys.readouterr()
    assert out.startswith("[PARTIAL: 7 of 8 planned trials are finished] Ablation")
    assert out.count("PARTIAL") == 1
    assert "¹" in out
    assert "¹ replaces bold" in out
    for sign in ("<u>", "<sub>", "\\[", "**", "\x1b"):
        assert sign not in out
    [others] = [line for line in err.splitlines() if line.startswith("other tables in ")]
    assert f"{root}/tables" in others
    assert "arms" in others
    assert "ablation" not in others


def test_report_prints_the_first_table_asked_for(root, capsys):
    write_report([root], tables=["splits", "ablation"], figures=["confusion"])
    assert "Ablation" not in capsys.readouterr().out
