"""Contact sheets that compare each video with its stored clip, to reveal wrong crops before a study runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agrm_study.study.recipe import Clip
from agrm_study.training.data.background import estimate_boxes
from agrm_study.training.data.boxes import boxes_at, square_windows
from agrm_study.training.data.decoding import VideoError, VideoInfo, read_frames
from agrm_study.training.data.decoding.killable import Failure, KillablePool
from agrm_study.training.data.manifest import ClipRecord, Manifest
from agrm_study.training.data.store.frames import kept_frames, stored_frames
from agrm_study.training.data.store.ingest import verified

MOMENTS = 6
"""Number of frames shown per clip."""
HEIGHT = 180
"""Height of one image in a sheet, in pixels."""
GREEN, ORANGE, WHITE, DARK = (80, 220, 80), (40, 150, 250), (255, 255, 255), (30, 30, 30)
"""BGR colours of the person's box, the stored window, text and background."""


def draw_pictures(
    manifest: Manifest,
    clip: Clip,
    out: Path,
    *,
    clips: int = 24,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write one contact sheet per clip: six frames of the video with box and window above the stored frames.

    Args:
        manifest: Clips to choose from, spread over labels and sources.
        clip: The preprocessing.
        out: Output folder of the sheets, `<clip_id>.jpg`.
        clips: Maximum number of sheets.
        workers: Number of drawing processes.
        on_progress: Called with the number of finished sheets and the total number of sheets.

    Returns:
        Sorted paths of the sheets; unreadable files have none.
    """
    out.mkdir(parents=True, exist_ok=True)
    chosen = spread(manifest, clips)
    tasks = [(record, clip, out / f"{record.clip_id.replace('/', '_')}.jpg") for record in chosen]
    sheets: list[Path] = []
    with KillablePool(min(workers, max(1, len(tasks)))) as pool:
        for done, (position, result) in enumerate(pool.map_unordered(draw_sheet, tasks), start=1):
            if not isinstance(result, Failure):
                sheets.append(tasks[position][2])
            if on_progress is not None:
                on_progress(done, len(tasks))
    return sorted(sheets)


def spread(manifest: Manifest, clips: int) -> list[ClipRecord]:
    """At most `clips` readable clips, an equal number per label and source, evenly spaced within each group."""
    groups: dict[tuple[str, str], list[ClipRecord]] = {}
    for record in manifest.clips:
        if record.frames:
            groups.setdefault((record.source, record.label or ""), []).append(record)
    share = max(1, clips // max(1, len(groups)))
    picked = [
        members[place]
        for members in groups.values()
        for place in sorted({round(i) for i in np.linspace(0, len(members) - 1, min(share, len(members)))})
    ]
    return picked[:clips]


def draw_sheet(record: ClipRecord, clip: Clip, path: Path) -> None:
    """Draw the sheet of one clip (runs in a child process).

    Raises:
        VideoError: The video cannot be read, or the sheet cannot be written.
    """
    info = verified(record)
    kept = kept_frames(record, info, clip)
    places = np.unique(np.linspace(0, len(kept) - 1, MOMENTS).round().astype(int))
    frames_THWC = np.concatenate(list(read_frames(record.path, info, kept[places].tolist(), info.width, info.height)))
    seen = [
        _marked(frame, marks)
        for frame, marks in zip(frames_THWC, _marks(record, info, clip, kept, places), strict=True)
    ]
    stored = np.concatenate(list(stored_frames(record, info, clip)))[places]
    below = [np.ascontiguousarray(frame.transpose(1, 2, 0)[:, :, ::-1]) for frame in stored]
    width = max(_scaled(image).shape[1] for image in (*seen, *below))
    rows = [np.hstack([_padded(_scaled(image), width) for image in row]) for row in (seen, below)]
    sheet = np.vstack([_title(record, clip, rows[0].shape[1]), *rows])
    if not cv2.imwrite(str(path), sheet, [cv2.IMWRITE_JPEG_QUALITY, 90]):
        raise VideoError(f"the image {path} cannot be written")


def _marks(
    record: ClipRecord, info: VideoInfo, clip: Clip, kept: NDArray[np.int64], places: NDArray[np.int64]
) -> list[list[tuple[NDArray[np.float64], tuple[int, int, int]]]]:
    """Boxes (x, y, w, h) to draw on each frame, with their colours."""
    marks: list[list[tuple[NDArray[np.float64], tuple[int, int, int]]]] = [[] for _ in places]
    boxes = record.boxes
    if boxes is None and clip.crop == "person_box":
        boxes = estimate_boxes(record, info)
    if boxes is not None:
        for mark, box in zip(marks, boxes_at(boxes, kept[places]), strict=True):
            mark.append((box, GREEN))
    if clip.crop == "raw":
        side = np.minimum(clip.resize, [info.width, info.height])
        window = np.concatenate([(np.array([info.width, info.height]) - side) / 2, side])
        for mark in marks:
            mark.append((window, ORANGE))
    if boxes is not None and clip.crop == "person_box":
        windows = square_windows(boxes, kept, clip.fps, clip.box_part)[places]
        for mark, (x, y, side) in zip(marks, windows, strict=True):
            mark.append((np.array([x - side / 2, y - side / 2, side, side]), ORANGE))
    return marks


def _marked(
    frame_HWC: NDArray[np.uint8], marks: list[tuple[NDArray[np.float64], tuple[int, int, int]]]
) -> NDArray[np.uint8]:
    image = np.ascontiguousarray(frame_HWC[:, :, ::-1])
    thick = max(1, round(image.shape[0] / HEIGHT * 1.5))
    for (x, y, w, h), colour in marks:
        cv2.rectangle(image, (round(x), round(y)), (round(x + w), round(y + h)), colour, thick)
    return image


def _scaled(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = max(1, round(image.shape[1] * HEIGHT / image.shape[0]))
    return np.asarray(cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _padded(image: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    free = width - image.shape[1]
    return np.asarray(
        cv2.copyMakeBorder(image, 2, 2, free // 2 + 2, free - free // 2 + 2, cv2.BORDER_CONSTANT, value=DARK)
    )


def _title(record: ClipRecord, clip: Clip, width: int) -> NDArray[np.uint8]:
    bar = np.full((26, width, 3), DARK, np.uint8)
    who = f"{record.source}  {record.clip_id}  {record.label or 'unlabelled'}"
    text = f"{who}  {record.width}x{record.height}  crop: {clip.crop}"
    cv2.putText(bar, text, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, WHITE, 1, cv2.LINE_AA)
    return bar
