"""Results read from Python equal those in the report."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from matplotlib.figure import Figure
from synthetic_records import ABLATION, SKILL

import agrm_study as ags
from agrm_study.report.build import make_report


@pytest.fixture(scope="module")
def written(made):
    folder = made / "results" / "ablation"
    return make_report([folder], formats=["csv", "tex", "md"], figures=[], page=False), folder


def test_every_table_as_a_frame_is_its_csv_file_exactly(written, ablation) -> None:
    summary, folder = written
    results = ags.open_results(ablation)
    names = list(summary.tables[str(folder)])
    assert "ablation" in names
    for name in names:
        text = (folder / "tables" / f"{name}.csv").read_text(encoding="utf-8")
        assert results.table(name).to_frame().to_csv(index=False) == text, name


def test_a_frame_has_numbers_where_the_table_has_numbers(written, ablation) -> None:
    frame = ags.open_results(ablation).table("ablation").to_frame()
    read = pd.read_csv(io.StringIO((written[1] / "tables" / "ablation.csv").read_text()))
    pd.testing.assert_frame_equal(frame, read, check_dtype=False)
    assert frame.select_dtypes("number").shape[1] == read.select_dtypes("number").shape[1]


def test_a_table_renders_as_the_report_renders_it_and_in_a_notebook(written, ablation) -> None:
    table = ags.open_results(ablation).table("ablation")
    assert table.to_latex() == (written[1] / "tables" / "ablation.tex").read_text(encoding="utf-8")
    assert table.to_markdown() == (written[1] / "tables" / "ablation.md").read_text(encoding="utf-8") == repr(table)
    assert "<table" in table._repr_html_()
    assert "w/o SHPM" in table._repr_html_()


def test_records_are_frames_with_all_their_rows(ablation) -> None:
    results = ags.open_results(ablation)
    arms, tasks, seeds = len(SKILL), 2, 5
    assert len(results.trials) == arms * tasks * seeds
    assert set(results.epochs["epoch"]) == {1, 2, 3, 4}
    assert set(results.predictions["split"]) == {"test", "val"}
    assert (results.subjects["split"] == "test").sum() == 15


def test_a_comparison_is_the_one_of_the_table_apart_from_corrections(written, ablation) -> None:
    results = ags.open_results(ablation)
    frame = results.compare("w/o MTM", "AGRM", metric="macro_f1")
    table = results.table("ablation").to_frame()
    assert list(frame["task"]) == ["two_class", "three_class"]
    same = table[table["arm"] == "w/o MTM"]
    shown = [name for name in table if name.startswith("delta")]
    for column in ("delta", "low", "high"):
        wanted = column if column == "delta" else f"delta_{column}"
        assert wanted in shown
        assert list(frame[column]) == pytest.approx(list(same[wanted]))


def test_a_comparison_turned_round_changes_its_sign(ablation) -> None:
    results = ags.open_results(ablation)
    one, other = results.compare("w/o SHPM", "w/o both"), results.compare("w/o both", "w/o SHPM")
    assert list(one["delta"]) == pytest.approx(list(-other["delta"]))
    assert list(one["low"]) == pytest.approx(list(-other["high"]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: r.compare("w/o MTMM"), "Did you mean `w/o MTM`"),
        (lambda r: r.compare("AGRM"), "two different arms"),
        (lambda r: r.compare("w/o MTM", metric="f1"), "macro_f1"),
        (lambda r: r.table("ablations"), "Did you mean `ablation`"),
        (lambda r: r.table("race"), "the table is not available for this study"),
        (lambda r: r.figure("forrest"), "Did you mean `forest`"),
    ],
)
def test_a_wrong_name_is_an_input_error_with_the_right_ones(ablation, call, words) -> None:
    with pytest.raises(ags.InputError, match=words):
        call(ags.open_results(ablation))


def test_a_metric_of_two_classes_is_compared_on_the_two_class_task_alone(ablation) -> None:
    assert list(ags.open_results(ablation).compare("w/o MTM", metric="roc_auc")["task"]) == ["two_class"]


def test_a_figure_is_a_matplotlib_figure(ablation) -> None:
    assert isinstance(ags.open_results(ablation).figure("forest"), Figure)


def test_a_folder_without_results_is_refused(tmp_path) -> None:
    with pytest.raises(ags.InputError, match=r"study\.yaml"):
        ags.open_results(tmp_path)


def test_refreshing_reads_trials_that_came_in_since(tmp_path) -> None:
    from synthetic_records import write_results

    write_results(tmp_path, ABLATION, subjects=6, epochs=2, skip=[("AGRM", "two_class", 0)])
    results = ags.open_results(tmp_path)
    assert len(results.trials) == 39
    write_results(tmp_path, ABLATION, subjects=6, epochs=2)
    assert len(results.trials) == 39
    results.refresh()
    assert len(results.trials) == 40


def test_the_shares_of_variance_of_a_comparison_sum_to_one(ablation) -> None:
    frame = ags.open_results(ablation).compare("w/o MTM")
    assert list(frame[["from_seeds", "from_subjects", "from_both"]].sum(axis=1)) == pytest.approx([1.0, 1.0])
