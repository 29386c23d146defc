"""Interface of a data set layout, and indexing of the videos that it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agrm_study.study.errors import InputError
from agrm_study.training.data.clip_record import Box, ClipRecord
from agrm_study.training.data.datasets.walk import LeftOut
from agrm_study.training.data.decoding import VideoError, VideoInfo, read_info
from agrm_study.training.data.decoding.images import CONTAINER, NOMINAL_RATE
from agrm_study.training.data.decoding.killable import Failure, KillablePool
from agrm_study.training.data.fields import box_problem
from agrm_study.training.data.manifest import absolute_path, printable
from agrm_study.training.data.store.ingest import file_checksum

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """User options for a layout, in addition to the path.

    Attributes:
        labels: CSV file of labels (spwvd) or annotations (gavd); None searches the folder.
        spellings: Additional spellings of labels, such as {"0": "normal"}.
        views: Views to keep from a multi-view data set, in degrees; None keeps all.
        fps: Frame rate for folders of numbered images; without it, such folders are skipped.
        site: Site of all videos for which the data set does not specify a site.
    """

    labels: Path | None = None
    spellings: Mapping[str, str] = field(default_factory=dict)
    views: tuple[int, ...] | None = None
    fps: float | None = None
    site: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Location of a row in a user's table, for messages: file, and line (CSV) or row number (Parquet)."""

    table: Path
    line: int

    def __str__(self) -> str:
        return f"{self.table.name}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """Number of frames and frame size, in pixels, of the annotated video."""

    frames: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A video and the metadata known from its layout.

    The attributes are the same as in `ClipRecord`, except for two: `row` is the table row that describes the video, and
    `annotated` describes the video to which `boxes` refer, if the file may be a copy of different size or length.
    """

    path: Path
    subject_id: str
    clip_id: str
    source: str
    label: str | None = None
    hidden_label: str | None = None
    view: int | None = None
    condition: str | None = None
    site: str | None = None
    sex: str | None = None
    age: float | None = None
    boxes: tuple[Box, ...] | None = None
    row: Row | None = None
    annotated: Annotated | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """The files of a data set before any video is opened.

    Attributes:
        found: Videos, sorted by clip id.
        left_out: Skipped files, with reasons.
        notes: Decisions that the user should be aware of, one sentence each.
    """

    found: tuple[Found, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """Metadata of the videos of a data set.

    Attributes:
        clips: Clip records.
        unreadable: The videos whose metadata cannot be read (records with 0 frames), with reasons.
        notes: Facts that the user should be aware of, one sentence each.
    """

    clips: tuple[ClipRecord, ...]
    unreadable: tuple[LeftOut, ...]
    notes: tuple[str, ...] = ()


class Layout(ABC):
    """A convention for arranging the videos and labels of a data set on disk."""

    name: str
    describes: str
    """One-line description of the expected files, for messages."""
    takes_labels = False
    """Whether the layout reads a separate CSV of labels (`--labels`)."""
    example: Mapping[str, str]
    """Minimal example with two subjects: relative path → text content (empty for a video)."""

    @abstractmethod
    def survey(self, path: Path, options: Options) -> Survey:
        """Find the videos under a path from file names and tables alone, without opening them.

        Raises:
            InputError: If the path does not follow this layout, or a label or a name cannot be parsed.
        """

    def find(self, path: Path, options: Options) -> list[Found]:
        """The videos of `survey`, sorted by clip id."""
        return list(self.survey(path, options).found)

    def index(
        self,
        path: Path | str,
        options: Options | None = None,
        *,
        workers: int = 1,
        on_progress: Progress | None = None,
    ) -> list[ClipRecord]:
        """Find the videos and read the metadata and checksum of each.

        An unreadable video is kept with 0 frames, so that `data check` reports it and a study rejects it.

        Args:
            path: The data set.
            options: User options.
            workers: Number of processes.
            on_progress: Called with the number of indexed videos and the total number of videos.

        Raises:
            InputError: As in `find` and `check_clips`, or if a box lies outside its video.
        """
        options = options or Options()
        found = self.find(existing(path), options)
        examined = examine(found, fps=options.fps, site=options.site, workers=workers, on_progress=on_progress)
        return list(examined.clips)


def existing(path: Path | str) -> Path:
    """The absolute path of a data set.

    Raises:
        InputError: If the path does not exist.
    """
    path = Path(path).absolute()
    if not path.exists():
        raise InputError("the path does not exist", where=printable(path))
    return path


def examine(
    found: Sequence[Found],
    *,
    fps: float | None = None,
    site: str | None = None,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> Examined:
    """Read the metadata and checksums of videos; the records keep the given order.

    Args:
        found: The videos.
        fps: Frame rate for folders of numbered images.
        site: Site of all videos for which the data set does not specify a site.
        workers: Number of processes.
        on_progress: Called with the number of examined videos and the total number of videos.

    Raises:
        InputError: As in `check_clips`, or if a file cannot be read or a box lies outside its video.
    """
    check_clips(found)
    records: list[ClipRecord | None] = [None] * len(found)
    unreadable: dict[int, LeftOut] = {}
    notes: dict[int, str] = {}
    with KillablePool(min(workers, max(1, len(found)))) as pool:
        results = pool.map_unordered(_metadata, [(each.path, fps) for each in found])
        for done, (position, result) in enumerate(results, start=1):
            info = result if isinstance(result, VideoInfo) else None
            if info is None:
                reason = result.message if isinstance(result, Failure) else result
                unreadable[position] = LeftOut(str(found[position].path), reason)
            elif note := _note(found[position], info):
                notes[position] = f"{found[position].path}: {note}"
            records[position] = _record(replace(found[position], site=found[position].site or site), info)
            if on_progress is not None:
                on_progress(done, len(found))
    clips = tuple(record for record in records if record is not None)
    return Examined(
        clips,
        tuple(unreadable[position] for position in sorted(unreadable)),
        tuple(notes[position] for position in sorted(notes)),
    )


def check_clips(clips: Iterable[Found | ClipRecord]) -> None:
    """Check that clip ids are unique, and that each subject occurs in a single source and with a single label.

    Raises:
        InputError: If a clip violates a rule; the message lists both clips.
    """
    by_id: dict[str, Found | ClipRecord] = {}
    by_subject: dict[str, Found | ClipRecord] = {}
    labelled: dict[str, Found | ClipRecord] = {}
    for clip in clips:
        first = by_id.setdefault(clip.clip_id, clip)
        if first is not clip:
            rule = f"two videos have the clip id {clip.clip_id}; the other video is {described(first)}"
            raise _refused(rule, clip, field="clip_id")
        first = by_subject.setdefault(clip.subject_id, clip)
        if first.source != clip.source:
            rule = f"subjects of two data sets, {first.source} and {clip.source}, have the same name"
            raise _refused(rule, clip, field="subject_id", given=clip.subject_id)
        if clip.label is None:
            continue
        first = labelled.setdefault(clip.subject_id, clip)
        if first.label != clip.label:
            rule = f"a subject must have one label; {clip.subject_id} has the label {first.label} in {described(first)}"
            hint = "Give different children different subject ids."
            raise _refused(rule, clip, field="label", given=clip.label, hint=hint)


def survey_of(
    found: Sequence[Found], left_out: Iterable[LeftOut], options: Options, where: Path, notes: Sequence[str] = ()
) -> Survey:
    """Create the survey of a layout: the clips whose view is selected in the options, sorted by clip id.

    Raises:
        InputError: If a selected view does not occur in the data set; the message lists the existing views.
    """
    kept, left_out = list(found), list(left_out)
    if options.views is not None:
        existing = sorted({clip.view for clip in found if clip.view is not None})
        for view in options.views:
            if view not in existing:
                allowed = ", ".join(map(str, existing)) or "none: the views of this data set are unknown"
                raise InputError("no video has this view", where=where, field="--view", given=view, allowed=allowed)
        kept = [clip for clip in found if clip.view in options.views]
        left_out += [
            LeftOut(str(clip.path), "a view that was not selected") for clip in found if clip.view not in options.views
        ]
    return Survey(tuple(sorted(kept, key=lambda each: each.clip_id)), tuple(left_out), tuple(notes))


def described(clip: Found | ClipRecord) -> str:
    """Location of a clip for messages: its row in the user's table, or its path."""
    row = getattr(clip, "row", None)
    return str(clip.path) if row is None else str(row)


def _refused(
    rule: str, clip: Found | ClipRecord, *, field: str, given: object = None, hint: str | None = None
) -> InputError:
    """An error about a clip, located at its row in the user's table if there is one."""
    row: Row | None = getattr(clip, "row", None)
    where, line = (clip.path, None) if row is None else (row.table, row.line)
    return InputError(rule, where=where, line=line, field=field, given=given, hint=hint)


def _metadata(path: Path, fps: float | None) -> VideoInfo | str:
    """Container metadata of a video, or the reason why it cannot be read (runs in a child process).

    The frame rate of a folder of images is `fps`, or lower if image numbers are missing.
    """
    try:
        info = read_info(path)
    except VideoError as error:
        return str(error)
    if info.container != CONTAINER:
        return info
    if fps is None:
        return "a folder of images has no frame rate; specify it with --fps"
    return replace(info, fps=round(info.fps * fps / NOMINAL_RATE, 6))


def _note(found: Found, info: VideoInfo) -> str:
    """A note for the user about a readable video; empty if there is none."""
    if info.shortfall:
        return f"truncated: {info.shortfall}"
    if info.absent:
        return f"{info.absent} of {info.frames + info.absent} numbered images are missing"
    if found.annotated is not None and found.annotated.frames != info.frames:
        return f"{info.frames} frames; {found.annotated.frames} are annotated, so boxes may be displaced"
    return ""


def _boxes(found: Found, info: VideoInfo | None) -> tuple[Box, ...] | None:
    """Key boxes in pixels of the video.

    Boxes that were annotated on a different copy are rescaled and truncated to the length of the video.
    """
    if found.boxes is None or found.annotated is None or info is None:
        return found.boxes
    across, down = info.width / found.annotated.width, info.height / found.annotated.height
    boxes = tuple((f, x * across, y * down, w * across, h * down) for f, x, y, w, h in found.boxes if f < info.frames)
    return boxes or None


def _record(found: Found, info: VideoInfo | None) -> ClipRecord:
    boxes = _boxes(found, info)
    if boxes is not None and (problem := box_problem(boxes, info.frames if info else 0)):
        raise _refused(problem, found, field="boxes", given=[list(box) for box in boxes])
    known: dict[str, Any] = {name: getattr(found, name) for name in Found.__slots__ if name not in ("row", "annotated")}
    known |= {"path": absolute_path(found.path), "boxes": boxes}
    metadata: dict[str, Any] = {name: getattr(info, name, 0) for name in ("frames", "width", "height", "rotation")}
    try:
        checksum = file_checksum(found.path)
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", where=found.path) from None
    return ClipRecord(**known, **metadata, fps=info.fps if info else 0.0, checksum=checksum)
