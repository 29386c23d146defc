"""`data index` accounts for every file under a folder: included, left out with a reason, or unreadable."""

import json
import os
import re
import shutil
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner

from agrm_study.cli.app import app
from agrm_study.study.errors import InputError
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.datasets.layout import Options
from agrm_study.training.data.datasets.walk import walk
from agrm_study.training.data.manifest import read_manifest


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def taken(root: Path) -> list[str]:
    return [str(video.relative_to(root)) for video in walk(root).videos]


def left_out(root: Path) -> dict[str, str]:
    return {os.path.relpath(each.path, root): each.reason for each in walk(root).left_out}


def test_every_file_is_taken_left_out_or_unreadable_in_the_printed_counts_and_in_json(tmp_path, videos):
    data = touch(tmp_path / "d", "varus/broken.mp4", "normal/notes.txt", "normal/.trash/old.avi", "varus/@eaDir/b.mp4")
    videos.write(data / "normal" / "a.mp4", 5)
    done = CliRunner().invoke(
        app,
        ["data", "index", "--layout", "folder", str(data), "--out", str(tmp_path / "m"), "--workers", "1", "--json"],
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [Path(each["path"]).name for each in report["taken"]] == ["a.mp4"]
    assert {Path(each["path"]).name: each["reason"] for each in report["left_out"]} == {
        "notes.txt": "not a video (suffix .txt)", "old.avi": "hidden", "b.mp4": "in a system folder",
    }  # fmt: skip
    (broken,) = report["unreadable"]
    assert broken["path"].endswith("broken.mp4")
    assert broken["reason"]
    assert report["counts"]["left_out"] == 3
    assert "files: 1 indexed, 3 skipped, 1 unreadable" in done.stderr
    assert "skipped: 1 × hidden" in done.stderr
    files = [path for path in data.rglob("*") if path.is_file()]
    assert len(files) == len(report["taken"]) + len(report["left_out"]) + len(report["unreadable"])


def test_a_site_is_given_for_all_videos_and_a_child_of_two_sites_is_refused(tmp_path, videos):
    for site in ("north", "south"):
        (tmp_path / site / "normal").mkdir(parents=True)
        videos.write(tmp_path / site / "normal" / f"{site}.mp4", 5)
    (tmp_path / "other" / "normal" / "north").mkdir(parents=True)
    videos.write(tmp_path / "other" / "normal" / "north" / "visit2.mp4", 6)

    def index(folder: str, site: str, *more: str):
        words = ["data", "index", "--layout", "folder", str(tmp_path / folder), "--site", site, "--workers", "1"]
        return CliRunner().invoke(app, [*words, "--out", str(tmp_path / "m"), *more])

    assert index("north", "North").exit_code == 0
    assert index("south", " South ", "--append").exit_code == 0
    assert read_manifest(tmp_path / "m").site_of == {"north": "North", "south": "South"}
    refused = index("other", "East", "--append")
    assert refused.exit_code != 0
    for word in ("a subject must have one site", "north has the site North"):
        assert word in str(refused.exception)
    assert "`--site`" in str(index("north", " ").exception)


def test_a_file_that_is_shorter_than_it_states_is_noted_when_it_is_indexed(tmp_path, videos):
    data = touch(tmp_path / "d", "normal/x.txt")
    whole = videos.write(tmp_path / "a.avi", 60, codec="mpeg4", size=(160, 120))
    (data / "normal" / "a.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    done = CliRunner().invoke(
        app, ["data", "index", "--layout", "folder", str(data), "--out", str(tmp_path / "m"), "--workers", "1"]
    )
    assert done.exit_code == 0, done.output
    assert re.search(r"a\.avi: truncated: only \d+ of 60 frames are present", done.stderr)


def test_a_named_pipe_is_left_out_and_not_waited_for(tmp_path):
    data = touch(tmp_path, "normal/b.mp4")
    os.mkfifo(data / "normal" / "a.mp4")
    assert left_out(data) == {"normal/a.mp4": "not a regular file"}
    assert taken(data) == ["normal/b.mp4"]


def test_a_class_folder_that_is_a_link_is_followed(tmp_path):
    touch(tmp_path / "real" / "normal", "a.mp4")
    data = touch(tmp_path / "data", "genu_varum/c.avi")
    (data / "normal").symlink_to("../real/normal")
    assert taken(data) == ["genu_varum/c.avi", "normal/a.mp4"]
    assert [each.label for each in layout_of("folder").find(data, Options())] == ["normal", "genu_varum"]


def test_each_folder_is_read_once_and_cycles_end(tmp_path):
    data = touch(tmp_path / "d", "b/1.mp4")
    (data / "a").symlink_to("b")
    (data / "b" / "up").symlink_to("..")
    (data / "b" / "out").symlink_to(tmp_path)
    (data / "gone.mp4").symlink_to("nowhere")
    (data / "self.mp4").symlink_to("self.mp4")
    assert taken(data) == ["b/1.mp4"]
    reasons = left_out(data)
    assert reasons["a"] == reasons["b/up"] == "a link to a folder that has already been read"
    assert reasons["b/out"] == "a link to a folder that contains this data set"
    assert reasons["gone.mp4"] == "a link to a file that does not exist"
    assert "self.mp4" in reasons


def test_a_link_into_a_hidden_folder_of_the_same_tree_is_followed(tmp_path):
    data = touch(tmp_path / "d", ".store/1.mp4")
    (data / "normal").symlink_to(".store")
    assert taken(data) == ["normal/1.mp4"]
    assert left_out(data) == {".store/1.mp4": "hidden"}


@pytest.mark.parametrize("suffix", ["3gp", "m2ts", "vob", "asf", "MTS", "ogv", "mxf", "rmvb", "mj2", "divx", "mpv"])
def test_any_suffix_of_a_video_is_taken(tmp_path, suffix):
    assert taken(touch(tmp_path, f"a.{suffix}", "b.mp4")) == [f"a.{suffix}", "b.mp4"]


@pytest.mark.parametrize("suffix", ["txt", "csv", "jpg", "gif", "wav", "mp3", "srt", "pdf"])
def test_tables_pictures_and_sound_are_left_out_by_name(tmp_path, suffix):
    assert left_out(touch(tmp_path, f"a.{suffix}")) == {f"a.{suffix}": f"not a video (suffix .{suffix})"}


@pytest.mark.parametrize(
    "folder", ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", ".trash", ".git"]
)
def test_hidden_and_system_folders_are_left_out_with_all_their_files(tmp_path, folder):
    touch(tmp_path, "normal/a.mp4", f"normal/{folder}/deep/b.mp4", f"{folder}/c.mp4")
    assert taken(tmp_path) == ["normal/a.mp4"]
    assert len(left_out(tmp_path)) == 2


def test_names_that_differ_in_case_or_unicode_form_are_one_child(tmp_path):
    touch(tmp_path, "normal/anna.mp4", "normal/Anna/2.mp4", "varus/Zo\u00e9/1.mp4", "varus/Zoe\u0301/2.mp4")
    survey = layout_of("folder").survey(tmp_path, Options())
    subjects = {each.clip_id: each.subject_id for each in survey.found}
    assert subjects["anna"] == subjects["Anna-2"]
    assert len(set(subjects.values())) == 2
    assert any("Anna" in note and "one subject" in note for note in survey.notes)


def test_one_child_with_two_labels_is_refused_whatever_the_case_of_the_name(tmp_path):
    touch(tmp_path, "normal/anna.mp4", "genu_varum/Anna.mp4")
    with pytest.raises(InputError, match=r"two class folders.*Anna\.mp4.*rename one"):
        layout_of("folder").find(tmp_path, Options())


@pytest.mark.parametrize(("in_table", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_labels_match_file_names_of_another_unicode_form(tmp_path, in_table, on_disk):
    touch(tmp_path, unicodedata.normalize(on_disk, "Zo\u00e9.mp4"))
    (tmp_path / "labels.csv").write_text(unicodedata.normalize(in_table, "subject,label3\nZo\u00e9,normal\n"))
    assert [each.label for each in layout_of("spwvd").find(tmp_path, Options())] == ["normal"]


def test_an_undecodable_file_name_is_named_and_left_out(tmp_path, videos):
    data = tmp_path / "d"
    (data / "normal").mkdir(parents=True)
    videos.write(data / "normal" / "a.mp4", 5)
    shutil.copy(data / "normal" / "a.mp4", os.fsencode(data) + b"/normal/\xff.mp4")
    done = CliRunner().invoke(
        app,
        ["data", "index", "--layout", "folder", str(data), "--out", str(tmp_path / "m"), "--workers", "1", "--json"],
    )
    assert done.exit_code == 0, done.output
    (each,) = json.loads(done.stdout)["left_out"]
    assert each["path"].endswith(r"normal/\xff.mp4")
    assert each["reason"] == "the name is not valid UTF-8"


def test_a_folder_with_an_undecodable_name_is_refused_in_words(tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    Path(folder).mkdir()
    with pytest.raises(InputError, match=r"\\xff: the name of the folder must be valid UTF-8"):
        walk(Path(folder))


def test_a_table_of_labels_is_refused_for_a_layout_that_would_ignore_it(tmp_path):
    touch(tmp_path, "normal/a.mp4", "labels.csv")
    words = [
        "--layout",
        "folder",
        str(tmp_path),
        "--out",
        str(tmp_path / "m"),
        "--labels",
        str(tmp_path / "labels.csv"),
    ]
    done = CliRunner().invoke(app, ["data", "index", *words])
    assert isinstance(done.exception, InputError)
    assert "`--labels`: this layout does not read labels from a separate file" in str(done.exception)
