"""Reading rate of the clip store, compared with decoding each clip and with a plain memory copy.

    python benchmarks/input.py [--size 96] [--resize 112] [--seconds 3] [--json FILE]

Writes sample videos (2560×1440 H.264 and 320×240 avi), builds a store of them and measures in one run: random clips of
16 frames by decord, by the store, by a plain reader of raw frames (one numpy memory map per clip, all kept open), a
memory copy of as many bytes, the store read by two processes at once, the store with a cold page cache, and the private
memory of a reader of a small and of a large store.

Compared quantities are measured in turns of a third of a second, and the median of the turns is reported, so that a
busy machine slows both alike; the load at the start and at the end is printed too.

A window is a part of each stored row, and memory is read by the row: `rows read` says how many bytes that is for each
byte wanted. A reader of this layout cannot be faster than a copy of these rows alone (`copy of the rows read`): with
1.6 bytes per byte wanted, 0.4 to 0.5 of a plain copy of the wanted bytes. The target of 0.6 for cropped windows is
therefore out of reach; the store reaches 0.9 of the copy of the rows. Views of uint8 and uint64 items, torch's strided
copy, frames gathered in the cache before they are copied, and rows copied whole and cropped afterwards were measured in
the same turns: none is faster. `whole frames` are windows as large as the stored frame, as `crop: person_box` with
`clip.size` equal to `clip.resize` gives them: there every byte read is used.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from agrm_study.study.recipe import Clip
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.manifest import ClipRecord, Manifest
from agrm_study.training.data.store import ClipStore, build_store

FRAMES, BATCH = 16, 16
SAMPLES = {
    "2560x1440 H.264": ("libx264", ".mp4", 2560, 1440, 150, 2),
    "320x240 avi": ("mpeg4", ".avi", 320, 240, 150, 40),
}
"""Codec, suffix, size, frames, and how many files."""
TARGETS = {
    "store / decord on 2560x1440 H.264": 300.0,
    "store / decord on 320x240 avi": 100.0,
    "store / memory copy": 0.6,
    "store / copy of the rows read": 0.7,
    "store / plain raw-frame reader": 1.0,
    "store / memory copy, whole frames": 0.7,
    "each of two processes / one alone": 0.8,
}
TURN_S = 0.3
"""Seconds of one turn of a measurement."""


def write_sample(path: Path, codec: str, width: int, height: int, frames: int, seed: int) -> None:
    """A textured scene with a moving figure, so that an encoder has something to do."""
    import av

    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 190, (height // 20 + 1, width // 20 + 1, 3), dtype=np.uint8)
    scene = np.repeat(np.repeat(coarse, 20, axis=0), 20, axis=1)[:height, :width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"preset": "ultrafast"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(frames):
            image = scene.copy()
            left = width // 3 + number * width // (3 * frames)
            image[height // 4 : height * 9 // 10, left : left + width // 8] = (200, 80, 40)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def samples(folder: Path) -> dict[str, list[ClipRecord]]:
    """The sample files of each kind, indexed."""
    found: dict[str, list[ClipRecord]] = {}
    for name, (codec, suffix, width, height, frames, count) in SAMPLES.items():
        place = folder / f"{width}x{height}" / "unlabelled"
        place.mkdir(parents=True)
        for number in range(count):
            write_sample(place / f"{width}-{number:02d}{suffix}", codec, width, height, frames, number)
        found[name] = layout_of("folder").index(place.parent)
    return found


def rate(step: Callable[[], int], seconds: float) -> float:
    """Clips a second: `step` returns how many it made."""
    made, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        made += step()
    return made / passed


def rates(steps: dict[str, Callable[[], int]], seconds: float) -> dict[str, float]:
    """Clips a second of each, as the median over turns."""
    turns: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(max(3, round(seconds / TURN_S))):
        for name, step in steps.items():
            turns[name].append(rate(step, TURN_S))
    return {name: statistics.median(each) for name, each in turns.items()}


def decord_step(records: list[ClipRecord], resize: int, rng: np.random.Generator) -> Callable[[], int]:
    """Decode 16 consecutive frames at a random place, as a loader without a store would."""
    import decord

    def step() -> int:
        record = records[rng.integers(len(records))]
        scale = resize / min(record.width, record.height)
        width, height = round(record.width * scale), round(record.height * scale)
        reader = decord.VideoReader(str(record.path), width=width, height=height, num_threads=1)
        first = int(rng.integers(record.frames - FRAMES + 1))
        reader.get_batch(list(range(first, first + FRAMES))).asnumpy()
        del reader
        return 1

    return step


def store_step(store: ClipStore, size: int, rng: np.random.Generator) -> Callable[[], int]:
    """Gather a batch of random windows."""
    lengths = np.array([store.frames(row) for row in range(len(store))])
    heights = np.array([store.height(row) for row in range(len(store))])
    widths = np.array([store.width(row) for row in range(len(store))])

    def step() -> int:
        rows = rng.integers(len(store), size=BATCH)
        frames = rng.integers(lengths[rows] - FRAMES + 1)[:, None] + np.arange(FRAMES)
        tops, lefts = rng.integers(heights[rows] - size + 1), rng.integers(widths[rows] - size + 1)
        store.gather(rows, frames, tops, lefts, size)
        return BATCH

    return step


def raw_step(store: ClipStore, folder: Path, size: int, rng: np.random.Generator) -> Callable[[], int]:
    """Slice random windows from one memory-mapped file of raw frames per clip, as a loader written by hand would."""
    folder.mkdir()
    clips = []
    for row in range(len(store)):
        frames = store.clip(row)
        frames.tofile(folder / f"{row}.raw")
        clips.append(np.memmap(folder / f"{row}.raw", np.uint8, "r", shape=frames.shape))

    def step() -> int:
        windows = []
        for row in rng.integers(len(clips), size=BATCH).tolist():
            frames, _, height, width = clips[row].shape
            first, top, left = (int(rng.integers(free + 1)) for free in (frames - FRAMES, height - size, width - size))
            windows.append(clips[row][first : first + FRAMES, :, top : top + size, left : left + size])
        np.stack(windows)
        return BATCH

    return step


def copy_step(store: ClipStore, size: int, rng: np.random.Generator) -> Callable[[], int]:
    """Copy as many bytes in one piece a clip, from random places of the same mapped file."""
    flat = np.memmap(store.path / "frames.u8", dtype=np.uint8, mode="r")
    count = FRAMES * 3 * size * size

    def step() -> int:
        out = np.empty((BATCH, count), np.uint8)
        for item, offset in enumerate(rng.integers(len(flat) - count, size=BATCH).tolist()):
            out[item] = flat[offset : offset + count]
        return BATCH

    return step


def rows_step(store: ClipStore, size: int, rng: np.random.Generator) -> Callable[[], int]:
    """Copy the whole rows in which random windows lie."""

    def step() -> int:
        for row in rng.integers(len(store), size=BATCH).tolist():
            first = rng.integers(store.frames(row) - FRAMES + 1)
            top = rng.integers(store.height(row) - size + 1)
            store.clip(row)[first : first + FRAMES, :, top : top + size].copy()
        return BATCH

    return step


def drop_cache(store: ClipStore) -> None:
    """Ask the kernel to forget the store's pages."""
    with (store.path / "frames.u8").open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cold_rate(path: Path, size: int) -> float:
    """Clips a second of the first pass over a store whose pages are not in memory."""
    drop_cache(ClipStore.open(path))
    store = ClipStore.open(path)
    order = np.random.default_rng(0).permutation(len(store))
    started = time.perf_counter()
    for row in order:
        store.gather([row], [list(range(FRAMES))], [0], [0], size)
    return len(order) / (time.perf_counter() - started)


def child(path: Path, size: int) -> None:
    """Measure for as many seconds as each line of stdin says, and answer with what was found."""
    step = store_step(ClipStore.open(path), size, np.random.default_rng(os.getpid()))
    step()
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        measured = rate(step, float(line))
        anonymous = Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]
        print(json.dumps({"rate": measured, "private_mb": int(anonymous) / 1024}), flush=True)


class Reader:
    """A reading process that measures itself when it is told to."""

    def __init__(self, path: Path, size: int) -> None:
        command = [sys.executable, __file__, "--child", str(path), "--size", str(size)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def ask(self, seconds: float) -> None:
        """Begin to measure."""
        assert self._process.stdin is not None
        print(seconds, file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, float]:
        """What it found."""
        assert self._process.stdout is not None
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()


def together(readers: list[Reader], seconds: float) -> list[dict[str, float]]:
    """What readers find that begin at once."""
    for reader in readers:
        reader.ask(seconds)
    return [reader.answer() for reader in readers]


def sharing(path: Path, size: int, seconds: float) -> dict[str, float]:
    """One reader alone and two at once, in turns."""
    readers = [Reader(path, size), Reader(path, size)]
    alone: list[float] = []
    slower: list[float] = []
    both: list[float] = []
    private = 0.0
    for turn in range(max(4, round(seconds / TURN_S))):
        (one,) = together([readers[turn % 2]], TURN_S)
        two = together(readers, TURN_S)
        alone.append(one["rate"])
        both.append(sum(each["rate"] for each in two))
        slower.append(min(each["rate"] for each in two))
        private = max(private, one["private_mb"])
    for reader in readers:
        reader.close()
    return {
        "one process, clips/s": statistics.median(alone),
        "two processes, clips/s": statistics.median(both),
        "each of two processes / one alone": statistics.median(slower) / statistics.median(alone),
        "private memory, whole store, MB": private,
    }


def measure(folder: Path, size: int, resize: int, seconds: float) -> dict[str, float]:
    """Every figure by name."""
    rng = np.random.default_rng(0)
    figures = {"load at the start": os.getloadavg()[0]}
    found = samples(folder)
    clips = tuple(record for records in found.values() for record in records)
    manifest = Manifest(folder / "manifest.parquet", clips)
    settings = Clip(fps=25.0, resize=resize, size=size)
    workers = os.cpu_count() or 1
    started = time.perf_counter()
    path = build_store(manifest, settings, folder / "stores", workers=workers)
    figures["build, frames/s"] = sum(record.frames for record in clips) / (time.perf_counter() - started)
    jpeg = build_store(manifest, settings.model_copy(update={"storage": "jpeg"}), folder / "stores", workers=workers)
    square = build_store(manifest, settings.model_copy(update={"crop": "raw"}), folder / "stores", workers=workers)
    small = build_store(manifest.select([clips[-1].clip_id]), settings, folder / "stores")
    store, whole = ClipStore.open(path), ClipStore.open(square)
    figures["rows read, bytes a byte wanted"] = float(np.mean([store.width(row) for row in range(len(store))])) / size
    figures |= rates(
        {f"decord on {name}, clips/s": decord_step(records, resize, rng) for name, records in found.items()}
        | {
            "store, clips/s": store_step(store, size, rng),
            "plain raw-frame reader, clips/s": raw_step(store, folder / "raw", size, rng),
            "memory copy, clips/s": copy_step(store, size, rng),
            "copy of the rows read, clips/s": rows_step(store, size, rng),
            "store, whole frames, clips/s": store_step(whole, resize, rng),
            "memory copy, whole frames, clips/s": copy_step(whole, resize, rng),
            "jpeg store, clips/s": store_step(ClipStore.open(jpeg), size, rng),
        },
        seconds,
    )
    figures["store, cold, clips/s"] = cold_rate(path, size)
    figures |= sharing(path, size, seconds)
    tiny = Reader(small, size)
    figures["private memory, one clip, MB"] = together([tiny], TURN_S)[0]["private_mb"]
    tiny.close()
    for name in found:
        figures[f"store / decord on {name}"] = figures["store, clips/s"] / figures[f"decord on {name}, clips/s"]
    figures["store / memory copy"] = figures["store, clips/s"] / figures["memory copy, clips/s"]
    figures["store / plain raw-frame reader"] = figures["store, clips/s"] / figures["plain raw-frame reader, clips/s"]
    figures["store / copy of the rows read"] = figures["store, clips/s"] / figures["copy of the rows read, clips/s"]
    figures["store / memory copy, whole frames"] = (
        figures["store, whole frames, clips/s"] / figures["memory copy, whole frames, clips/s"]
    )
    figures["load at the end"] = os.getloadavg()[0]
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=96, help="side of the window that is read")
    parser.add_argument("--resize", type=int, default=112, help="short side that is stored")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child, options.size)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.size, options.resize, options.seconds)
    for name, value in figures.items():
        target = TARGETS.get(name)
        verdict = "" if target is None else f"   (asked: {target:g}; {'reached' if value >= target else 'MISSED'})"
        print(f"{name:40s} {value:12,.2f}{verdict}")
    if max(figures["load at the start"], figures["load at the end"]) > 1.0 + (os.cpu_count() or 1):
        print("other work ran on this machine meanwhile: the rates are unreliable, and the ratios less so")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
