"""GAVD's published annotations, and clips named after its sequences."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from agrm_study.study.errors import InputError
from agrm_study.training.data.boxes import boxes_at, key_boxes
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.datasets.layout import Options, examine

HEADER = "seq,frame_num,cam_view,gait_event,dataset,gait_pat,bbox,vid_info,id,url\n"
FIRST = 165
"""Number of the first annotated frame in its online video."""


def row(seq: str, frame: int, *, view="front", kind="Normal Gait", pattern="normal", box=None, video="WpAr") -> str:
    box = {"top": 4.0, "left": 10.0, "height": 200.0, "width": 80.0} if box is None else box
    size = {"height": 256, "width": 512, "mime_type": "video/mp4"}
    return f'{seq},{frame},{view},,{kind},{pattern},"{box}","{size}",{video},https://www.example.org/watch?v={video}\n'


@pytest.fixture
def gavd(tmp_path: Path, videos) -> Path:
    """Three sequences of two online videos in two annotation files, and clips of a quarter of their size."""
    (tmp_path / "data").mkdir()
    moving = [
        row("cljxjv25j", FIRST + n, box={"top": 4.0 + n, "left": 2.0 * n, "height": 200.0, "width": 80.0})
        for n in range(30)
    ]
    (tmp_path / "data" / "GAVD_Clinical_Annotations_1.csv").write_text(HEADER + "".join(moving))
    others = [
        row("cljan9b4p", n, view="right side", kind="Abnormal Gait", pattern="parkinsons", video="B5hr")
        for n in range(1757, 1787)
    ]
    others += [row("cljaqrnsq", n, view="left side", pattern="exercise", kind="Abnormal Gait") for n in range(30)]
    others += [row("clabsent", n, view="back") for n in range(30)]
    (tmp_path / "data" / "GAVD_Clinical_Annotations_2.csv").write_text(HEADER + "".join(others))
    for name in ("normal/cljxjv25j.mp4", "abnormal/cljan9b4p.mp4", "abnormal/cljaqrnsq.mp4", "WpAr.mp4", "other.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        videos.write(tmp_path / name)
    return tmp_path


def test_sequences_have_their_class_pattern_view_and_online_video(gavd):
    survey = layout_of("gavd").survey(gavd, Options())
    assert [(c.clip_id, c.subject_id, c.label, c.condition, c.view) for c in survey.found] == [
        ("cljan9b4p", "B5hr", "abnormal", "parkinsons", 90),
        ("cljaqrnsq", "WpAr-abnormal", "abnormal", "exercise", -90),
        ("cljxjv25j", "WpAr-normal", "normal", "normal", 0),
    ]
    reasons = {Path(each.path).name: each.reason for each in survey.left_out}
    assert "must be cut into sequences" in reasons["WpAr.mp4"]
    assert "no sequence in the annotations" in reasons["other.mp4"]
    assert {"GAVD_Clinical_Annotations_1.csv", "GAVD_Clinical_Annotations_2.csv"} <= reasons.keys()
    assert "1 of 4 annotated sequences have no video in this folder" in survey.notes
    assert any("online videos that show both classes: 1" in note for note in survey.notes)


def test_boxes_begin_with_the_clip_and_have_its_size(gavd):
    found = layout_of("gavd").survey(gavd, Options()).found
    clips = {clip.clip_id: clip for clip in examine(found).clips}
    clip = clips["cljxjv25j"]
    assert len(clip.boxes) == 2  # the annotated boxes lie on a line
    n = np.arange(30)
    expected = np.stack([2.0 * n, 4.0 + n, np.full(30, 80.0), np.full(30, 200.0)], axis=1) / 4
    assert boxes_at(clip.boxes, n) == pytest.approx(expected)
    assert examine(found).notes == ()


def test_a_clip_of_another_length_than_its_annotations_is_noted(gavd, videos):
    videos.write(gavd / "normal" / "cljxjv25j.mp4", 20)
    examined = examine(layout_of("gavd").survey(gavd, Options()).found)
    (note,) = examined.notes
    assert note.endswith("20 frames; 30 are annotated, so boxes may be displaced")
    assert all(box[0] < 20 for clip in examined.clips if clip.clip_id == "cljxjv25j" for box in clip.boxes)


def test_folders_of_frames_are_sequences_too(gavd, videos):
    folder = gavd / "frames" / "clabsent"
    folder.mkdir(parents=True)
    for number in range(30):
        cv2.imwrite(str(folder / f"frame_{number}.jpg"), videos.frame(number))
    clips = layout_of("gavd").index(gavd, Options(fps=30.0))
    assert next((clip.clip_id, clip.fps, clip.view) for clip in clips) == ("clabsent", 30.0, 180)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (row("a", 1, kind="Odd"), r"\.csv:2: `dataset`: unknown class.*--label"),
        (row("a", 1) + row("a", 2, kind="Abnormal Gait"), r"\.csv:3: `dataset`: a sequence must have one class"),
        (row("a", "one"), r"\.csv:2: `frame_num`: must be a frame number"),
        (row("a", 1, box="[1, 2]"), r"\.csv:2: `bbox`: cannot be read"),
        (row("", 1), r"\.csv:2: `seq`: must not be empty"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_read_are_named(tmp_path, text, message):
    (tmp_path / "GAVD_Clinical_Annotations_1.csv").write_text(HEADER + text)
    (tmp_path / "a.mp4").write_bytes(b"a")
    with pytest.raises(InputError, match=message):
        layout_of("gavd").find(tmp_path, Options())


def test_a_folder_without_cut_clips_says_how_to_cut_them(tmp_path):
    (tmp_path / "GAVD_Clinical_Annotations_1.csv").write_text(HEADER + row("a", 1))
    (tmp_path / "WpAr.mp4").write_bytes(b"a")
    with pytest.raises(InputError, match="Cut each sequence into a separate file"):
        layout_of("gavd").find(tmp_path, Options())
    (tmp_path / "GAVD_Clinical_Annotations_1.csv").write_text("seq,frame_num\na,1\n")
    with pytest.raises(InputError, match="the columns cam_view, dataset"):
        layout_of("gavd").find(tmp_path, Options())


def test_key_boxes_reproduce_a_path_within_the_tolerance():
    rng = np.random.default_rng(0)
    frames = np.arange(200)
    knots = np.sort(rng.choice(frames[1:-1], 6, replace=False))
    sides = [np.interp(frames, [0, *knots, 199], rng.uniform(50, 400, 8)) for _ in range(4)]
    boxes = tuple((int(f), *(float(side[f]) for side in sides)) for f in frames)
    kept = key_boxes(boxes, 0.5)
    assert len(kept) <= 16
    assert np.abs(boxes_at(kept, frames) - np.stack(sides, axis=1)).max() <= 0.5
    assert key_boxes(boxes[:1], 0.5) == boxes[:1]
