"""Read throughput of the clip store, compared with decoding each clip and with a plain memory copy.

    python benchmarks/input.py [--size 96] [--resize 112] [--seconds 3] [--json FILE]

Writes sample videos (2560×1440 H.264 and 320×240 avi), builds a store from them and measures in one run: random clips
of 16 frames read by decord, by the store and by a plain reader of raw frames (one numpy memory map per clip, all open),
a memory copy of the same number of bytes, the store read by two processes concurrently, the store with a cold page
cache, and the private memory of a reader of a small and a large store.

Compared quantities are measured in turns of a third of a second, and the median of the turns is reported, so that load
on the machine affects both equally; the load at the start and at the end is also printed.

A window is a part of each stored row, and memory is read by the row: `rows read` is the number of bytes read per
requested byte. A reader of this layout cannot be faster than a copy of these rows alone (`copy of the rows read`): with
1.6 bytes per requested byte, 0.4 to 0.5 of the speed of a plain copy of the requested bytes. The target of 0.6 for
cropped windows is therefore out of reach; the store reaches 0.9 of the copy of the rows. Views of uint8 and uint64
items, torch's strided copy, frames gathered in the cache before they are copied, and rows copied whole and cropped
afterwards were measured in the same turns; none is faster. `whole frames` are windows as large as the stored frame, as
with `crop: person_box` and `clip.size` equal to `clip.resize`; for them, every byte read is used.
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
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.store import ClipStore, build_store

FRAMES, BATCH = 16, 16
SAMPLES = {
    "2560x1440 H.264": ("libx264", ".mp4", 2560, 1440, 150, 2),
    "320x240 avi": ("mpeg4", ".avi", 320, 240, 150, 40),
}
"""Codec, suffix, size, number of frames, and number of files."""
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
"""Duration of one turn of a measurement, in seconds."""


def write_sample(path: Path, codec: str, width: int, height: int, frames: int, seed: int) -> None:
    """A textured scene with a moving figure, which requires realistic encoding effort."""
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
    """Clips per second; `step` returns the number of clips that it read."""
    made, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        made += step()
    return made / passed


def rates(steps: dict[str, Callable[[], int]], seconds: float) -> dict[str, float]:
    """Clips per second of each reader, as the median over turns."""
    turns: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(max(3, round(seconds / TURN_S))):
        for name, step in steps.items():
            turns[name].append(rate(step, TURN_S))
    return {name: statistics.median(each) for name, each in turns.items()}


def decord_step(records: list[ClipRecord], resize: int, rng: np.random.Generator) -> Callable[[], int]:
    """Decode 16 consecutive frames from a random start, like a loader without a store."""
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
    """Slice random windows from one memory-mapped file of raw frames per clip, like a hand-written loader."""
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
    """Copy the same number of bytes in one piece per clip, from random positions of the same mapped file."""
    flat = np.memmap(store.path / "frames.u8", dtype=np.uint8, mode="r")
    count = FRAMES * 3 * size * size

    def step() -> int:
        out = np.empty((BATCH, count), np.uint8)
        for item, offset in enumerate(rng.integers(len(flat) - count, size=BATCH).tolist()):
            out[item] = flat[offset : offset + count]
        return BATCH

    return step


def rows_step(store: ClipStore, size: int, rng: np.random.Generator) -> Callable[[], int]:
    """Copy the whole rows that contain random windows."""

    def step() -> int:
        for row in rng.integers(len(store), size=BATCH).tolist():
            first = rng.integers(store.frames(row) - FRAMES + 1)
            top = rng.integers(store.height(row) - size + 1)
            store.clip(row)[first : first + FRAMES, :, top : top + size].copy()
        return BATCH

    return step


def drop_cache(store: ClipStore) -> None:
    """Ask the kernel to drop the store's pages from its cache."""
    with (store.path / "frames.u8").open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cold_rate(path: Path, size: int) -> float:
    """Clips per second of the first pass over a store with a cold page cache."""
    drop_cache(ClipStore.open(path))
    store = ClipStore.open(path)
    order = np.random.default_rng(0).permutation(len(store))
    started = time.perf_counter()
    for row in order:
        store.gather([row], [list(range(FRAMES))], [0], [0], size)
    return len(order) / (time.perf_counter() - started)


def child(path: Path, size: int) -> None:
    """For each number of seconds read from stdin, measure for that time and print the result."""
    step = store_step(ClipStore.open(path), size, np.random.default_rng(os.getpid()))
    step()
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        measured = rate(step, float(line))
        anonymous = Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]
        print(json.dumps({"rate": measured, "private_mb": int(anonymous) / 1024}), flush=True)


class Reader:
    """A reader process that measures its throughput on request."""

    def __init__(self, path: Path, size: int) -> None:
        command = [sys.executable, __file__, "--child", str(path), "--size", str(size)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def ask(self, seconds: float) -> None:
        """Start a measurement."""
        assert self._process.stdin is not None
        print(seconds, file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, float]:
        """The result of the measurement."""
        assert self._process.stdout is not None
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def together(readers: list[Reader], seconds: float) -> list[dict[str, float]]:
    """Results of readers that start simultaneously."""
    for reader in readers:
        reader.ask(seconds)
    return [reader.answer() for reader in readers]


def sharing(path: Path, size: int, seconds: float) -> dict[str, float]:
    """One reader alone and two concurrent readers, in turns."""
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
    """All results by name."""
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
    figures["rows read, bytes per requested byte"] = (
        float(np.mean([store.width(row) for row in range(len(store))])) / size
    )
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
    """Measure and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=96, help="side length of the window, pixels")
    parser.add_argument("--resize", type=int, default=112, help="short side of the stored frames, pixels")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of each measurement")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child, options.size)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.size, options.resize, options.seconds)
    for name, value in figures.items():
        target = TARGETS.get(name)
        verdict = "" if target is None else f"   (target: {target:g}; {'reached' if value >= target else 'MISSED'})"
        print(f"{name:40s} {value:12,.2f}{verdict}")
    if max(figures["load at the start"], figures["load at the end"]) > 1.0 + (os.cpu_count() or 1):
        print("other work ran on this machine at the same time: the rates are unreliable, the ratios less affected")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
