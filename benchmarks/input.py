"""How fast do clips come out of the store, beside decoding them each time and beside a plain memory copy?

    python benchmarks/input.py [--size 96] [--resize 112] [--seconds 3] [--json FILE]

Writes sample videos (2560×1440 H.264 and 320×240 avi), builds a store of them and measures, one after the other in one
run: random clips of 16 frames by decord, by the store, a memory copy of as many bytes, the store read by two processes
at once, the store with a cold page cache, and the private memory of a reader of a small and of a large store.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from agrm_study.study.recipe import Clip
from agrm_study.training.data.datasets import LAYOUTS
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
    "store / memory copy": 0.7,
    "each of two processes / one alone": 0.8,
}


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
        found[name] = LAYOUTS["folder"].index(place.parent)
    return found


def rate(step: Callable[[], int], seconds: float) -> float:
    """Clips a second: `step` returns how many it made; one call warms up."""
    step()
    made, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        made += step()
    return made / passed


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


def copy_step(store: ClipStore, size: int, rng: np.random.Generator) -> Callable[[], int]:
    """Copy as many bytes from random places of the same mapped file."""
    flat = np.memmap(store.path / "frames.u8", dtype=np.uint8, mode="r")
    count = FRAMES * 3 * size * size

    def step() -> int:
        out = np.empty((BATCH, count), np.uint8)
        for item, offset in enumerate(rng.integers(len(flat) - count, size=BATCH).tolist()):
            out[item] = flat[offset : offset + count]
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


def child(path: Path, size: int, seconds: float) -> dict[str, float]:
    """What one reading process measures of itself."""
    step = store_step(ClipStore.open(path), size, np.random.default_rng(os.getpid()))
    measured = rate(step, seconds)
    anonymous = Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]
    return {"rate": measured, "private_mb": int(anonymous) / 1024}


def children(path: Path, size: int, seconds: float, count: int) -> list[dict[str, float]]:
    """The same of processes that read at once."""
    command = [sys.executable, __file__, "--child", str(path), "--size", str(size), "--seconds", str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return [json.loads(process.communicate()[0]) for process in running]


def measure(folder: Path, size: int, resize: int, seconds: float) -> dict[str, float]:
    """Every figure by name."""
    rng = np.random.default_rng(0)
    found = samples(folder)
    clips = tuple(record for records in found.values() for record in records)
    manifest = Manifest(folder / "manifest.parquet", clips)
    settings = Clip(fps=25.0, resize=resize, size=size)
    workers = os.cpu_count() or 1
    started = time.perf_counter()
    path = build_store(manifest, settings, folder / "stores", workers=workers)
    figures = {"build, frames/s": sum(record.frames for record in clips) / (time.perf_counter() - started)}
    jpeg = build_store(manifest, settings.model_copy(update={"storage": "jpeg"}), folder / "stores", workers=workers)
    small = build_store(manifest.select([clips[-1].clip_id]), settings, folder / "stores")
    for name, records in found.items():
        figures[f"decord on {name}, clips/s"] = rate(decord_step(records, resize, rng), seconds)
    store = ClipStore.open(path)
    figures["store, clips/s"] = rate(store_step(store, size, rng), seconds)
    figures["memory copy, clips/s"] = rate(copy_step(store, size, rng), seconds)
    figures["jpeg store, clips/s"] = rate(store_step(ClipStore.open(jpeg), size, rng), seconds)
    figures["store, cold, clips/s"] = cold_rate(path, size)
    (alone,) = children(path, size, seconds, 1)
    both = children(path, size, seconds, 2)
    (tiny,) = children(small, size, seconds, 1)
    figures["one process, clips/s"] = alone["rate"]
    figures["two processes, clips/s"] = sum(each["rate"] for each in both)
    figures["private memory, whole store, MB"] = alone["private_mb"]
    figures["private memory, one clip, MB"] = tiny["private_mb"]
    for name in found:
        figures[f"store / decord on {name}"] = figures["store, clips/s"] / figures[f"decord on {name}, clips/s"]
    figures["store / memory copy"] = figures["store, clips/s"] / figures["memory copy, clips/s"]
    figures["each of two processes / one alone"] = min(each["rate"] for each in both) / alone["rate"]
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
        print(json.dumps(child(options.child, options.size, options.seconds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.size, options.resize, options.seconds)
    for name, value in figures.items():
        target = TARGETS.get(name)
        verdict = "" if target is None else f"   (asked: {target:g}; {'reached' if value >= target else 'MISSED'})"
        print(f"{name:40s} {value:12,.2f}{verdict}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
