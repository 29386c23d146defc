import os
import signal
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from agrm_study.training.data.decoding import DECODERS, VideoError, decode, probe, read_frames, read_info
from agrm_study.training.data.decoding.killable import Failure, KillablePool

VARIABLE = [n if n < 15 else 15 + 3 * (n - 15) for n in range(30)]
FILES = {
    "h264_short_gop.mp4": {"gop": 5},
    "h264_long_gop_b_frames.mp4": {"gop": 250, "b_frames": 3},
    "h264_b_frames.mkv": {"b_frames": 2},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "xvid.avi": {"codec": "mpeg4"},
    "xvid_b_frames.avi": {"codec": "mpeg4", "b_frames": 2},
    "variable_rate.mp4": {"pts": VARIABLE},
    "odd_size.avi": {"codec": "mjpeg", "pix_fmt": "yuvj444p", "size": (97, 65)},
    "xvid_b_frames.mkv": {"codec": "mpeg4", "b_frames": 2},
    "h264.avi": {},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "b_frames.mpg": {"codec": "mpeg2video", "b_frames": 2},
    "h264_b_frames.ts": {"b_frames": 2},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
}


NOT_FOR_DECORD = {
    "edit_list.mp4", "xvid_b_frames.avi", "xvid_b_frames.mkv", "h264.avi", "b_frames.mpg", "h264_b_frames.ts",
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory, videos) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    made = {name: videos.write(folder / name, 30, **how) for name, how in FILES.items()}
    whole = videos.write(folder / "whole.mp4", 120, gop=50)
    made["edit_list.mp4"] = videos.remux(whole, folder / "edit_list.mp4", shift=-33)
    return made


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", [*FILES, "edit_list.mp4"])
def test_each_decoder_gives_exactly_the_frames_asked_for_on_files_it_says_it_handles(files, videos, name, decoder):
    info = read_info(files[name])
    if not DECODERS[decoder].handles(info):
        assert decoder == "decord"
        assert name in NOT_FOR_DECORD
        return
    first = 33 if name == "edit_list.mp4" else 0
    for indices in (list(range(info.frames)), [0, 7, 7, 8, 21, 29], [3, 12, 28], [29]):
        read = read_frames(files[name], info, indices, info.width, info.height, decoder=decoder)
        assert videos.numbers(np.concatenate(list(read))) == [first + index for index in indices]


@pytest.mark.parametrize("name", [*FILES, "edit_list.mp4"])
def test_any_order_and_any_size_can_be_asked_for(files, videos, name):
    indices = [12, 3, 3, 28, 0]
    frames = decode(files[name], indices, 60, 44)
    first = 33 if name == "edit_list.mp4" else 0
    assert frames.shape == (5, 44, 60, 3)
    assert videos.numbers(frames) == [first + index for index in indices]


def test_the_decoders_agree_on_colours(tmp_path, videos):
    def draw(number):
        y, x = np.mgrid[:64, :128]
        return np.stack([x * 2, y * 3, np.full_like(x, 40 + 6 * number)], axis=2).astype(np.uint8)

    path = videos.write(tmp_path / "colour.mp4", 10, draw=draw)
    info = read_info(path)
    a, b = (np.concatenate(list(read_frames(path, info, [0, 9], 64, 40, decoder=name))) for name in DECODERS)
    assert np.abs(a.astype(int) - b).mean() < 2


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_honoured_with_width_and_height_as_shown(tmp_path, videos, degrees, decoder):
    path = videos.write(tmp_path / "turned.mp4", 5, rotation=degrees)
    info = read_info(path)
    # The container's angle counts counter-clockwise; what is shown is the coded frame turned by it.
    expected = np.rot90(videos.frame(3), degrees // 90)
    assert (info.height, info.width) == expected.shape[:2]
    assert info.rotation == -degrees % 360
    (frames,) = read_frames(path, info, [3], info.width, info.height, decoder=decoder)
    assert np.abs(frames[0].astype(int) - expected).mean() < 8
    (small,) = read_frames(path, info, [3], 64, 40, decoder=decoder)
    assert np.abs(small[0].astype(int) - cv2.resize(expected, small.shape[2:0:-1])).mean() < 25


def test_a_size_that_decord_cannot_give_is_read_by_the_next_decoder(files, videos):
    frames = decode(files["h264_short_gop.mp4"], [4, 5], 48, 64)
    assert videos.numbers(frames) == [4, 5]


def test_the_container_says_frames_rate_and_traps(files):
    info = probe(files["variable_rate.mp4"])
    assert info.variable_rate
    assert info.fps == pytest.approx(29 / (VARIABLE[-1] / 25))
    assert info.times[[0, 14, 16]] == pytest.approx([0, 14 / 25, 18 / 25])
    plain = probe(files["xvid_b_frames.avi"])
    assert (plain.frames, plain.fps, plain.variable_rate, plain.edit_list) == (30, 25.0, False, False)
    cut = probe(files["edit_list.mp4"])
    assert (cut.frames, cut.edit_list, cut.shortfall) == (87, True, "")


def cut_short(source: Path, target: Path, share: float) -> Path:
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def test_a_truncated_avi_and_a_truncated_streaming_mp4_are_known_by_what_they_promised(tmp_path, videos):
    avi = cut_short(videos.write(tmp_path / "a.avi", codec="mpeg4", size=(320, 240)), tmp_path / "cut.avi", 0.7)
    faststart = videos.write(tmp_path / "b.mp4", gop=5, container_options={"movflags": "faststart"})
    for path in (avi, cut_short(faststart, tmp_path / "cut.mp4", 0.8)):
        info = probe(path)
        assert info.shortfall.endswith("of 30 frames are present")
        assert info.promised == 30


@pytest.mark.parametrize("content", [b"", b"not a video at all", b"\x00" * 4096])
def test_a_file_that_is_no_video_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    for call in (probe, decode):
        with pytest.raises(VideoError) as error:
            call(path)
        assert "\n" not in str(error.value)
    with pytest.raises(VideoError, match="does not exist"):
        probe(tmp_path / "none.mp4")


def test_frames_beyond_the_end_are_refused(files):
    with pytest.raises(VideoError, match="30"):
        decode(files["mjpeg.avi"], [30])


def test_a_hanging_call_is_stopped_and_a_crashing_one_costs_itself_alone():
    with KillablePool(2, stall_s=1.5) as pool:
        begun = time.monotonic()
        slept = dict(pool.map_unordered(time.sleep, [(0.01,), (60,), (0.02,)]))
        assert time.monotonic() - begun < 20
        assert slept[0] is None
        assert slept[2] is None
        assert isinstance(slept[1], Failure)
        assert slept[1].kind == "stalled"
        died = dict(pool.map_unordered(os.kill, [(0, signal.SIGKILL), (0, 0)]))
        assert died[0].kind == "crashed"
        assert "SIGKILL" in died[0].message
        assert died[1] is None
        raised = pool.run(int, "x")
        assert (raised.kind, type(raised.error)) == ("error", ValueError)


def test_children_are_replaced_after_so_many_tasks_and_never_hold_torch():
    with KillablePool(1, recycle_after=2) as pool:
        pids = [pool.run(os.getpid) for _ in range(4)]
        assert pids[0] == pids[1] != pids[2] == pids[3]
        assert not pool.run(eval, "'torch' in __import__('sys').modules")
        assert os.getpid() not in pids


def test_the_calling_process_never_loads_a_decoder():
    code = (
        "import sys; from agrm_study.training.data import manifest, splits, store, decoding;"
        "assert not {'torch', 'ray', 'decord', 'av'} & set(sys.modules)"
    )
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_memory_stays_flat_over_two_thousand_opens(files):
    with KillablePool(1, recycle_after=10_000) as pool:
        arguments = (files["h264_long_gop_b_frames.mp4"], [0, 10], 48, 32)
        from agrm_study.training.data.decoding import _decode_all

        for _ in range(200):
            pool.run(_decode_all, *arguments)
        before = pool.run(_resident)
        for _ in range(2000):
            pool.run(_decode_all, *arguments)
        assert pool.run(_resident) - before < 64 << 20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
