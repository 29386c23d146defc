import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from agrm_study.study.recipe import Clip
from agrm_study.training.data.background import estimate_boxes
from agrm_study.training.data.boxes import boxes_at, crop_square, smooth, square_windows
from agrm_study.training.data.check import KINDS, check_manifest
from agrm_study.training.data.decoding import VideoError, read_info
from agrm_study.training.data.drawing import BLUE, GREEN, ORANGE, PINK, RED
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.pictures import draw_pictures, spread
from agrm_study.training.data.seen import person_boxes, share_inside, square_in_testing, stored_region
from agrm_study.training.data.store.frames import kept_frames, stored_frames
from agrm_study.training.data.store.ingest import file_checksum

CLIP = Clip(frames=16, fps=25.0, resize=64, size=48)
SQUARE = {"cut_off", "narrow"}
"""Findings about the network's square, which covers little of the frames of 128 x 64 pixels."""


def scene(number: int, *, width: int = 160, height: int = 120, moving: bool = True) -> np.ndarray:
    """A textured room, in which somebody comes nearer: 10 + n pixels wide, three times as tall, feet going down."""
    y, x = np.mgrid[:height, :width]
    frame = np.stack([90 + x // 4, 110 + y // 4, 100 + (x + y) // 8], axis=2).astype(np.uint8)
    if moving:
        tall, middle, feet = 30 + number, 60 + number, 70 + number
        frame[feet - tall : feet, middle - tall // 6 : middle + tall // 6] = (20, 30, 160)
    noise = np.random.default_rng(number).normal(0, 2, frame.shape)
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def report(tmp_path_factory, videos):
    folder = tmp_path_factory.mktemp("checked")

    def path(name: str, **how: object) -> Path:
        return videos.write(folder / name, **how)

    good = videos.record(path("good.mp4"), label="normal")
    twin = dataclasses.replace(good, clip_id="twin", subject_id="somebody else")
    again = dataclasses.replace(good, clip_id="again")
    cut = path("cut.avi", codec="mpeg4", size=(320, 240))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 7 // 10])
    empty = folder / "empty.mp4"
    empty.write_bytes(b"")
    junk = folder / "junk.mp4"
    junk.write_bytes(b"junk" * 99)
    changed = videos.record(path("changed.mp4", gop=4), label="normal")
    videos.write(changed.path, gop=3)
    pts = [n if n < 15 else 15 + 3 * (n - 15) for n in range(30)]
    variable = path("variable.mp4", pts=pts)
    clips = (
        good, twin, again, changed,
        videos.record(cut, label="normal", width=320, height=240),
        dataclasses.replace(videos.record(empty, frames=0, fps=0.0, width=0, height=0), checksum=file_checksum(empty)),
        videos.record(junk, frames=0, fps=0.0, width=0, height=0, label="normal"),
        videos.record(folder / "gone.mp4", label="normal"),
        videos.record(variable, label="normal", fps=read_info(variable).fps),
        videos.record(path("turned.mp4", rotation=90), label="normal", width=64, height=96),
        videos.record(path("odd.avi", codec="mjpeg", pix_fmt="yuvj444p", size=(97, 65)), width=97, height=65),
        videos.record(path("short.mp4", frames=9), frames=9, label="normal"),
        videos.record(path("slow.mp4", gop=7), fps=20.0, label="normal"),
    )  # fmt: skip
    whole = videos.write(folder / "whole.mp4", 120, gop=50)
    edited = videos.record(videos.remux(whole, folder / "edited.mp4", shift=-33), frames=87, label="normal")
    steps: list[tuple[int, int]] = []
    manifest = Manifest(folder / "manifest.csv", (*clips, edited))
    found = check_manifest(manifest, CLIP, workers=2, on_progress=lambda *step: steps.append(step))
    assert steps == [(done, 14) for done in range(1, 15)]
    return found


@pytest.mark.parametrize(
    ("clip_id", "kinds"),
    [
        ("good", set()),
        ("twin", {"duplicate"}),
        ("again", {"repeated"}),
        ("changed", {"changed"}),
        ("cut", {"truncated"}),
        ("empty", {"zero_length", "label_less"}),
        ("junk", {"unreadable"}),
        ("gone", {"missing"}),
        ("variable", {"variable_rate"}),
        ("turned", {"rotated"}),
        ("odd", {"odd_size", "label_less"}),
        ("short", {"too_short"}),
        ("slow", {"restated_rate"}),
        ("edited", {"edit_list"}),
    ],
)
def test_each_damage_is_found_and_nothing_else(report, clip_id, kinds):
    found = {finding.kind for finding in report.findings if finding.clip_id == clip_id}
    assert found - SQUARE == kinds


def test_the_report_says_what_would_stop_a_study_first_and_is_plain_json(report):
    assert report.stops
    severities = [finding.severity for finding in report.findings]
    assert severities == sorted(severities, key=lambda each: each != "stops")
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["counts"]["truncated"] == 1
    assert plain["clips"] == 14
    assert set(plain["counts"]) <= set(KINDS)


def test_a_sound_set_has_no_findings(tmp_path, videos):
    clip = videos.record(videos.write(tmp_path / "a.mp4", size=(64, 64)), width=64, label="normal")
    report = check_manifest(Manifest(tmp_path / "m", (clip,)), Clip(fps=25.0, resize=64, size=64))
    assert (report.findings, report.stops) == ((), False)


def test_a_frame_too_small_for_the_network_is_found(tmp_path, videos):
    clip = videos.record(videos.write(tmp_path / "a.mp4"), label="normal")
    report = check_manifest(Manifest(tmp_path / "m", (clip,)), Clip(frames=8, crop="raw", resize=112, size=112))
    assert [finding.kind for finding in report.findings] == ["too_small"]


def test_somebody_who_walks_towards_a_fixed_camera_is_found_without_boxes(tmp_path, videos):
    path = videos.write(tmp_path / "w.mp4", 40, size=(160, 120), draw=scene)
    record = videos.record(path, frames=40, width=160, height=120)
    boxes = boxes_at(estimate_boxes(record, read_info(path)), np.arange(5, 35))
    number = np.arange(5, 35)
    assert boxes[:, 0] + boxes[:, 2] / 2 == pytest.approx(60 + number, abs=4)
    assert boxes[:, 1] + boxes[:, 3] == pytest.approx(70 + number, abs=6)
    assert boxes[:, 3] == pytest.approx(30 + number, abs=10)


def test_an_empty_room_has_no_boxes_and_says_so(tmp_path, videos):
    path = videos.write(tmp_path / "w.mp4", 30, size=(160, 120), draw=lambda n: scene(n, moving=False))
    record = videos.record(path, width=160, height=120)
    with pytest.raises(VideoError, match="no walker"):
        estimate_boxes(record, read_info(path))


def test_boxes_are_linear_between_keys_and_constant_outside():
    keys = ((10, 0.0, 0.0, 10.0, 20.0), (20, 100.0, 50.0, 20.0, 40.0))
    boxes = boxes_at(keys, np.array([0, 10, 15, 20, 30]))
    assert boxes.tolist() == [[0, 0, 10, 20], [0, 0, 10, 20], [50, 25, 15, 30], [100, 50, 20, 40], [100, 50, 20, 40]]


def test_a_window_is_a_tenth_larger_than_the_box_and_legs_are_its_lower_half():
    keys = ((0, 40.0, 20.0, 30.0, 100.0),)
    frames = np.arange(8)
    assert square_windows(keys, frames, 12.5)[3] == pytest.approx([55, 70, 110])
    assert square_windows(keys, frames, 12.5, "legs")[3] == pytest.approx([55, 95, 55])


def test_smoothing_leaves_a_steady_walk_alone_and_calms_a_jitter():
    steady = np.outer(np.arange(50.0), [1.0, -2.0])
    assert smooth(steady, 5.0) == pytest.approx(steady)
    jitter = np.random.default_rng(0).normal(size=(2000, 1))
    # A Gaussian of σ samples divides the standard deviation of white noise by √(2σ√π).
    assert smooth(jitter, 5.0).std() == pytest.approx(1 / np.sqrt(2 * 5.0 * np.sqrt(np.pi)), rel=0.15)


def test_a_crop_beyond_the_edge_repeats_it_and_its_size_is_the_one_asked_for():
    frame = np.zeros((40, 60, 3), np.uint8)
    frame[:, :30] = 200
    assert (crop_square(frame, 0.0, 20.0, 20.0, 8) == 200).all()
    assert (crop_square(frame, 500.0, -500.0, 20.0, 8) == 0).all()
    assert crop_square(frame, 30.0, 20.0, 200.0, 16).shape == (16, 16, 3)


@pytest.mark.parametrize("crop", ["resize", "raw", "person_box"])
def test_pictures_show_the_video_and_what_is_stored(tmp_path, videos, crop):
    path = videos.write(tmp_path / "w.mp4", 40, size=(160, 120), draw=scene)
    record = videos.record(path, "a/b", frames=40, width=160, height=120, label="normal")
    unread = dataclasses.replace(record, clip_id="unread", frames=0)
    clip = Clip(fps=25.0, crop=crop, resize=64, size=48)
    sheets = draw_pictures(Manifest(tmp_path / "m", (record, unread)), clip, tmp_path / "out")
    assert [sheet.name for sheet in sheets] == ["a_b.jpg"]
    picture = cv2.imread(str(sheets[0]))
    for colour in (ORANGE, GREEN, BLUE, PINK):
        assert shows(picture[-4 * 184 :], colour), colour


def shows(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(picture.astype(int) - colour).max(axis=2) < 40).any())


def upright(number: int) -> np.ndarray:
    """A portrait video of a person who fills its whole height."""
    y, x = np.mgrid[:160, :90]
    frame = np.stack([90 + x // 2, 100 + y // 4, 110 + (x + y) // 8], axis=2).astype(np.uint8)
    frame[2:158, 25 + number % 8 : 50 + number % 8] = (200, 40, 30)
    return frame


@pytest.mark.parametrize("crop", ["resize", "raw", "person_box"])
def test_a_person_whom_the_test_square_cuts_off_is_noted_with_the_share_that_is_inside(tmp_path, videos, crop):
    box = (0, 20.0, 2.0, 40.0, 156.0)
    path = videos.write(tmp_path / "w.mp4", size=(90, 160), draw=upright)
    record = videos.record(path, width=90, height=160, label="normal", boxes=(box,))
    clip = Clip(fps=25.0, crop=crop, resize=64, size=48)
    info, kept = read_info(path), np.arange(30)
    # The share by counting pixels of a mask that takes the same way as the frames.
    mask = np.zeros((160, 90), np.uint8)
    mask[2:158, 20:60] = 1
    if crop == "resize":
        mask = cv2.resize(mask, (640, 1140), interpolation=cv2.INTER_NEAREST)
        inside = mask[(1140 - 480) // 2 :][:480, (640 - 480) // 2 :][:, :480]
    elif crop == "raw":
        inside = mask[48:112, 13:77][8:56, 8:56]
    else:  # a window of 1.1 times the box's height; the network sees 48 of its 64 pixels
        side, middle = 1.1 * 156 * 48 / 64, 80
        inside = mask[round(middle - side / 2) : round(middle + side / 2)]
    expected = inside.sum() / mask.sum()
    assert (kept_frames(record, info, clip) == kept).all()
    region = stored_region(record, clip, kept, record.boxes)
    assert next(stored_frames(record, info, clip)).shape[2:] == (region.height, region.width)
    square = square_in_testing(region.height, region.width, clip.size)
    person = region.to_stored(person_boxes(record.boxes, kept, clip))
    assert share_inside(person, square) == pytest.approx(expected, abs=0.02)
    (finding,) = check_manifest(Manifest(tmp_path / "m", (record,)), clip).findings
    assert (finding.kind, finding.severity) == ("cut_off", "note")
    assert f"{share_inside(person, square):.0%} of the person according to the manifest's boxes" in finding.message
    if crop == "resize":
        assert "covers 48 of 114 rows and 48 of 64 columns" in finding.message
    (sheet,) = draw_pictures(Manifest(tmp_path / "m", (record,)), clip, tmp_path / "out")
    assert shows(cv2.imread(str(sheet))[-5 * 184 :][: 184 + 20], RED)


def test_a_portrait_video_is_noted_without_boxes_too(tmp_path, videos):
    walker = videos.record(
        videos.write(tmp_path / "w.mp4", 40, size=(90, 160), draw=upright), width=90, height=160, frames=40
    )
    still = videos.record(
        videos.write(tmp_path / "s.mp4", 40, size=(90, 160), draw=lambda _: upright(0)), width=90, height=160, frames=40
    )
    found = check_manifest(Manifest(tmp_path / "m", (walker, still)), Clip(fps=25.0, resize=64, size=48)).findings
    assert [(finding.clip_id, finding.kind) for finding in found] == [("w", "cut_off"), ("s", "narrow")]
    assert "according to boxes estimated from motion" in found[0].message
    assert "48 of 114 rows" in found[1].message


def test_pictures_are_spread_over_labels_and_sources(videos):
    clips = [
        videos.record(Path(f"/{label}{n}.mp4"), label=label, source=source)
        for label, source in (("normal", "a"), ("genu_varum", "a"), (None, "b"))
        for n in range(10)
    ]
    chosen = spread(Manifest(Path("/m"), tuple(clips)), 6)
    assert sorted((clip.source, clip.label or "") for clip in chosen) == [
        ("a", "genu_varum"), ("a", "genu_varum"), ("a", "normal"), ("a", "normal"), ("b", ""), ("b", ""),
    ]  # fmt: skip
