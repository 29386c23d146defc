import dataclasses
import json
import pickle
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from pyarrow import ArrowInvalid, fs

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip
from agrm_study.training.data.decoding import read_info
from agrm_study.training.data.decoding.killable import KillablePool
from agrm_study.training.data.manifest import Manifest, write_manifest
from agrm_study.training.data.store import (
    BadVideos,
    ClipStore,
    build,
    build_store,
    fetch,
    fetch_store,
    publish_store,
    store_bytes,
    store_key,
)
from agrm_study.training.data.store.frames import kept_frames, stored_shape
from agrm_study.training.data.store.ingest import file_checksum

POOL = KillablePool(2)
"""Children that outlive a build, so that each test does not wait for its own to start."""

CLIP = Clip(frames=8, fps=25.0, resize=64, size=48)


def make_manifest(tmp_path: Path, videos) -> Manifest:
    folder = tmp_path / "videos"
    folder.mkdir()
    clips = [
        videos.record(videos.write(folder / f"s{number}.mp4", 30, gop=4 + number), label=None, subject_id=f"p{number}")
        for number in range(4)
    ]
    return Manifest(tmp_path / "manifest.parquet", tuple(clips))


@pytest.fixture(scope="module", autouse=True)
def children():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "KillablePool", lambda workers, stall_s: nullcontext(POOL))
        yield
    POOL.close()


@pytest.fixture
def manifest(tmp_path, videos) -> Manifest:
    return make_manifest(tmp_path, videos)


@pytest.fixture(scope="module")
def store(tmp_path_factory, videos) -> ClipStore:
    folder = tmp_path_factory.mktemp("built")
    return ClipStore.open(build_store(make_manifest(folder, videos), CLIP, folder / "cache"))


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def numbers(videos, store: ClipStore, row: int) -> list[int]:
    return videos.numbers(store.clip(row).transpose(0, 2, 3, 1))


def test_every_frame_lies_in_the_store_in_its_order(manifest, cache, videos):
    steps: list[tuple[int, int]] = []
    path = build_store(manifest, CLIP, cache, workers=2, on_progress=lambda *step: steps.append(step))
    store = ClipStore.open(path)
    assert path == cache / store_key(manifest, CLIP)
    assert store.clip_ids == ("s0", "s1", "s2", "s3")
    for row in range(4):
        assert (store.frames(row), store.height(row), store.width(row)) == (30, 64, 128)
        assert numbers(videos, store, row) == list(range(30))
    assert steps[0] == (0, 4)
    assert steps[-1] == (4, 4)
    assert (path / "frames.u8").stat().st_size == store_bytes(manifest, CLIP) == 4 * 30 * 3 * 64 * 128


def test_gather_copies_the_windows_asked_for(store):
    rows = [store.row("s2"), store.row("s0"), store.row("s2"), store.row("s1")]
    frames = [[3, 4, 5], [0, 7, 14], [9, 2, 2], [29, 28, 27]]
    tops, lefts = [0, 16, 3, 5], [48, 0, 7, 11]
    windows = store.gather(np.array(rows), np.array(frames), np.array(tops), np.array(lefts), 48)
    assert windows.shape == (4, 3, 3, 48, 48)
    assert windows.dtype == np.uint8
    for item in range(4):
        for place, frame in enumerate(frames[item]):
            square = store.clip(rows[item])[frame, :, tops[item] :, lefts[item] :][:, :48, :48]
            assert (windows[item, place] == square).all()
    assert store.gather([], np.empty((0, 3), int), [], [], 48).shape == (0, 3, 3, 48, 48)
    assert store.gather([0], [[7]], [0], [0], 48).shape == (1, 1, 3, 48, 48)


@pytest.mark.parametrize(
    ("frames", "top", "left"), [([0, 30], 0, 0), ([-1, 0], 0, 0), ([0, 1], 17, 0), ([0, 1], -1, 0), ([0, 1], 0, 81)]
)
def test_a_window_outside_a_clip_is_refused_by_the_clips_name(store, frames, top, left):
    with pytest.raises(IndexError, match="clip s1, which has 30 frames of 64x128"):
        store.gather([0, 1], [[0, 1], frames], [0, top], [0, left], 48)


def test_frames_are_resampled_to_the_nearest_in_time(manifest, cache, videos):
    for fps, expected in ((12.5, list(range(0, 30, 2))), (5.0, [0, 5, 10, 15, 20, 25])):
        store = ClipStore.open(build_store(manifest.select(["s0"]), CLIP.model_copy(update={"fps": fps}), cache))
        assert numbers(videos, store, 0) == expected
    doubled = ClipStore.open(build_store(manifest.select(["s0"]), CLIP.model_copy(update={"fps": 50.0}), cache))
    assert numbers(videos, doubled, 0)[:6] == [0, 0, 1, 1, 2, 2]
    assert doubled.frames(0) == 59


def test_a_variable_frame_rate_keeps_its_own_time(tmp_path, cache, videos):
    pts = [n if n < 15 else 15 + 3 * (n - 15) for n in range(30)]
    path = videos.write(tmp_path / "v.mp4", pts=pts)
    info = read_info(path)
    record = videos.record(path, fps=info.fps)
    kept = kept_frames(record, info, CLIP)
    truth = [int(np.argmin(np.abs(np.array(pts) / 25 - k / 25))) for k in range(len(kept))]
    assert kept.tolist() == truth
    assert kept[-1] == 29
    store = ClipStore.open(build_store(Manifest(tmp_path / "m", (record,)), CLIP, cache))
    assert numbers(videos, store, 0) == truth


def test_resize_keeps_the_shape_raw_keeps_pixels_and_the_person_crop_follows_the_person(tmp_path, cache, videos):
    def walker(number: int) -> np.ndarray:
        frame = np.full((120, 200, 3), 30, np.uint8)
        frame[40:100, 10 + 4 * number : 34 + 4 * number] = 220
        return frame

    path = videos.write(tmp_path / "w.mp4", 30, size=(200, 120), draw=walker)
    boxes = ((0, 10.0, 40.0, 24.0, 60.0), (29, 126.0, 40.0, 24.0, 60.0))
    manifest = Manifest(tmp_path / "m", (videos.record(path, width=200, height=120, boxes=boxes),))
    stores = {
        crop: ClipStore.open(build_store(manifest, Clip(fps=25.0, crop=crop, resize=60, size=48), cache))
        for crop in ("resize", "raw", "person_box")
    }
    assert [(s.height(0), s.width(0)) for s in stores.values()] == [(60, 100), (60, 60), (60, 60)]
    centre = walker(20)[30:90, 70:130].transpose(2, 0, 1)
    assert np.abs(stores["raw"].clip(0)[20].astype(int) - centre).mean() < 6
    bright = stores["person_box"].clip(0)[:, 0] > 128
    # The square's side is 1.1 × 60 pixels; the person is 24 of them wide and stays in the middle.
    assert bright.mean(axis=(1, 2)) == pytest.approx(24 * 60 / 66**2, rel=0.12)
    columns = (bright.any(axis=1) * np.arange(60)).sum(axis=1) / bright.any(axis=1).sum(axis=1)
    assert columns[5:-5] == pytest.approx(29.5, abs=1.5)
    legs = Clip(fps=25.0, crop="person_box", box_part="legs", resize=60, size=48)
    half = ClipStore.open(build_store(manifest, legs, cache)).clip(0)[:, 0] > 128
    # Side 33 around the lower half, y 70 … 100: feet on the ground, half a margin below them.
    assert half[10].any(axis=1)[:50].all()
    assert not half[10][59].any()


def test_the_key_knows_what_matters_and_nothing_else(manifest):
    key = store_key(manifest, CLIP)
    one = manifest.clips[0]

    def other(**fields: object) -> Manifest:
        return Manifest(manifest.path, (dataclasses.replace(one, **fields), *manifest.clips[1:]))

    for same in (
        other(label="normal", sex="male"),
        other(path=Path("/elsewhere")),
        other(boxes=((0, 1.0, 1.0, 9.0, 9.0),)),
    ):
        assert store_key(same, CLIP) == key
    for different in (other(checksum="0" * 64), other(clip_id="t"), other(fps=24.0), manifest.select(["s0"])):
        assert store_key(different, CLIP) != key
    assert store_key(manifest, CLIP.model_copy(update={"size": 32, "frames": 4})) == key
    for change in ({"fps": 10.0}, {"resize": 65}, {"crop": "raw"}, {"storage": "jpeg"}):
        assert store_key(manifest, CLIP.model_copy(update=change)) != key
    person = CLIP.model_copy(update={"crop": "person_box"})
    assert store_key(other(boxes=((0, 1.0, 1.0, 9.0, 9.0),)), person) != store_key(manifest, person)


def test_every_bad_video_is_named_at_once_and_the_good_ones_are_kept(manifest, cache, videos, monkeypatch):
    bad = {clip.clip_id: clip for clip in manifest.clips}
    data = bad["s0"].path.read_bytes()
    bad["s0"].path.write_bytes(data[:-200])
    bad["s1"].path.unlink()
    cut = bad["s3"].path
    cut.write_bytes(b"")
    empty = dataclasses.replace(bad["s3"], checksum=file_checksum(cut))
    manifest = Manifest(manifest.path, (bad["s0"], bad["s1"], bad["s2"], empty))
    with pytest.raises(BadVideos) as error:
        build_store(manifest, CLIP, cache, workers=2)
    assert [(p.clip_id, p.kind) for p in error.value.problems] == [
        ("s0", "changed"), ("s1", "missing"), ("s3", "zero_length"),
    ]  # fmt: skip
    assert "3 videos cannot be used" in str(error.value)
    assert "data.exclude: [p0, p1, p3]" in str(error.value)
    assert pickle.loads(pickle.dumps(error.value)).problems == error.value.problems
    monkeypatch.setattr(build, "store_clip", _must_not_run)
    store = ClipStore.open(build_store(manifest.select(["s2"]), CLIP, cache))
    assert numbers(videos, store, 0) == list(range(30))


def _must_not_run(job: object) -> None:
    raise AssertionError("a clip was decoded again")


def test_a_truncated_video_whose_checksum_was_taken_after_the_damage_is_found(tmp_path, cache, videos):
    whole = videos.write(tmp_path / "whole.avi", codec="mpeg4", size=(320, 240))
    path = tmp_path / "cut.avi"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 10])
    manifest = Manifest(tmp_path / "m", (videos.record(path, width=320, height=240),))
    with pytest.raises(BadVideos, match=r"truncated: only \d+ of 30 frames are present"):
        build_store(manifest, CLIP, cache)


def test_what_the_manifest_alone_shows_is_told_before_anything_is_decoded(manifest, cache, monkeypatch):
    monkeypatch.setattr(build, "store_clip", _must_not_run)
    unread = dataclasses.replace(manifest.clips[0], frames=0, fps=0.0, width=0, height=0)
    small = dataclasses.replace(manifest.clips[1], width=40, height=30)
    with pytest.raises(BadVideos) as error:
        build_store(Manifest(manifest.path, (unread, small)), CLIP.model_copy(update={"crop": "raw"}), cache)
    assert [p.kind for p in error.value.problems] == ["unreadable", "too_small"]


def test_an_interrupted_build_goes_on_and_distrusts_damaged_bytes(manifest, cache, videos, monkeypatch):
    decoded: list[str] = []

    def stop_after(count: int):
        def store_some(pool, function, tasks):
            for position, result in original(pool, function, tasks):
                decoded.append(tasks[position][0].record.clip_id)
                yield position, result
                if len(decoded) == count:
                    raise KeyboardInterrupt

        return store_some

    original = KillablePool.map_unordered
    monkeypatch.setattr(KillablePool, "map_unordered", stop_after(3))
    with pytest.raises(KeyboardInterrupt):
        build_store(manifest, CLIP, cache)
    (partial,) = cache.glob(".*.partial")
    assert not (cache / store_key(manifest, CLIP)).exists()
    with (partial / "frames.u8").open("r+b") as file:
        file.seek(100)
        file.write(b"rot")
    decoded.clear()
    monkeypatch.setattr(KillablePool, "map_unordered", stop_after(99))
    store = ClipStore.open(build_store(manifest, CLIP, cache))
    assert "s0" in decoded
    assert len(decoded) <= 2
    assert all(numbers(videos, store, row) == list(range(30)) for row in range(4))
    assert not list(cache.glob(".*.partial"))


@pytest.mark.parametrize("storage", ["raw", "jpeg"])
def test_a_changed_file_is_decoded_again_and_the_others_are_copied(manifest, cache, videos, monkeypatch, storage):
    clip = CLIP.model_copy(update={"storage": storage})
    build_store(manifest, clip, cache)
    videos.write(manifest.clips[1].path, 20)
    lengths = [30, 20, 30, 30]
    after = Manifest(
        manifest.path,
        tuple(videos.record(c.path, frames=length) for c, length in zip(manifest.clips, lengths, strict=True)),
    )
    done: list[str] = []
    monkeypatch.setattr(build.Job, "__init__", _noting(build.Job.__init__, done))
    store = ClipStore.open(build_store(after, clip, cache))
    assert done == ["s1"]
    assert [numbers(videos, store, row) for row in range(4)] == [list(range(length)) for length in lengths]


def _noting(init, done):
    def noted(self, record, *rest):
        done.append(record.clip_id)
        init(self, record, *rest)

    return noted


def test_two_clips_with_one_content_share_one_decoding(manifest, cache, videos):
    twin = dataclasses.replace(manifest.clips[0], clip_id="twin")
    store = ClipStore.open(build_store(Manifest(manifest.path, (*manifest.clips, twin)), CLIP, cache))
    assert (store.clip(store.row("twin")) == store.clip(store.row("s0"))).all()
    assert len((store.path / "journal.jsonl").read_text().splitlines()) == 4


def test_a_finished_store_is_not_built_again(manifest, cache, monkeypatch):
    first = build_store(manifest, CLIP, cache)
    shutil.rmtree(manifest.clips[0].path.parent)
    monkeypatch.setattr(build, "_build", _must_not_run)
    assert build_store(manifest, CLIP, cache) == first


def test_two_runs_at_once_build_one_store(manifest, cache, tmp_path):
    stored = write_manifest(manifest.clips, tmp_path)
    code = f"""
from pathlib import Path
from agrm_study.study.recipe import Clip
from agrm_study.training.data.manifest import read_manifest
from agrm_study.training.data.store import build_store
steps = []
manifest, clip = read_manifest({str(stored)!r}), Clip(**{CLIP.model_dump()!r})
build_store(manifest, clip, {str(cache)!r}, on_progress=lambda done, total: steps.append(done))
print(steps)
"""
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [json.loads(run.communicate(timeout=60)[0]) for run in runs]
    assert sorted(len(steps) for steps in outputs) == [1, 6]
    assert len(list(cache.glob("*-*/store.json"))) == 1


def test_a_full_disk_is_told_before_it_is_full(manifest, cache, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(build.shutil, "disk_usage", lambda path: usage._replace(free=10))
    for storage in ("raw", "jpeg"):
        with pytest.raises(
            InputError, match=r"too little free space for the clip store of 4 clips.*GB free.*AGRM_STUDY_CACHE"
        ):
            build_store(manifest, CLIP.model_copy(update={"storage": storage}), cache)


def test_a_stuck_decoder_costs_its_file_alone(manifest, cache, monkeypatch):
    monkeypatch.setattr(build, "store_clip", time.sleep)
    monkeypatch.setattr(build, "KillablePool", KillablePool)
    original = KillablePool.map_unordered
    monkeypatch.setattr(
        KillablePool,
        "map_unordered",
        lambda pool, function, tasks: original(pool, function, [(60,) for _ in tasks][:1]),
    )
    with pytest.raises(BadVideos, match="no progress for"):
        build_store(manifest.select(["s0"]), CLIP, cache, stall_s=1.0)


def test_jpeg_storage_holds_the_same_frames_in_less_room(manifest, cache, videos):
    jpeg = CLIP.model_copy(update={"storage": "jpeg"})
    store, raw = (ClipStore.open(build_store(manifest, clip, cache)) for clip in (jpeg, CLIP))
    assert all(numbers(videos, store, row) == list(range(30)) for row in range(4))
    arguments = ([3, 0], [[0, 5, 29], [1, 2, 3]], [4, 16], [0, 30], 48)
    difference = store.gather(*arguments).astype(int) - raw.gather(*arguments)
    assert np.abs(difference).mean() < 2


def test_a_store_pickles_as_its_path_and_an_unfinished_one_is_refused(store, tmp_path):
    again = pickle.loads(pickle.dumps(store))
    assert (again.clip(2) == store.clip(2)).all()
    with pytest.raises(InputError, match="no finished clip store"):
        ClipStore.open(tmp_path)


def test_private_memory_does_not_grow_with_the_store(store):

    def private() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0])

    store.gather([0], [[0, 1]], [0], [0], 48)
    before = private()
    for _ in range(50):
        store.gather([0, 1, 2, 3], [list(range(30))] * 4, [0] * 4, [0] * 4, 48)
    assert private() - before < 4096


def test_sizes_are_known_from_the_manifest_alone(videos):
    record = videos.record(Path("/none.mp4"), frames=301, fps=25.0, width=2560, height=1440)
    assert stored_shape(record, Clip()) == (151, 256, 455)
    assert stored_shape(record, Clip(crop="raw", resize=224)) == (151, 224, 224)
    assert stored_shape(record, Clip(crop="person_box")) == (151, 256, 256)
    assert store_bytes(Manifest(Path("/m"), (record,)), Clip()) == 151 * 3 * 256 * 455


def test_two_processes_of_a_node_copy_a_published_store_once(store, tmp_path):
    place = publish_store(store.path, (tmp_path / "bucket").as_uri())
    assert publish_store(store.path, (tmp_path / "bucket").as_uri()) == place
    code = f"""
from agrm_study.training.data.store import fetch, fetch_store
copies, copy = [], fetch._copy_all
fetch._copy_all = lambda *a, **k: (copies.append(1), copy(*a, **k))
fetch_store({place!r}, {str(tmp_path / "node")!r})
print(len(copies))
"""
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(int(run.communicate(timeout=60)[0]) for run in runs) == [0, 1]
    (copied,) = (tmp_path / "node").glob("[!.]*")
    assert (ClipStore.open(copied).clip(1) == store.clip(1)).all()


def test_a_copy_in_pieces_is_whole_and_tells_how_far_it_is(store, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PIECE", 1000)
    size = sum(file.stat().st_size for file in store.path.iterdir() if file.is_file())
    sent, fetched = [], []
    place = publish_store(store.path, (tmp_path / "bucket").as_uri(), lambda *words: sent.append(words))
    copied = fetch_store(place, tmp_path / "node", lambda *words: fetched.append(words))
    for words in (sent, fetched):
        assert len(words) >= size // 1000
        assert words == sorted(words)
        assert words[-1] == (size, size)
    assert sorted(file.name for file in copied.iterdir()) == sorted(file.name for file in store.path.iterdir())
    for file in store.path.iterdir():
        assert (copied / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("bucket", ["{folder}", "fsspec+memory://bucket/stores"])
def test_a_damaged_copy_in_a_bucket_is_refused_and_published_again_once_it_is_deleted(store, tmp_path, bucket):
    target = bucket.format(folder=(tmp_path / "bucket").as_uri())
    try:
        fs.FileSystem.from_uri(target)
    except ArrowInvalid:
        pytest.skip("this release of Arrow reads no fsspec URIs")
    place = publish_store(store.path, target)
    system, root = fs.FileSystem.from_uri(place)
    with system.open_input_file(f"{root}/frames.u8") as file:
        content = bytearray(file.read())
    content[len(content) // 2] ^= 1
    with system.open_output_stream(f"{root}/frames.u8") as file:
        file.write(content)
    with pytest.raises(InputError, match=r"1 of \d+ clips do not match their checksums.*delete the folder"):
        fetch_store(place, tmp_path / "node")
    assert [each for each in (tmp_path / "node").iterdir() if each.is_dir()] == []
    system.delete_dir(root)
    copied = fetch_store(publish_store(store.path, target), tmp_path / "node")
    assert (copied / "frames.u8").read_bytes() == (store.path / "frames.u8").read_bytes()


def test_half_a_published_store_is_no_store_and_a_full_node_is_told(store, tmp_path, monkeypatch):
    place = publish_store(store.path, str(tmp_path / "shared"))
    marker = Path(place) / "store.json"
    text = marker.read_text()
    marker.unlink()
    with pytest.raises(InputError, match="no finished clip store"):
        fetch_store(place, tmp_path / "node")
    marker.write_text(text)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(InputError, match=r"too little free space for a copy.*AGRM_STUDY_LOCAL_STORE"):
        fetch_store(place, tmp_path / "node")


def test_a_node_copies_a_store_from_shared_storage_once(store, tmp_path):
    copied = fetch_store(store.path, tmp_path / "local")
    assert copied == tmp_path / "local" / store.path.name
    assert (ClipStore.open(copied).clip(1) == store.clip(1)).all()
    stamp = (copied / "store.json").stat().st_mtime_ns
    assert fetch_store(store.path.as_uri(), tmp_path / "local") == copied
    assert (copied / "store.json").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="no finished clip store"):
        fetch_store(tmp_path, tmp_path / "local")
    assert [each.name for each in (tmp_path / "local").iterdir() if not each.name.startswith(".")] == [copied.name]
