"""Tables saved by spreadsheets and pandas are read if they are unambiguous."""

import csv
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agrm_study.study.data_settings import Data
from agrm_study.study.document import parse_yaml
from agrm_study.study.errors import InputError
from agrm_study.training.data.csv_file import read_csv
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.datasets.layout import Options
from agrm_study.training.data.fields import Cell
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.names import Names, yaml_list
from agrm_study.training.data.splits import kept_clips, make_split


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def spwvd(folder: Path, table: str | bytes):
    (folder / "labels.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    found = layout_of("spwvd").find(folder, Options())
    return [(each.subject_id, each.path.name, each.label, each.sex, each.age) for each in found]


def test_numbers_that_became_fractions_name_their_videos(tmp_path):
    touch(tmp_path, "1.mp4", "2.mp4")
    assert spwvd(tmp_path, "subject,label3\n1.0,normal\n2.0,varus\n") == [
        ("1", "1.mp4", "normal", None, None), ("2", "2.mp4", "genu_varum", None, None),
    ]  # fmt: skip


TABLE = "subject;label3;Geschlecht;Alter\n1;normal;Mädchen;5,5\n"
ANNA = [("1", "1.mp4", "normal", "female", 5.5)]


@pytest.mark.parametrize(
    "table",
    [
        TABLE.encode(), f"sep=;\n{TABLE}".encode(), f"\ufeffsep=;\r\n{TABLE}".encode(), f'"sep=;"\n{TABLE}'.encode(),
        TABLE.encode("cp1252"), TABLE.encode("utf-16"), TABLE.encode("utf-16-le"), TABLE.encode("utf-16-be"),
        TABLE.replace(";", "\t").encode(), f"sep=|\n{TABLE}".replace(";", "|").encode(),
        "subject,label3,Sexe,Âge (ans)\n1,normal,féminin,\"5,5\"\n".encode(),
        "Sujet;Diagnostic;Sexe;Âge\r\n1;normal;fille;5,5 ans\r\n".encode("cp1252"),
        "Kind-Nr.;Klasse;Geschlecht;Alter (Jahre)\n1;normal;weiblich;5,5\n".replace("Kind-Nr.", "Nr.").encode(),
    ],
)  # fmt: skip
def test_each_encoding_separator_and_language_of_a_spreadsheet_reads_the_same(tmp_path, table):
    assert spwvd(touch(tmp_path, "1.mp4"), table) == ANNA


def test_the_line_of_a_message_counts_the_separator_line(tmp_path):
    (tmp_path / "t.csv").write_text("sep=;\na;b\n1;2\n")
    assert [row.line for row in read_csv(tmp_path / "t.csv").rows] == [3]


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
@pytest.mark.parametrize("start", [0, 1])
def test_the_row_numbers_that_pandas_writes_are_no_column(tmp_path, name, start):
    touch(tmp_path, "a.mp4", "b.mp4")
    rows = f"{name},path,subject_id,label\n{start},a.mp4,001,normal\n{start + 1},b.mp4,002,varus\n"
    (tmp_path / "t.csv").write_text(rows)
    found = layout_of("manifest").find(tmp_path / "t.csv", Options())
    assert [(each.subject_id, each.label) for each in found] == [("001", "normal"), ("002", "genu_varum")]


def test_the_row_numbers_in_a_parquet_file_of_pandas_are_no_column(tmp_path):
    touch(tmp_path, "a.mp4")
    pq.write_table(pa.table({"path": ["a.mp4"], "subject_id": ["1"], "__index_level_0__": [7]}), tmp_path / "t.parquet")
    assert len(layout_of("manifest").find(tmp_path / "t.parquet", Options())) == 1


def test_an_unnamed_column_that_does_not_number_the_rows_is_named_by_its_place(tmp_path):
    touch(tmp_path, "a.mp4")
    (tmp_path / "t.csv").write_text("path,,label\na.mp4,remark,normal\n")
    with pytest.raises(InputError, match=r"`\(column 2\)`: unknown column"):
        layout_of("manifest").find(tmp_path / "t.csv", Options())


def test_a_table_of_paths_takes_usual_names_of_sex_and_age_and_file_names_in_another_case(tmp_path):
    touch(tmp_path, "Anna.MP4")
    (tmp_path / "t.csv").write_text("path;subject_id;label;Geschlecht;Alter\nanna.mp4;7.0;varus;w;5,5\n")
    (found,) = layout_of("manifest").find(tmp_path / "t.csv", Options())
    assert (found.path.name, found.subject_id, found.sex, found.age) == ("Anna.MP4", "7", "female", 5.5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labels.ods", r"labels\.ods: a workbook of this format cannot be read.*CSV UTF-8"),
        ("labels.csv", r"labels\.csv: a workbook, not a CSV file.*CSV UTF-8"),
        ("labels.xlsx", r"labels\.xlsx: (not a readable workbook|a workbook requires the package openpyxl).*CSV UTF-8"),
    ],
)
def test_a_workbook_that_cannot_be_read_gets_a_message(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=message):
        layout_of("spwvd").find(tmp_path, Options())


def test_a_path_that_no_file_can_have_is_a_missing_video(tmp_path):
    for name in ("x" * 5000, "a\x00b"):
        (tmp_path / "t.csv").write_text(f"path,label\n{name},normal\n")
        with pytest.raises(InputError, match=r"t\.csv:2: `path`: the video file does not exist"):
            layout_of("manifest").find(tmp_path / "t.csv", Options())


def test_all_missing_videos_are_reported_at_once_with_the_nearest_name(tmp_path):
    touch(tmp_path, "anna.mp4", "ben.mp4")
    with pytest.raises(InputError) as error:
        spwvd(tmp_path, "subject,label3\nana,normal\nben,varus\nxyz,normal\n")
    assert "2 problems" in str(error.value)
    assert "labels.csv:2" in str(error.value)
    assert "Did you mean `anna`?" in str(error.value)
    assert "labels.csv:4" in str(error.value)


def test_all_missing_files_of_a_table_are_reported_at_once_with_the_nearest_name(tmp_path):
    touch(tmp_path, "anna_left.mp4")
    (tmp_path / "t.csv").write_text("path\nanna-left.mp4\nother.mp4\n")
    with pytest.raises(InputError, match=r"(?s)2 problems.*t\.csv:2.*Did you mean `anna_left\.mp4`.*t\.csv:3"):
        layout_of("manifest").find(tmp_path / "t.csv", Options())


def cohort(videos) -> Manifest:
    subjects = [f"{number:03}" for number in range(1, 21)]
    labels = ["normal", "genu_varum", "genu_valgum", "normal"]
    clips = [
        videos.record(Path(f"/d/{subject}.mp4"), subject_id=subject, label=labels[number % 4])
        for number, subject in enumerate(subjects)
    ]
    return Manifest(Path("/d/manifest.parquet"), tuple(clips))


def split_file(path: Path, names: list[str]) -> Path:
    parts = ["train"] * 12 + ["val"] * 4 + ["test"] * 4
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("subject_id", "split"), *zip(names, parts, strict=True)])
    return path


@pytest.mark.parametrize("form", ["{:03}", "{}", "{}.0"])
def test_a_split_file_whose_zeros_a_spreadsheet_removed_gives_the_same_split(tmp_path, videos, form):
    manifest = cohort(videos)
    path = split_file(tmp_path / "split.csv", [form.format(number) for number in range(1, 21)])
    split = make_split(manifest, Data(split_file=path, unlabelled_train=0, unlabelled_val=0), 0)
    assert split.subjects("test") == ("017", "018", "019", "020")
    assert len(split.subjects("train")) == 12


def test_all_unknown_subjects_of_a_split_file_are_reported_at_once(tmp_path, videos):
    names = [f"{number}" for number in range(1, 19)] + ["98", "99"]
    path = split_file(tmp_path / "split.csv", names)
    with pytest.raises(InputError, match=r"(?s)2 problems.*split\.csv:20.*'98'.*split\.csv:21.*'99'"):
        make_split(cohort(videos), Data(split_file=path), 0)


def test_subjects_to_exclude_may_be_written_as_numbers_where_that_is_unambiguous(videos):
    manifest = cohort(videos)
    data = Data.model_validate(parse_yaml("exclude: [010, 7, '003']").value)
    kept = {clip.subject_id for clip in kept_clips(manifest, data)}
    assert {clip.subject_id for clip in manifest.clips} - kept == {"010", "007", "003"}


def test_a_number_that_fits_two_subjects_is_refused_with_both():
    names = Names(["01", "001", "2"])
    assert names.resolve("01") == "01"
    assert names.resolve("1") is None
    assert names.hint("1") == "Several names match: 001, 01."


def test_printed_yaml_lists_quote_what_yaml_would_not_read_as_the_same_text():
    names = ["s017", "010", "1e3", "yes", "null", "casia_b-001", "a: b", "1.0", "Zo\u00e9", "~", "0x1F", "a, b", ""]
    assert parse_yaml(f"exclude: {yaml_list(names, 20)}").value["exclude"] == names
    assert yaml_list(["s017", "010", "s3"], 2) == '[s017, "010", …]'


@pytest.mark.parametrize(("text", "number"), [("29,97", 29.97), ("29.97", 29.97), ("-0,5", -0.5), ("3,14159", 3.14159)])
def test_a_decimal_comma_is_read(text, number):
    assert Cell(Path("t.csv"), 2, "fps", text).number() == number


@pytest.mark.parametrize("read", ["number", "integer"])
def test_a_comma_before_three_digits_is_refused_as_ambiguous(read):
    with pytest.raises(InputError, match="must be a number"):
        getattr(Cell(Path("t.csv"), 2, "frames", "1,000"), read)()


MANIFEST = (
    "path,subject_id,clip_id,label,sex,age,view,condition,boxes\n"
    'a.mp4,001,a,normal,m,"5,5",0,nm-01,"[[0,1,2,3,4],[9,1,2,3,4]]"\n'
    "b.mp4,002,b,varus,f,6,180,,\n"
)
LABELS = "sep=;\nsubject;label3;sex;age;file\n1;normal;m;5,5;a.mp4\n2;varus;f;6;\n"


def mutated(text: bytes, rng: random.Random) -> bytes:
    """Bytes with one to four edits: replaced, inserted, removed, doubled or cut."""
    content = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content) or 1)
        token = rng.choice(
            [b"\x00", b"\xff", b'"', b",", b";", b"\n", b"\r", b"1e999", b"NaN", b"-1", b"\xc3", b"[", b"=1+1"]
        )
        kind = rng.randrange(5)
        if kind == 0:
            content[at : at + 1] = token
        elif kind == 1:
            content[at:at] = token
        elif kind == 2:
            del content[at : at + rng.randint(1, 9)]
        elif kind == 3:
            content[at:at] = content[at : at + rng.randint(1, 40)]
        else:
            content = content[: max(at, 1)]
    return bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "name", "text"), [("manifest", "t.csv", MANIFEST), ("spwvd", "labels.csv", LABELS)])
def test_three_hundred_mutated_tables_are_read_or_refused_in_words(tmp_path, layout, name, text):
    touch(tmp_path, "a.mp4", "b.mp4", "1.mp4", "2.mp4")
    rng = random.Random(17)
    refused = 0
    for _ in range(300):
        encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16", "cp1252"])
        (tmp_path / name).write_bytes(mutated(text.encode(encoding), rng))
        try:
            layout_of(layout).find(tmp_path / name if layout == "manifest" else tmp_path, Options())
        except InputError:
            refused += 1
    assert 30 < refused < 300
