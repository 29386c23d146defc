"""Excel workbooks are read like the CSV file that Excel would save."""

import datetime
import zipfile
from pathlib import Path

import pytest

from agrm_study.study.errors import InputError
from agrm_study.training.data.csv_file import read_csv
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.datasets.layout import Options

openpyxl = pytest.importorskip("openpyxl")


def write(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_cells_have_the_text_that_excel_shows(tmp_path):
    rows = [
        ["subject", "label3", "age", "visit", None],
        ["001", "normal", 5.5, datetime.date(2024, 3, 1), None],
        [2, "varus", 6.0, None, None],
        [None, None, None, None, None],
        [3.0, "valgus", 7, datetime.datetime(2024, 3, 2, 8, 30), None],
    ]
    table = read_csv(write(tmp_path / "t.xlsx", {"Sheet1": rows, "empty": []}))
    assert table.columns == ("subject", "label3", "age", "visit")
    assert [(row.line, tuple(row.cells.values())) for row in table.rows] == [
        (2, ("001", "normal", "5.5", "2024-03-01T00:00:00")),
        (3, ("2", "varus", "6", "")),
        (5, ("3", "valgus", "7", "2024-03-02T08:30:00")),
    ]


def test_labels_in_a_workbook_are_found_beside_the_videos(tmp_path):
    for name in ("001.mp4", "002.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    write(tmp_path / "labels.xlsx", {"Tabelle1": [["Kind", "Diagnose"], [1, "normal"], [2, "varus"]]})
    found = layout_of("spwvd").find(tmp_path, Options())
    assert [(clip.clip_id, clip.label) for clip in found] == [("1", "normal"), ("2", "genu_varum")]


def test_a_manifest_table_may_be_a_workbook(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a")
    write(tmp_path / "t.xlsx", {"s": [["path", "label"], ["a.mp4", "normal"]]})
    (clip,) = layout_of("manifest").find(tmp_path / "t.xlsx", Options())
    assert (clip.label, str(clip.row)) == ("normal", "t.xlsx:2")


def test_several_sheets_are_refused_by_name(tmp_path):
    path = write(tmp_path / "t.xlsx", {"2023": [["a"], [1]], "2024": [["a"], [2]]})
    with pytest.raises(InputError, match=r"one sheet with content.*2023.*2024"):
        read_csv(path)


def test_a_formula_counts_with_its_saved_value_and_is_refused_without_one(tmp_path):
    path = write(tmp_path / "t.xlsx", {"s": [["subject", "age"], ["a", "=2+3"]]})
    with pytest.raises(InputError, match=r"t\.xlsx:2: .*a formula has no saved value"):
        read_csv(path)
    # Excel saves the value beside the formula.
    with zipfile.ZipFile(path) as read, zipfile.ZipFile(tmp_path / "saved.xlsx", "w") as saved:
        for name in read.namelist():
            saved.writestr(name, read.read(name).replace(b"<v></v>", b"<v>5</v>").replace(b"<v />", b"<v>5</v>"))
    assert read_csv(tmp_path / "saved.xlsx").rows[0].cells == {"subject": "a", "age": "5"}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"subject,label\n1,normal\n"])
def test_a_file_that_is_no_workbook_is_refused(tmp_path, content):
    (tmp_path / "t.xlsx").write_bytes(content)
    with pytest.raises(InputError, match="not a readable workbook"):
        read_csv(tmp_path / "t.xlsx")


def test_an_empty_workbook_is_refused(tmp_path):
    with pytest.raises(InputError, match="the file is empty"):
        read_csv(write(tmp_path / "t.xlsx", {"s": []}))
