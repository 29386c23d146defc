"""Damaged videos and tables give error messages: 300 mutated videos and 300 mutated tables, seeded."""

from __future__ import annotations

import contextlib
import csv
import io
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import pytest

from agrm_study.study.data_settings import Data
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip
from agrm_study.training.data.check import check_manifest
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.datasets.layout import Options, examine
from agrm_study.training.data.manifest import Manifest, read_manifest, write_manifest
from agrm_study.training.data.pictures import draw_pictures
from agrm_study.training.data.splits import make_split
from agrm_study.training.data.store import ClipStore, build_store
from agrm_study.training.data.store.problems import BadVideos

CLIP = Clip(fps=12.5, frames=4, resize=40, size=32)
PIECES, PER_PIECE = 10, 30
TRACEBACK = re.compile(r"\b[A-Z]\w*(Error|Exception)\b: |Traceback")
"""What a message never contains: the name of an exception of Python."""

CODECS = {
    "a.mp4": "libx264", "b.mov": "mpeg4", "c.mkv": "libx264", "d.webm": "libvpx", "e.avi": "mpeg4", "f.avi": "mjpeg",
    "g.flv": "flv", "h.ts": "mpeg2video", "i.m2ts": "libx264", "j.mpg": "mpeg1video", "k.vob": "mpeg2video",
    "l.wmv": "wmv2", "m.asf": "wmv2", "n.3gp": "h263", "o.ogv": "libvpx", "p.mts": "libx264", "q.m4v": "mpeg4",
}  # fmt: skip


@pytest.fixture(scope="module")
def seeds(tmp_path_factory, videos) -> list[Path]:
    """Sound files of many formats, one with two streams, one with a cover picture, and a folder of images."""
    folder = tmp_path_factory.mktemp("seeds")
    made = []
    for name, codec in CODECS.items():
        size = (128, 96) if codec == "h263" else (64, 48)
        pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        made.append(videos.write(folder / name, 24, codec=codec, size=size, pix_fmt=pix_fmt, b_frames=0))
    for name, cover in (("streams.mkv", False), ("cover.mp4", True)):
        with av.open(str(folder / name), "w") as container:
            streams = [
                container.add_stream("libx264", rate=25),
                container.add_stream("mjpeg" if cover else "mpeg4", rate=25),
            ]
            for stream in streams:
                stream.width, stream.height = 64, 48
                stream.pix_fmt = "yuvj420p" if stream.codec.name == "mjpeg" else "yuv420p"
            if cover:
                streams[1].disposition = av.stream.Disposition.attached_pic
            for number in range(24):
                for stream in streams if number == 0 or not cover else streams[:1]:
                    frame = av.VideoFrame.from_ndarray(videos.frame(number, 64, 48), format="rgb24")
                    frame.pts = number
                    container.mux(stream.encode(frame))
            for stream in streams:
                container.mux(stream.encode())
        made.append(folder / name)
    images = folder / "images"
    images.mkdir()
    for number in range(8):
        cv2.imwrite(str(images / f"{number}.png"), videos.frame(number, 64, 48))
    return [*made, images]


def flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 3, 20, 200))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def flip_head(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 4, 12))):
        data[rng.randrange(min(len(data), 400))] ^= 1 << rng.randrange(8)
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def cut_begin(data: bytearray, rng: random.Random) -> bytearray:
    return data[rng.randrange(len(data)) :]


def zero(data: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(data))
    length = min(rng.randrange(1, 3000), len(data) - start)
    data[start : start + length] = bytes(length)
    return data


def swap_boxes(data: bytearray, rng: random.Random) -> bytearray:
    """Exchange the names of two boxes of an mp4 file, or two blocks of another."""
    names = [name for name in (b"moov", b"mdat", b"trak", b"stsz", b"stts", b"stco", b"stsd", b"tkhd") if name in data]
    if len(names) > 1:
        one, other = rng.sample(names, 2)
        at, there = data.index(one), data.index(other)
        data[at : at + 4], data[there : there + 4] = other, one
        return data
    block = max(1, len(data) // 10)
    at, there = sorted(rng.sample(range(0, len(data) - block, block), 2))
    data[at : at + block], data[there : there + block] = data[there : there + block], data[at : at + block]
    return data


def turn(data: bytearray, rng: random.Random) -> bytearray:
    """A random display matrix in an mp4 file; other files are flipped."""
    if b"tkhd" not in data:
        return flip(data, rng)
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = bytes(rng.randrange(256) for _ in range(36))
    return data


def twice(data: bytearray, rng: random.Random) -> bytearray:
    return data + data[rng.randrange(len(data)) :]


def empty(data: bytearray, rng: random.Random) -> bytearray:
    return bytearray()


def same(data: bytearray, rng: random.Random) -> bytearray:
    """The sound file: with another suffix below."""
    return data


MUTATIONS: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (
    flip, flip, flip_head, flip_head, cut, cut, cut_begin, zero, zero, swap_boxes, turn, twice, empty, same,
)  # fmt: skip


def mutate(seed: Path, target: Path, rng: random.Random) -> Path:
    change = rng.choice(MUTATIONS)
    if seed.is_dir():
        folder = target.with_suffix("")
        shutil.copytree(seed, folder)
        image = rng.choice(sorted(folder.iterdir()))
        image.write_bytes(change(bytearray(image.read_bytes()), rng))
        return folder
    suffix = rng.choice([Path(name).suffix for name in CODECS]) if change is same or rng.random() < 0.1 else seed.suffix
    path = target.with_suffix(suffix)
    path.write_bytes(change(bytearray(seed.read_bytes()), rng))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("piece", range(PIECES))
def test_mutated_videos_end_in_messages_and_what_check_passes_can_be_stored(tmp_path, seeds, piece):
    rng = random.Random(piece)
    (tmp_path / "normal").mkdir()
    for number in range(PER_PIECE):
        mutate(seeds[(piece * PER_PIECE + number) % len(seeds)], tmp_path / "normal" / f"v{number:02d}.x", rng)
    options = Options(fps=25.0)
    survey = layout_of("folder").survey(tmp_path, options)
    assert len(survey.found) == PER_PIECE
    examined = examine(survey.found, fps=options.fps)
    assert len(examined.clips) == PER_PIECE
    manifest = read_manifest(write_manifest(examined.clips, tmp_path / "m"))
    report = check_manifest(manifest, CLIP, stall_s=20.0)
    messages = [each.reason for each in examined.unreadable] + [each.message for each in report.findings]
    assert [message for message in messages if TRACEBACK.search(message) or "\n" in message] == []
    stopped = {finding.clip_id for finding in report.findings if finding.severity == "stops"}
    sound = manifest.select(clip.clip_id for clip in manifest.clips if clip.clip_id not in stopped)
    draw_pictures(manifest, CLIP, tmp_path / "pictures")
    twins = {finding.clip_id for finding in report.findings if finding.kind == "duplicate"}
    opened = manifest.select(clip.clip_id for clip in manifest.clips if clip.clip_id in stopped - twins and clip.frames)
    if opened.clips:
        # The store may need less of a file than the check, which decodes it to its end.
        with contextlib.suppress(BadVideos):
            build_store(opened, CLIP, tmp_path / "stores", stall_s=20.0)
    if sound.clips:
        store = ClipStore.open(build_store(sound, CLIP, tmp_path / "stores", stall_s=20.0))
        assert all(store.clip(row).any() for row in range(len(store)) if store.frames(row))


NASTY = (
    "", " ", "NaN", "nan", "None", "null", "inf", "-1", "1e999", "9" * 400, "0x1f", "1,5", "١٢", "=1+1", "\x00",
    "\ufeff", "\u202eabc", "a\nb", '"', "''", "[[0,0,0,1,1]]", "[[1e9,0,0,1,1]]", "[[0,NaN,0,1,1]]", "[" * 3000, "{}",
    "true", "../../../etc/passwd", "a.mp4", "A.MP4", "normal", "varus", "m", "f", "361", "s" * 5000, "{'top': 1}",
)  # fmt: skip
GAVD = "seq,frame_num,cam_view,gait_event,dataset,gait_pat,bbox,vid_info,id,url\n" + "".join(
    f"{seq},1,{view},,{kind} Gait,x,\"{{'top': 1.0, 'left': 2.0, 'height': 40.0, 'width': 9.0}}\","
    f"\"{{'height': 64, 'width': 128}}\",{seq},u\n"
    for seq, view, kind in (("a", "front", "Normal"), ("1", "back", "Abnormal"))
)
TABLES = {
    "spwvd": (
        "labels.csv",
        "subject,label3,sex,age,file\n1,normal,m,5.5,a.mp4\n2,varus,f,6,\n3,valgus,,7,\n",
    ),
    "manifest": (
        "t.csv",
        "path,subject_id,clip_id,label,view,condition,sex,age,boxes\n"
        'a.mp4,1,x,normal,0,nm,male,5,"[[0,1,1,10,20],[5,2,2,10,20]]"\n1.mp4,2,y,varus,90,,female,6,\n2.mp4,3,z,,,,,,\n',
    ),
    "gavd": ("GAVD_Clinical_Annotations_1.csv", GAVD),
    "split": ("split.csv", "subject_id,split\n1,train\n2,test\n3,val\n"),
}


def mutated_table(text: str, rng: random.Random) -> bytes:
    """A table with changed cells, rows, columns, delimiters, encoding or bytes."""
    rows = list(csv.reader(io.StringIO(text)))
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        row = rng.randrange(len(rows))
        kind = rng.randrange(8)
        if kind < 4 and rows[row]:
            rows[row][rng.randrange(len(rows[row]))] = rng.choice(NASTY)
        elif kind == 4:
            rows.insert(row, list(rows[row]))
        elif kind == 5 and len(rows) > 1:
            del rows[row]
        elif kind == 6:
            rows[row] = rows[row][:-1] if rng.random() < 0.5 else [*rows[row], rng.choice(NASTY)]
        elif len(rows[0]) > 1:
            column = rng.randrange(len(rows[0]))
            rows = [cells[:column] + cells[column + 1 :] for cells in rows]
    stream = io.StringIO()
    csv.writer(stream, delimiter=rng.choice(",,,;\t")).writerows(rows)
    data = bytearray(stream.getvalue().encode(rng.choice(("utf-8", "utf-8-sig", "utf-16", "cp1252")), errors="replace"))
    if rng.random() < 0.3 and data:
        data = rng.choice((flip, cut, zero, twice))(data, rng)
    return bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("piece", range(PIECES))
def test_mutated_tables_end_in_messages_and_what_is_taken_can_be_read_again(tmp_path, videos, piece):
    rng = random.Random(piece)
    (tmp_path / "d").mkdir()
    for name in ("a.mp4", "1.mp4", "2.mp4", "3.mp4"):
        videos.write(tmp_path / "d" / name, 8, size=(32, 24))
    clips = tuple(
        videos.record(tmp_path / "d" / f"{n}.mp4", frames=8, label=label)
        for n, label in ((1, "normal"), (2, "genu_varum"), (3, "genu_valgum"))
    )
    taken, messages = 0, []
    for number in range(PER_PIECE):
        kind = list(TABLES)[number % len(TABLES)]
        name, text = TABLES[kind]
        path = tmp_path / "d" / name
        path.write_bytes(mutated_table(text, rng))
        try:
            if kind == "split":
                make_split(Manifest(tmp_path / "m", clips), Data(split_file=path), 0)
            else:
                survey = layout_of(kind).survey(path if kind == "manifest" else tmp_path / "d", Options())
                records = examine(survey.found).clips
                assert read_manifest(write_manifest(records, tmp_path / f"m{number}")).clips == records
            taken += 1
        except InputError as error:
            messages.append(str(error))
        path.unlink()
    assert taken
    assert messages
    assert [message for message in messages if TRACEBACK.search(message) or not message.strip()] == []
