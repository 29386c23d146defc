"""Choice of the video stream, pixel aspect ratio, still images, and files that are shorter than they state."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from agrm_study.export.video import video_frames
from agrm_study.study.recipe import Clip
from agrm_study.training.data.check import check_file
from agrm_study.training.data.decoding import VideoError, read_frames, read_info
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.store.frames import stored_frames
from agrm_study.training.data.store.ingest import verified
from agrm_study.training.data.store.problems import manifest_problems

CLIP = Clip(frames=8, fps=25.0, resize=64, size=48)


def write_streams(path: Path, videos, streams: list[dict]) -> Path:
    """A file with several H.264 or picture streams; `size`, `frames`, `codec` and `default` of each."""
    with av.open(str(path), "w") as container:
        made = []
        for each in streams:
            stream = container.add_stream(each.get("codec", "libx264"), rate=25)
            stream.width, stream.height = each["size"]
            stream.pix_fmt = "yuvj420p" if each.get("codec") == "mjpeg" else "yuv420p"
            if aspect := each.get("aspect"):
                stream.codec_context.sample_aspect_ratio = aspect
            disposition = each.get("disposition", "default" if each.get("default") else None)
            if disposition:
                stream.disposition = av.stream.Disposition[disposition]
            made.append(stream)
        for number in range(max(each["frames"] for each in streams)):
            for stream, each in zip(made, streams, strict=True):
                if number < each["frames"]:
                    shift = each.get("shift", 0)
                    frame = av.VideoFrame.from_ndarray(videos.frame(number + shift, *each["size"]), format="rgb24")
                    frame.pts, frame.time_base = number, Fraction(1, 25)
                    container.mux(stream.encode(frame))
        for stream in made:
            container.mux(stream.encode())
    return path


def pixels(path: Path) -> np.ndarray:
    info = read_info(path)
    return np.concatenate(list(read_frames(path, info, range(info.frames), info.width, info.height)))


SMALL = {"size": (96, 64), "frames": 20}
LARGE = {"size": (320, 240), "frames": 30, "shift": 100}
COVER = {"size": (64, 64), "frames": 1, "codec": "mjpeg"}


@pytest.mark.parametrize(
    ("streams", "size", "first"),
    [
        ([SMALL | {"default": True}, LARGE], (96, 64), 0),
        ([SMALL, LARGE | {"default": True}], (320, 240), 100),
        ([COVER, LARGE], (320, 240), 100),
        ([COVER | {"default": True}, SMALL], (96, 64), 0),
    ],
)
def test_facts_and_pixels_come_from_the_default_stream_that_moves(streams, size, first, tmp_path, videos):
    path = write_streams(tmp_path / "video.mkv", videos, streams)
    info = read_info(path)
    frames = pixels(path)
    assert (info.width, info.height) == size
    assert videos.numbers(frames) == list(range(first, first + info.frames))


def test_a_cover_picture_in_an_mp4_is_not_the_clip(tmp_path, videos):
    streams = [COVER | {"disposition": "attached_pic"}, SMALL | {"default": True}]
    path = write_streams(tmp_path / "cover.mp4", videos, streams)
    assert videos.numbers(pixels(path)) == list(range(20))


@pytest.mark.parametrize("name", ["picture.mp4", "picture.png", "picture.jpg", "one.mp4", "one.mkv"])
def test_a_still_picture_is_refused(name, tmp_path, videos):
    path = tmp_path / name
    if name.startswith("picture"):
        data = cv2.imencode(".jpg" if name.endswith("jpg") else ".png", videos.frame(5))[1]
        path.write_bytes(data.tobytes())
    else:
        videos.write(path, 1)
    with pytest.raises(VideoError, match="a still image, not a video"):
        read_info(path)


@pytest.mark.parametrize(
    ("aspect", "rotation", "shown"),
    [
        (Fraction(4, 3), 0, (160, 120)),
        (Fraction(3, 4), 0, (120, 160)),
        (Fraction(1, 1), 0, (120, 120)),
        (Fraction(4, 3), 90, (120, 160)),
    ],
)
def test_non_square_pixels_are_read_as_they_are_shown(aspect, rotation, shown, tmp_path, videos):
    path = tmp_path / "video.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 120, 120, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(12):
            stored = videos.frame(number, 120, 120)
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    info = read_info(path)
    assert (info.width, info.height) == shown
    record = videos.record(path, frames=12, width=shown[0], height=shown[1], rotation=info.rotation)
    stored = np.concatenate(list(stored_frames(record, verified(record), CLIP)))
    scale = 64 / min(shown)
    assert stored.shape[2:] == (round(shown[1] * scale), round(shown[0] * scale))
    assert (video_frames(path, CLIP) == stored).all()
    kinds = [kind for kind, _ in check_file(record, Clip())]
    assert ("anamorphic" in kinds) == (aspect != 1)
    old = dataclasses.replace(record, width=120, height=120)
    if aspect != 1:
        assert [kind for kind, _ in check_file(old, Clip())] == ["changed"]
        assert Manifest(path, (old,)).fingerprint != Manifest(path, (record,)).fingerprint


def test_interlaced_video_is_noted(tmp_path, videos):
    path = videos.write(tmp_path / "fields.mp4", options={"x264-params": "tff=1", "flags": "+ildct+ilme"})
    assert ("interlaced", "two fields per frame") in check_file(videos.record(path), Clip())


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("v.mkv", "libx264"), ("v.webm", "libvpx-vp9"), ("v.flv", "flv"), ("v.wmv", "wmv2"), ("v.avi", "mpeg4"),
        ("v.ts", "libx264"), ("v.m2ts", "libx264"),
    ],
)  # fmt: skip
def test_a_file_that_is_shorter_than_its_container_states_stops_the_study(name, codec, tmp_path, videos):
    whole = videos.write(tmp_path / name, 100, codec=codec, size=(320, 240))
    info = read_info(whole)
    assert info.shortfall == ""
    cut = tmp_path / f"cut_{name}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    found = read_info(cut)
    record = videos.record(cut, frames=found.frames, fps=found.fps, width=320, height=240)
    ((kind, message),) = check_file(record, Clip())
    assert kind == "truncated"
    assert "are present" in message or "ends in the middle of a packet" in message
    with pytest.raises(VideoError, match=r"are present|ends in the middle of a packet"):
        video_frames(cut, CLIP)


def test_a_file_whose_sound_is_longer_than_its_video_is_complete(tmp_path, videos):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 128, 64, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(videos.frame(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for start in range(0, 40000, 800):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            samples.pts, samples.sample_rate, samples.time_base = start, 8000, Fraction(1, 8000)
            container.mux(sound.encode(samples))
        container.mux(sound.encode())
    assert read_info(path).shortfall == ""


def test_a_stream_of_an_unknown_codec_is_refused(tmp_path, videos):
    path = videos.write(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(VideoError, match="codec of the video is unknown"):
        read_info(path)


def test_damaged_time_stamps_do_not_fill_the_disk_with_one_frame(tmp_path, videos):
    path = videos.write(tmp_path / "a.mp4", 3, pts=[0, 1, 25 * 3600])
    record = videos.record(path, frames=3, fps=read_info(path).fps)
    (problem,) = manifest_problems(Manifest(path, (record,)), CLIP)
    assert problem.kind == "unreadable"
    assert "timestamps are damaged" in problem.message
