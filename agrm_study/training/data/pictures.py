"""Contact sheets of clips: the video, the stored frame, and the squares used by the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agrm_study.study.augment_settings import Augment
from agrm_study.study.recipe import Clip
from agrm_study.training.augment.views import Geometry, draw_view
from agrm_study.training.data.background import estimate_boxes
from agrm_study.training.data.clip_record import Box, ClipRecord
from agrm_study.training.data.decoding import VideoError, VideoInfo, read_frames
from agrm_study.training.data.decoding.killable import Failure, KillablePool
from agrm_study.training.data.drawing import BLUE, GREEN, ORANGE, PINK, Mark, Row, draw
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.seen import (
    WHOLE,
    person_boxes,
    share_inside,
    square_in_testing,
    stored_region,
)
from agrm_study.training.data.store.frames import kept_frames, stored_frames
from agrm_study.training.data.store.ingest import verified

MOMENTS = 6
"""Number of frames shown per clip."""


def draw_pictures(
    manifest: Manifest,
    clip: Clip,
    out: Path,
    *,
    augment: Augment | None = None,
    clips: int = 24,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write one contact sheet per clip that shows six frames in the video, in the store, and as network input.

    Args:
        manifest: Clips to choose from; the sheets are spread over labels and sources.
        clip: The preprocessing.
        out: Output folder of the sheets, `<clip_id>.jpg`.
        augment: Training augmentation; None for the augmentation of the protocol.
        clips: Maximum number of sheets.
        workers: Number of drawing processes.
        on_progress: Called with the number of finished sheets and the total number of sheets.

    Returns:
        Sorted paths of the sheets; unreadable files have no sheet.
    """
    out.mkdir(parents=True, exist_ok=True)
    chosen = spread(manifest, clips)
    views = augment or Augment()
    tasks = [(record, clip, views, out / f"{record.clip_id.replace('/', '_')}.jpg") for record in chosen]
    sheets: list[Path] = []
    with KillablePool(min(workers, max(1, len(tasks)))) as pool:
        for done, (position, result) in enumerate(pool.map_unordered(draw_sheet, tasks), start=1):
            if not isinstance(result, Failure):
                sheets.append(tasks[position][3])
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


def draw_sheet(record: ClipRecord, clip: Clip, augment: Augment, path: Path) -> None:
    """Draw the sheet of one clip (runs in a child process).

    Raises:
        VideoError: If the video cannot be read, or the sheet cannot be written.
    """
    info = verified(record)
    kept = kept_frames(record, info, clip)
    places = np.unique(np.linspace(0, len(kept) - 1, MOMENTS).round().astype(int))
    boxes = _boxes(record, info, clip)
    region = stored_region(record, clip, kept, boxes)
    stored_THWC = np.concatenate(list(stored_frames(record, info, clip)))[places].transpose(0, 2, 3, 1)
    video_THWC = np.concatenate(list(read_frames(record.path, info, kept[places].tolist(), info.width, info.height)))

    testing = square_in_testing(region.height, region.width, clip.size)
    training_T4, flips_T = _squares_in_training(augment, clip, region.height, region.width, len(places))
    person_T4 = None if boxes is None else person_boxes(boxes, kept, clip)
    in_video: list[list[Mark]] = [[(box, ORANGE)] for box in region.boxes_T4[places]]
    in_store: list[list[Mark]] = [[(testing, BLUE), (square, PINK)] for square in training_T4]
    legend = [(ORANGE, "the region of the video saved in the store")]
    warning = ""
    if person_T4 is not None:
        person_in_store_T4 = region.to_stored(person_T4)
        for marks, box in zip(in_video, person_T4[places], strict=True):
            marks.append((box, GREEN))
        for marks, box in zip(in_store, person_in_store_T4[places], strict=True):
            marks.append((box, GREEN))
        origin = "the manifest's boxes" if record.boxes else "estimated from motion"
        legend.append((GREEN, f"the person ({origin})"))
        share = share_inside(person_in_store_T4, testing)
        warning = f"Only {share:.0%} of the person is inside the test square." if share < WHOLE else ""
    rows = f"{clip.size} of {region.height} rows, {clip.size} of {region.width} columns of the stored frame"
    legend += [
        (BLUE, f"test square: {rows}"),
        (
            PINK,
            f"training square: one random sample per column ({augment.labelled} view; "
            "colour, noise, hidden areas not shown)",
        ),
    ]
    sheet = draw(
        _title(record, clip),
        legend,
        warning,
        [
            Row("video", video_THWC, in_video),
            Row("stored", stored_THWC, in_store),
            Row("network, testing", _cut(stored_THWC, np.tile(testing, (len(places), 1)))),
            Row("network, training", _cut(stored_THWC, training_T4, flips_T)),
        ],
    )
    if not cv2.imwrite(str(path), sheet, [cv2.IMWRITE_JPEG_QUALITY, 90]):
        raise VideoError(f"the image {path} cannot be written")


def _boxes(record: ClipRecord, info: VideoInfo, clip: Clip) -> tuple[Box, ...] | None:
    """Boxes from the manifest, or estimated boxes; None if the crop does not require boxes and no walker is found."""
    try:
        return record.boxes or estimate_boxes(record, info)
    except VideoError:
        if clip.crop == "person_box":
            raise
        return None


def _squares_in_training(
    augment: Augment, clip: Clip, height: int, width: int, count: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Random training squares x, y, w, h (N, 4) in the stored frame, and whether each is mirrored."""
    one = np.ones(count, dtype=np.int64)
    geometry = Geometry(
        lengths_N=one * clip.frames, heights_N=one * height, widths_N=one * width, frames=clip.frames, size=clip.size
    )
    settings = augment.strong if augment.labelled == "strong" else augment.weak
    view = draw_view(settings, np.random.default_rng(0), np.zeros(count), geometry)
    sides = one * clip.size
    return np.stack([view.lefts_N, view.tops_N, sides, sides], axis=1).astype(np.float64), view.flips_N


def _cut(
    frames_THWC: NDArray[np.uint8], squares_T4: NDArray[np.float64], flips_T: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """The square of each frame, mirrored if `flips_T` is true."""
    cut = []
    for place, (frame, (x, y, w, h)) in enumerate(zip(frames_THWC, squares_T4.astype(int), strict=True)):
        square = frame[y : y + h, x : x + w]
        cut.append(square[:, ::-1] if flips_T is not None and flips_T[place] else square)
    return np.stack(cut)


def _title(record: ClipRecord, clip: Clip) -> str:
    who = f"{record.source}  {record.clip_id}  {record.label or 'unlabelled'}"
    return f"{who}  {record.width}x{record.height}  crop: {clip.crop}"
