import dataclasses
from pathlib import Path

import pytest

from agrm_study.study.errors import InputError
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.manifest import Manifest, read_manifest, write_manifest


@pytest.fixture
def clips(tmp_path: Path) -> list[ClipRecord]:
    rows = []
    for number, label in enumerate(("normal", "genu_varum", None)):
        path = tmp_path / "videos" / f"{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not read here")
        rows.append(
            ClipRecord(
                subject_id=f"00{number}", clip_id=f"clip, {number}", path=path, label=label, frames=20, fps=29.97,
                width=640, height=480, checksum=f"{number}" * 64, source="spwvd", sex="female" if label else None,
                age=4.5 if label else None, view=None if label else 180, hidden_label=None if label else "genu_valgum",
                site={0: "coast", 1: "north"}.get(number),
                boxes=((0, 1.0, 2.5, 30.0, 90.0), (19, 4.0, 2.5, 60.0, 180.0)) if label else None,
            )
        )  # fmt: skip
    return rows


def edit(path: Path, old: str, new: str, count: int = -1) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))
    return path


@pytest.mark.parametrize("name", ["manifest.parquet", "manifest.csv", ""])
def test_what_was_written_is_read_back_from_parquet_and_csv(clips, tmp_path, name):
    write_manifest(clips, tmp_path)
    manifest = read_manifest(tmp_path / name)
    assert manifest.clips == tuple(clips)
    assert [clip.clip_id for clip in manifest.labelled] == ["clip, 0", "clip, 1"]
    assert [clip.clip_id for clip in manifest.unlabelled] == ["clip, 2"]


def test_the_fingerprint_knows_content_and_not_place_or_order(clips, tmp_path):
    write_manifest(clips, tmp_path)
    moved = tmp_path / "elsewhere"
    (tmp_path / "videos").rename(tmp_path / "moved")
    moved.mkdir()
    (tmp_path / "moved").rename(moved / "videos")
    here = read_manifest(tmp_path, require_files=False)
    for name in ("manifest.parquet", "manifest.csv"):
        (tmp_path / name).rename(moved / name)
    there = read_manifest(moved)
    turned = type(there)(there.path, there.clips[::-1])
    fewer = there.select(["clip, 0"])
    assert here.fingerprint == there.fingerprint == turned.fingerprint
    assert fewer.fingerprint != there.fingerprint


def test_a_subject_has_one_site(clips, tmp_path):
    again = dataclasses.replace(clips[1], clip_id="again", site=None)
    write_manifest([*clips, again], tmp_path)
    assert read_manifest(tmp_path).site_of == {"000": "coast", "001": "north"}
    with pytest.raises(InputError) as error:
        write_manifest([*clips, dataclasses.replace(again, site="coast")], tmp_path)
    for word in ("`site`", "a subject must have one site", "001 has the site north in row 2", "coast"):
        assert word in str(error.value)


def test_a_manifest_without_sites_keeps_its_fingerprint():
    clips = tuple(
        ClipRecord(
            subject_id=f"s{i}", clip_id=f"c{i}", path=Path("/x"), label="normal" if i else None, frames=20, fps=25.0,
            width=64, height=48, checksum=str(i) * 64, source="spwvd", sex="female", age=5.5,
        )
        for i in range(2)
    )  # fmt: skip
    assert Manifest(Path("/m"), clips).fingerprint == "5bc3734bd84daeb2"  # of version 0.1.0
    placed = tuple(dataclasses.replace(clip, site="north") for clip in clips)
    assert Manifest(Path("/m"), placed).fingerprint != "5bc3734bd84daeb2"


def test_a_csv_saved_by_excel_reads_like_the_original(clips, tmp_path):
    plain = [dataclasses.replace(clip, clip_id=clip.subject_id, boxes=None) for clip in clips]
    write_manifest(plain, tmp_path)
    path = tmp_path / "manifest.csv"
    path.write_bytes(("\ufeff" + path.read_text().replace(",", ";").replace("\n", "\r\n")).encode())
    assert read_manifest(path).clips == tuple(plain)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("checksum", "checksumm", ["manifest.csv", "`checksum`", "missing", "Did you mean `checksumm`"]),
        ("genu_varum", "NORMAL", ["manifest.csv:3", "`label`", "NORMAL", "only in case", "row 2 has normal"]),
        ("genu_varum", "genu_\u200bvarum", ["manifest.csv:3", "`label`", "printable characters"]),
        ("genu_varum", "x" * 61, ["manifest.csv:3", "`label`", "at most 60 characters, has 61"]),
        (",20,", ",twenty,", ["manifest.csv:2", "`frames`", "twenty", "number"]),
        (",20,", ",20.5,", [":2", "`frames`", "must be an integer"]),
        ("29.97", "-3", [":2", "`fps`", "range"]),
        ("female", "f", [":2", "`sex`", "male, female"]),
        ("1" * 64, "1" * 63, [":3", "`checksum`", "64 hexadecimal"]),
        ("videos/1.mp4", "videos/9.mp4", [":3", "`path`", "does not exist", "9.mp4"]),
        ("[[0, 1.0", "[[0, 1.0, 5", [":2", "`boxes`"]),
        ("[19,", "[20,", [":2", "`boxes`", "at most 19"]),
        ("60.0, 180.0", "0.0, 180.0", [":2", "`boxes`", "positive"]),
        ("001,", "000,", [":3", "`label`", "one label"]),
        ("clip, 1", "clip, 0", [":3", "`clip_id`", "unique", "row 2"]),
        ("000,", ",", [":2", "`subject_id`", "empty"]),
        ("sex", "gender", ["`gender`", "unknown column"]),
        ("north", "Coast", [":3", "`site`", "only in case", "row 2 has coast"]),
        ("north", "n" * 61, [":3", "`site`", "at most 60 characters"]),
    ],
)
def test_each_broken_rule_is_told_with_its_place(clips, tmp_path, old, new, words):
    write_manifest(clips, tmp_path)
    path = edit(tmp_path / "manifest.csv", old, new, 1)
    with pytest.raises(InputError) as error:
        read_manifest(path)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("none.parquet", None, "does not exist"),
        ("none.csv", None, "does not exist"),
        ("a.parquet", b"PAR1 but no more", "not a readable Parquet"),
        ("a.csv", b"", "empty"),
        ("a.json", b"", ".parquet, .csv or .xlsx"),
        ("a.csv", b"subject_id,subject_id\n", "duplicate column"),
        ("a.csv", b"subject_id,label\n1,normal,3\n", "as many cells"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused_in_words(tmp_path, name, content, word):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=word):
        read_manifest(tmp_path / name)
