"""`data index` never writes a manifest that its own reader refuses."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from agrm_study.cli.app import app
from agrm_study.study.errors import InputError
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.datasets.append import merge
from agrm_study.training.data.datasets.layout import Options
from agrm_study.training.data.manifest import read_manifest, write_manifest


@pytest.fixture
def clinic(tmp_path, videos) -> Path:
    """A folder data set with one normal child, whose video has 10 frames of 128 × 64."""
    (tmp_path / "clinic" / "normal").mkdir(parents=True)
    videos.write(tmp_path / "clinic" / "normal" / "a.mp4", 10)
    return tmp_path / "clinic"


def index(*words: object):
    return CliRunner().invoke(app, ["data", "index", *map(str, words), "--workers", "1"])


def test_appending_the_same_folder_again_changes_nothing_and_says_so(clinic, tmp_path):
    first = index("--layout", "folder", clinic, "--out", tmp_path / "m")
    assert first.exit_code == 0, first.output
    before = (tmp_path / "m" / "manifest.parquet").read_bytes()
    for _ in range(2):
        again = index("--layout", "folder", clinic, "--out", tmp_path / "m", "--append")
        assert again.exit_code == 0, again.output
        assert "nothing to add: every video is already in the manifest (1 video)" in again.output
    assert (tmp_path / "m" / "manifest.parquet").read_bytes() == before
    assert len(read_manifest(tmp_path / "m").clips) == 1


def test_appending_after_a_new_video_adds_only_that_one(clinic, tmp_path):
    index("--layout", "folder", clinic, "--out", tmp_path / "m")
    (clinic / "varus").mkdir()
    shutil.copy(clinic / "normal" / "a.mp4", clinic / "varus" / "b.mp4")
    done = index("--layout", "folder", clinic, "--out", tmp_path / "m", "--append")
    assert "1 added, 0 updated, 1 unchanged" in done.output
    assert [clip.subject_id for clip in read_manifest(tmp_path / "m").clips] == ["a", "b"]


def test_a_video_that_was_replaced_is_updated_by_append(videos):
    old = videos.record(Path("/d/a.mp4"), label="normal")
    merged = merge([old], [replace(old, frames=31)])
    assert [clip.frames for clip in merged.clips] == [31]
    assert (merged.added, merged.updated, merged.unchanged) == (0, 1, 0)


def test_appending_a_subject_with_another_label_is_refused_with_both_rows(videos):
    normal = videos.record(Path("/d/a.mp4"), subject_id="anna", label="normal")
    same_video = replace(normal, label="genu_varum")
    with pytest.raises(InputError, match=r"different label.*label normal.*label genu_varum"):
        merge([normal], [same_video])
    with pytest.raises(InputError, match=r"/d/b\.mp4.*one label; anna has the label normal in /d/a\.mp4.*genu_varum"):
        merge([normal], [replace(same_video, path=Path("/d/b.mp4"), clip_id="b")])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a.mp4,1,normal,720,,", [":2", "`view`", "720", "-360 to 360"]),
        ('a.mp4,1,normal,0,"[[999,0,0,10,10]]",', [":2", "`boxes`", "at most 9", "999"]),
        ('a.mp4,1,normal,0,"[[1e999,0,0,10,10]]",', [":2", "`boxes`"]),
        ("a.mp4,1,normal,,,720", [":2", "`age`", "at most 130"]),
        (
            "a.mp4,1,normal,,,\nb.mp4,1,varus,,,",
            [":3", "`label`", "genu_varum", "1 has the label normal in table.csv:2"],
        ),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused_and_nothing_is_replaced(clinic, tmp_path, rows, words):
    shutil.copy(clinic / "normal" / "a.mp4", tmp_path / "a.mp4")
    shutil.copy(clinic / "normal" / "a.mp4", tmp_path / "b.mp4")
    index("--layout", "folder", clinic, "--out", tmp_path / "m")
    before = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}
    (tmp_path / "table.csv").write_text(f"path,subject_id,label,view,boxes,age\n{rows}\n")
    with pytest.raises(InputError) as error:
        layout_of("manifest").index(tmp_path / "table.csv")
    for word in words:
        assert word in str(error.value)
    assert index("--layout", "manifest", tmp_path / "table.csv", "--out", tmp_path / "m").exit_code != 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"view": 720}, "number out of range"),
        ({"subject_id": " "}, "must not be empty"),
        ({"checksum": "12"}, "64 hexadecimal digits"),
        ({"fps": float("inf")}, "number out of range"),
        ({"boxes": ((30, 0.0, 0.0, 1.0, 1.0),)}, "frame numbers of boxes"),
        ({"path": Path("/d/\udcff.mp4")}, "valid UTF-8"),
    ],
)
def test_the_writer_refuses_what_the_reader_refuses_and_keeps_the_old_files(tmp_path, videos, changes, rule):
    good = videos.record(Path("/d/a.mp4"))
    write_manifest([good], tmp_path)
    with pytest.raises(InputError, match=rule):
        write_manifest([good, replace(good, **{"clip_id": "b", **changes})], tmp_path)
    assert read_manifest(tmp_path, require_files=False).clips == (good,)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.csv", "manifest.parquet"]


def test_boxes_of_an_unreadable_video_can_be_written_and_read(tmp_path, videos):
    clip = videos.record(Path("/d/a.mp4"), frames=0, boxes=((5, 0.0, 0.0, 1.0, 1.0),))
    assert read_manifest(write_manifest([clip], tmp_path), require_files=False).clips == (clip,)


def test_a_view_without_a_video_is_refused_with_the_views_that_exist(tmp_path):
    (tmp_path / "001-nm-01-000.avi").write_bytes(b"0")
    (tmp_path / "001-nm-01-018.avi").write_bytes(b"1")
    with pytest.raises(InputError, match=r"no video has this view; given 45; allowed: 0, 18"):
        layout_of("casia_b").find(tmp_path, Options(views=(0, 45)))


def test_a_view_is_refused_for_a_layout_without_views(clinic):
    with pytest.raises(InputError, match="the views of this data set are unknown"):
        layout_of("folder").find(clinic, Options(views=(0,)))


def test_appending_a_child_whose_name_differs_in_case_adds_to_that_child(videos):
    anna = videos.record(Path("/d/normal/anna.mp4"), subject_id="anna", source="folder", label="normal")
    again = replace(anna, path=Path("/d/normal/Anna/2.mp4"), clip_id="Anna-2", subject_id="Anna")
    merged = merge([anna], [again])
    assert [clip.subject_id for clip in merged.clips] == ["anna", "anna"]
    assert merge(merged.clips, [again]).unchanged == 1
    with pytest.raises(InputError, match="one label; anna has the label normal"):
        merge([anna], [replace(again, label="genu_varum")])


def test_boxes_of_every_frame_of_a_long_video_are_written_and_read_in_both_files(tmp_path, videos):
    boxes = tuple((frame, 100.123456, 100.123456, 50.123456, 90.123456) for frame in range(4000))
    clip = videos.record(Path("/d/a.mp4"), frames=4000, boxes=boxes)
    write_manifest([clip], tmp_path)
    assert read_manifest(tmp_path / "manifest.csv", require_files=False).clips == (clip,)
