"""Damaged clip stores and replaced videos."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip
from agrm_study.training.data.decoding.killable import KillablePool
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.store import BadVideos, ClipStore, build, build_store, fetch_store

CLIPS = 3
POOL = KillablePool(1)
RAW = Clip(frames=8, fps=25.0, resize=64, size=48)
JPEG = RAW.model_copy(update={"storage": "jpeg"})


@pytest.fixture(scope="module", autouse=True)
def children():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "KillablePool", lambda workers, stall_s: nullcontext(POOL))
        yield
    POOL.close()


@pytest.fixture(scope="module")
def built(tmp_path_factory, videos) -> Path:
    """A folder with videos and a finished store of each storage, to copy."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "videos").mkdir()
    for number in range(CLIPS):
        videos.write(folder / "videos" / f"s{number}.mp4", 30, gop=4 + number)
    for clip in (RAW, JPEG):
        build_store(manifest_of(folder, videos), clip, folder / "cache")
    return folder


@pytest.fixture
def place(built, tmp_path) -> Path:
    shutil.copytree(built, tmp_path / "place")
    return tmp_path / "place"


def manifest_of(folder: Path, videos) -> Manifest:
    paths = sorted((folder / "videos").glob("*.mp4"))
    return Manifest(folder / "manifest.parquet", tuple(videos.record(path, label=None) for path in paths))


def contents(store: Path) -> dict[str, bytes]:
    """The bytes of the stored frames, by file."""
    files = [*store.glob("frames.u8"), *store.glob("jpeg/*.arrow")]
    return {file.name: file.read_bytes() for file in files}


def flip_every_997th_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[::997] = bytes(255 - byte for byte in data[::997])
    path.write_bytes(data)


def flip_one_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))


def each_file(change: Callable[[Path], None], pattern: str) -> Callable[[Path], None]:
    def damage(store: Path) -> None:
        for file in store.glob(pattern):
            change(file)

    return damage


def swap_offsets(store: Path) -> None:
    table = pq.read_table(store / "index.parquet")
    columns = table.to_pydict()
    columns["offset"] = columns["offset"][::-1]
    pq.write_table(table.from_pydict(columns), store / "index.parquet")


DAMAGES: dict[str, tuple[Clip, Callable[[Path], None]]] = {
    "flipped bytes": (RAW, each_file(flip_every_997th_byte, "frames.u8")),
    "one flipped bit": (RAW, each_file(flip_one_byte, "frames.u8")),
    "truncated frames": (RAW, each_file(lambda path: os.truncate(path, 5000), "frames.u8")),
    "no frames": (RAW, each_file(Path.unlink, "frames.u8")),
    "no index": (RAW, each_file(Path.unlink, "index.parquet")),
    "damaged index": (RAW, each_file(flip_every_997th_byte, "index.parquet")),
    "offsets exchanged": (RAW, swap_offsets),
    "no settings": (RAW, each_file(Path.unlink, "store.json")),
    "empty settings": (RAW, each_file(lambda path: path.write_text(""), "store.json")),
    "no index and no journal": (RAW, each_file(Path.unlink, "[ij]*")),
    "everything gone": (RAW, each_file(Path.unlink, "*.*")),
    "flipped JPEG bytes": (JPEG, each_file(flip_every_997th_byte, "jpeg/*.arrow")),
    "truncated JPEG": (JPEG, each_file(lambda path: os.truncate(path, 100), "jpeg/*.arrow")),
    "no JPEG": (JPEG, each_file(Path.unlink, "jpeg/*.arrow")),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_store_is_repaired_with_one_line_and_holds_the_same_bytes(name, place, videos):
    clip, damage = DAMAGES[name]
    manifest = manifest_of(place, videos)
    store = build_store(manifest, clip, place / "cache")
    before = contents(store)
    damage(store)
    notes: list[str] = []
    assert build_store(manifest, clip, place / "cache", on_note=notes.append) == store
    assert contents(store) == before
    assert len(notes) == 1
    assert notes[0].startswith(f"The clip store {store} is damaged (")
    assert videos.numbers(ClipStore.open(store).clip(1).transpose(0, 2, 3, 1)) == list(range(30))
    build_store(manifest, clip, place / "cache", on_note=notes.append)
    assert len(notes) == 1


def test_only_the_damaged_clips_are_decoded_again(place, videos, monkeypatch):
    manifest = manifest_of(place, videos)
    store = build_store(manifest, RAW, place / "cache")
    flip_one_byte(store / "frames.u8")
    decoded: list[str] = []
    original = KillablePool.map_unordered

    def noting(pool, function, tasks):
        decoded.extend(job.record.clip_id for (job,) in tasks)
        return original(pool, function, tasks)

    monkeypatch.setattr(KillablePool, "map_unordered", noting)
    build_store(manifest, RAW, place / "cache")
    assert decoded == ["s0"]


def test_a_damaged_duplicate_of_a_clip_is_repaired(place, videos):
    manifest = manifest_of(place, videos)
    twin = videos.record(place / "videos" / "s0.mp4", "twin", label=None)
    manifest = Manifest(manifest.path, (*manifest.clips, twin))
    store = build_store(manifest, RAW, place / "cache")
    before = contents(store)
    with (store / "frames.u8").open("r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"rot")
    build_store(manifest, RAW, place / "cache")
    assert contents(store) == before


def test_a_store_that_cannot_be_repaired_is_replaced(place, videos):
    manifest = manifest_of(place, videos)
    store = build_store(manifest, RAW, place / "cache")
    before = contents(store)
    (store / "frames.u8").unlink()
    (store / "frames.u8").mkdir()
    notes: list[str] = []
    build_store(manifest, RAW, place / "cache", on_note=notes.append)
    assert contents(store) == before
    assert "is being replaced" in notes[-1]
    shutil.rmtree(store)
    store.write_text("a file")
    build_store(manifest, RAW, place / "cache", on_note=notes.append)
    assert contents(store) == before


def test_a_damaged_store_whose_videos_are_gone_is_not_used(place, videos):
    manifest = manifest_of(place, videos)
    store = build_store(manifest, RAW, place / "cache")
    flip_one_byte(store / "frames.u8")
    manifest.clips[0].path.unlink()
    for _ in range(2):
        with pytest.raises(BadVideos, match=r"s0\.mp4: the file does not exist"):
            build_store(manifest, RAW, place / "cache")


def test_a_store_without_checksums_opens_and_gets_them(place, videos):
    manifest = manifest_of(place, videos)
    store = build_store(manifest, RAW, place / "cache")
    index = pq.read_table(store / "index.parquet")
    pq.write_table(index.drop_columns(["bytes", "crc"]), store / "index.parquet")
    (store / "sources.json").unlink()
    assert ClipStore.open(store).frames(0) == 30
    notes: list[str] = []
    build_store(manifest, RAW, place / "cache", on_note=notes.append)
    assert pq.read_table(store / "index.parquet") == index
    assert not notes


@pytest.mark.parametrize("name", ["truncated frames", "no frames", "no index", "damaged index", "empty settings"])
def test_a_damaged_store_is_refused_by_a_trial_with_one_message(name, place, videos):
    clip, damage = DAMAGES[name]
    store = build_store(manifest_of(place, videos), clip, place / "cache")
    damage(store)
    with pytest.raises(InputError, match="repairs the store"):
        ClipStore.open(store)


@pytest.mark.parametrize("name", ["flipped bytes", "no index", "no settings", "flipped JPEG bytes", "no JPEG"])
def test_a_damaged_copy_of_a_node_is_replaced_and_a_damaged_source_refused(name, place, videos):
    clip, damage = DAMAGES[name]
    store = build_store(manifest_of(place, videos), clip, place / "cache")
    copy = fetch_store(store, place / "node")
    damage(copy)
    assert fetch_store(store, place / "node") == copy
    assert contents(copy) == contents(store)
    damage(copy)
    damage(store)
    with pytest.raises(InputError):
        fetch_store(store, place / "node")


@pytest.mark.parametrize("keeps_its_times", [False, True])
def test_a_video_replaced_by_another_of_its_name_is_noticed_by_the_next_run(keeps_its_times, place, videos):
    manifest = manifest_of(place, videos)
    build_store(manifest, RAW, place / "cache")
    path = manifest.clips[1].path
    about = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    if keeps_its_times:
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(BadVideos, match=r"s1\.mp4: the file has changed since it was indexed"):
            build_store(manifest, RAW, place / "cache")


def test_a_video_that_was_not_written_since_is_not_read_again(place, videos, monkeypatch):
    manifest = manifest_of(place, videos)
    build_store(manifest, RAW, place / "cache")
    read: list[Path] = []
    monkeypatch.setattr("agrm_study.training.data.store.sources.file_checksum", lambda path: read.append(path) or "")
    build_store(manifest, RAW, place / "cache")
    assert not read
    os.utime(manifest.clips[2].path)
    with pytest.raises(BadVideos):
        build_store(manifest, RAW, place / "cache")
    assert read == [manifest.clips[2].path]
