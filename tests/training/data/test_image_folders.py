"""Folders of numbered images are read as videos: in order of number, at the stated rate, with one size."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from agrm_study.cli.app import app
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip
from agrm_study.training.data.check import check_manifest
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.datasets.layout import Options
from agrm_study.training.data.datasets.walk import NUMBERED, walk
from agrm_study.training.data.decoding import VideoError, decode, read_info
from agrm_study.training.data.decoding.images import number_of, numbered_images
from agrm_study.training.data.manifest import Manifest, read_manifest
from agrm_study.training.data.pictures import draw_pictures
from agrm_study.training.data.store import ClipStore, build_store
from agrm_study.training.data.store.problems import BadVideos

CLIP = Clip(fps=25.0, frames=4, resize=64, size=48)


def write_images(folder: Path, numbers: list[int], frame, *, name: str = "{}.png", size=(128, 64)) -> Path:
    """Images that carry their own number, as `numbered_frame` draws it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        cv2.imwrite(str(folder / name.format(number)), frame(number, *size)[:, :, ::-1])
    return folder


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("1.png", 1), ("0010.JPG", 10), ("frame_12.jpeg", 12), ("001-nm-01-000-017.png", 17), ("left3_rgb.tif", 3),
        ("cover.png", None), ("12.txt", None), ("12", None),
    ],
)  # fmt: skip
def test_the_number_of_an_image_is_the_last_one_in_its_name(name, number):
    assert number_of(name) == number


def test_images_are_read_by_number_not_by_name(tmp_path, videos):
    numbers = list(range(8, 13))
    folder = write_images(tmp_path / "walk", numbers, videos.frame, name="frame{}.png")
    assert [path.name for path in numbered_images(folder)] == [f"frame{number}.png" for number in numbers]
    info = read_info(folder)
    assert (info.frames, info.width, info.height, info.absent) == (5, 128, 64, 0)
    assert videos.numbers(decode(folder)) == numbers
    assert videos.numbers(decode(folder, [4, 0], 64, 32)) == [12, 8]


def test_absent_numbers_leave_a_gap_in_time_and_are_reported(tmp_path, videos):
    numbers = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]
    write_images(tmp_path / "d" / "normal" / "s1", numbers, videos.frame, name="{:04d}.png")
    done = CliRunner().invoke(
        app,
        ["data", "index", "--layout", "folder", str(tmp_path / "d"), "--fps", "50", "--out", str(tmp_path / "m")],
    )
    assert done.exit_code == 0, done.output
    assert "s1: 4 of 16 numbered images are missing" in done.stderr
    manifest = read_manifest(tmp_path / "m")
    (clip,) = manifest.clips
    assert (clip.frames, clip.subject_id, clip.label) == (12, "s1", "normal")
    assert clip.fps == pytest.approx(11 / (15 / 50))  # frames - 1, divided by the time of the last one
    # At 25 frames per second, the store keeps every second number; those of the gap are the nearest image.
    store = ClipStore.open(build_store(manifest, CLIP, tmp_path / "stores"))
    assert videos.numbers(store.clip(0).transpose(0, 2, 3, 1)) == [0, 2, 4, 5, 10, 10, 12, 14]
    findings = {finding.kind: finding.message for finding in check_manifest(manifest, CLIP).findings}
    assert findings["gaps"] == "4 of 16 numbers are missing"
    assert findings.keys() <= {"gaps", "narrow", "cut_off"}
    assert draw_pictures(manifest, CLIP, tmp_path / "pictures")


def test_images_are_left_out_with_the_remedy_unless_a_frame_rate_is_given(tmp_path, videos):
    data = tmp_path / "d"
    write_images(data / "normal" / "s1", [1, 2, 3], videos.frame)
    (data / "normal" / "s1" / "notes.txt").write_text("a")
    with pytest.raises(InputError, match="--fps"):
        layout_of("folder").index(data)
    videos.write(data / "normal" / "s2.mp4")
    (clip,) = layout_of("folder").index(data)
    assert clip.clip_id == "s2"
    assert sorted(each.reason for each in walk(data).left_out) == [*[NUMBERED] * 3, "not a video (suffix .txt)"]
    read = layout_of("folder").index(data, Options(fps=12.5))
    assert [(clip.clip_id, clip.fps) for clip in read] == [("s1", 12.5), ("s2", 25.0)]
    assert [each.reason for each in walk(data, images=True).left_out] == ["not a video (suffix .txt)"]


def test_pictures_beside_a_video_are_no_video(tmp_path, videos):
    write_images(tmp_path / "normal", [1, 2], videos.frame)
    videos.write(tmp_path / "normal" / "1.mp4")
    tree = walk(tmp_path, images=True)
    assert [path.name for path in tree.videos] == ["1.mp4"]
    assert {each.reason for each in tree.left_out} == {"not a video (suffix .png)"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda d: cv2.imwrite(str(d / "2.png"), np.zeros((64, 96, 3), np.uint8)),
            "different sizes: 1.png is 128x64, 2",
        ),
        (lambda d: cv2.imwrite(str(d / "02.png"), np.zeros((64, 128, 3), np.uint8)), "two images have the number 2"),
        (lambda d: cv2.imwrite(str(d / "depth4.png"), np.zeros((64, 128, 3), np.uint8)), "different series"),
        (lambda d: cv2.imwrite(str(d / "cover.png"), np.zeros((64, 128, 3), np.uint8)), "cover.png has no number"),
        (lambda d: (d / "2.png").write_bytes(b"no picture"), "2.png is not an image"),
        (lambda d: (d / "2.png").write_bytes(b""), "2.png is not an image"),
    ],
)
def test_a_folder_that_is_no_single_series_of_one_size_is_unreadable_with_the_reason(tmp_path, videos, spoil, message):
    folder = write_images(tmp_path / "w", [1, 2, 3], videos.frame)
    spoil(folder)
    with pytest.raises(VideoError, match=message):
        read_info(folder)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image_stops_the_study(tmp_path, videos, suffix):
    folder = write_images(tmp_path / "d" / "normal" / "w", [1, 2, 3], videos.frame, name="{}" + suffix)
    path = folder / f"2{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    records = layout_of("folder").index(tmp_path / "d", Options(fps=25.0))
    with pytest.raises(VideoError, match=f"2{suffix} cannot be decoded"):
        decode(folder)
    findings = check_manifest(Manifest(tmp_path / "m", tuple(records)), CLIP).findings
    assert [each.kind for each in findings if each.severity == "stops"] == ["unreadable"]


def test_images_of_16_bits_are_refused(tmp_path):
    for number in (1, 2):
        Image.fromarray(np.full((64, 128), 40_000, np.uint16)).save(tmp_path / f"{number}.png")
    with pytest.raises(VideoError, match="8 bits"):
        decode(tmp_path)


def test_images_are_shown_as_their_orientation_states(tmp_path):
    upright = np.zeros((30, 20, 3), np.uint8)
    upright[:10] = (250, 0, 0)
    for number in (1, 2):
        exif = Image.Exif()
        exif[0x0112] = 6  # stored turned by 90 degrees counter-clockwise
        Image.fromarray(np.rot90(upright)).save(tmp_path / f"{number}.png", exif=exif)
    info = read_info(tmp_path)
    assert (info.width, info.height) == (20, 30)
    assert (decode(tmp_path)[0] == upright).all()


def test_an_image_that_was_replaced_is_noticed(tmp_path, videos):
    folder = write_images(tmp_path / "d" / "normal" / "w", list(range(8)), videos.frame)
    clips = tuple(layout_of("folder").index(tmp_path / "d", Options(fps=25.0)))
    manifest = Manifest(tmp_path / "m", clips)
    store = build_store(manifest, CLIP, tmp_path / "stores")
    assert build_store(manifest, CLIP, tmp_path / "stores") == store
    cv2.imwrite(str(folder / "3.png"), videos.frame(100)[:, :, ::-1])
    with pytest.raises(BadVideos, match="changed"):
        build_store(manifest, CLIP, tmp_path / "stores")
    again = dataclasses.replace(
        clips[0], checksum=layout_of("folder").index(tmp_path / "d", Options(fps=25.0))[0].checksum
    )
    assert again.checksum != clips[0].checksum


def test_silhouettes_of_casia_b_lie_in_folders_by_subject_condition_and_view(tmp_path, videos):
    write_images(tmp_path / "001" / "nm-01" / "090", [1, 2], videos.frame, name="001-nm-01-090-{:03d}.png")
    write_images(tmp_path / "002-cl-02-180", [1, 2], videos.frame, name="{:03d}.png")
    one, two = layout_of("casia_b").find(tmp_path, Options(fps=25.0))
    assert (one.clip_id, one.subject_id, one.view, one.condition) == ("001-nm-01-090", "casia_b-001", 90, "nm-01")
    assert (two.clip_id, two.view) == ("002-cl-02-180", 180)


def test_a_table_names_folders_of_images(tmp_path, videos):
    write_images(tmp_path / "walk", [1, 2, 3], videos.frame)
    (tmp_path / "t.csv").write_text("path,subject_id,label\nwalk,7,varus\n")
    (clip,) = layout_of("manifest").index(tmp_path / "t.csv", Options(fps=20.0))
    assert (clip.frames, clip.fps, clip.subject_id, clip.clip_id) == (3, 20.0, "7", "walk")
