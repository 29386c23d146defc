"""User-defined tables and figures: created by a run and stored, regenerated only on request."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_files import PARTS, write_study
from synthetic_records import ABLATION, write_results

import agrm_study as ags
from agrm_study.report.folders import report_on
from agrm_study.study.resolved import read_resolved, write_resolved

TABLE = """
from agrm_study.report.table import Column, Row, Table, whole, words


@ags.table("by_seed")
class BySeed(ags.TableKind):
    name = "by_seed"
    question = "How many seeds has each arm?"

    def unfit(self, m):
        return None

    def build(self, m):
        rows = []
        for task in m.evidence.study.tasks:
            for arm in m.evidence.study.arms:
                cell = m.cell(arm.name, task)
                rows.append(Row(entries=(words(task), words(arm.name), whole(cell and len(cell.seeds)))))
        columns = (Column(key="task", title="Task"), Column(key="arm", title="Arm"), Column(key="n", title="SEEDS"))
        return Table(name="by_seed", caption="Seeds of each arm.", columns=columns, rows=tuple(rows))
"""


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """A results folder of a study with a table of its own, reported once by a process that has executed it."""
    (tmp_path / "my_parts.py").write_text("import agrm_study as ags\n" + TABLE)
    own = "parts: [my_parts.py]\nreport: {tables: [ablation, by_seed], figures: [forest]}\n"
    text = ABLATION + own
    text = text.replace("seeds: [0, 1, 2, 3, 4]", "seeds: [0, 1]")
    (tmp_path / "s.yaml").write_text(text)
    results = tmp_path / "r"
    write_results(results, text.removesuffix(own), subjects=6, epochs=2)
    write_resolved(ags.load_study(tmp_path / "s.yaml"), results / "study.yaml")
    report_on([results])
    return results, tmp_path / "my_parts.py"


def report(monkeypatch: pytest.MonkeyPatch, results: Path, **more) -> None:
    """As a new process does it, which has executed nothing."""
    monkeypatch.setattr("agrm_study.study.parts.loaded._loaded", {})
    report_on([results], **more)


def test_a_table_of_ones_own_is_made_with_the_others(made) -> None:
    results, _ = made
    assert (results / "tables" / "by_seed.csv").read_text().splitlines()[1] == "two_class,AGRM,2"
    page = (results / "report.html").read_text()
    assert "SEEDS" in page
    assert "is a stored copy" not in page


def test_after_its_file_is_gone_the_table_is_shown_and_marked_as_kept(made, monkeypatch) -> None:
    results, file = made
    before = (results / "tables" / "by_seed.csv").read_text()
    file.unlink()
    report(monkeypatch, results)
    assert (results / "tables" / "by_seed.csv").read_text() == before
    assert "This table is a stored copy: its code (my_parts.py)" in (results / "report.html").read_text()
    report(monkeypatch, results)
    assert (results / "tables" / "by_seed.md").read_text().count("is a stored copy") == 1
    frame = ags.open_results(results).table("by_seed").to_frame()
    assert frame.to_csv(index=False) == before


def test_a_report_does_not_execute_the_part_unless_it_is_named(made, monkeypatch) -> None:
    from agrm_study.api.names import parts_in

    results, file = made
    file.write_text(file.read_text().replace("SEEDS", "REPLICATES"))
    report(monkeypatch, results)
    assert "REPLICATES" not in (results / "report.html").read_text()
    report_on([results], parts=parts_in([file]).parts)
    assert "REPLICATES" in (results / "report.html").read_text()


def test_status_and_report_read_a_study_whose_part_would_raise(made, monkeypatch) -> None:
    results, file = made
    file.write_text("raise SystemExit(9)")
    report(monkeypatch, results)
    assert ags.open_results(results).status().finished == 16


def test_the_resolved_study_names_the_part_and_its_source(made) -> None:
    study = read_resolved(made[0] / "study.yaml")
    assert [(part.kind, part.name, part.written) for part in study.parts] == [("table", "by_seed", "my_parts.py")]
    assert study.report.tables == ("ablation", f"by_seed@{study.parts[0].source}")


def test_an_unknown_table_is_refused_with_the_studys_own_among_the_names(made) -> None:
    with pytest.raises(ags.InputError, match=r"by_seed.*Did you mean `by_seed`"):
        report_on([made[0]], tables=["by_sed"])


@pytest.mark.slow
def test_a_study_with_parts_and_a_table_of_its_own_runs_and_reports(tmp_path: Path) -> None:
    file = write_study(tmp_path, parts=PARTS + TABLE, report={"tables": ["by_seed"], "figures": ["forest"]})
    results = ags.run(file, tmp_path / "r", executor="inline", progress=False)
    assert set(results.trials["status"]) == {"finished"}
    assert list(results.table("by_seed").to_frame()["n"]) == [1] * 5
    assert len(list((tmp_path / "r" / "parts").glob("*.json"))) == 1
