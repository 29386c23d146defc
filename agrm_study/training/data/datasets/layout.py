"""Interface of a data set layout, and indexing of the videos it finds."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agrm_study.study.errors import InputError
from agrm_study.study.labels import LABELS
from agrm_study.training.data.decoding import VideoError, VideoInfo, read_info
from agrm_study.training.data.decoding.killable import Failure, KillablePool
from agrm_study.training.data.manifest import Box, ClipRecord
from agrm_study.training.data.store.ingest import file_checksum

VIDEO_SUFFIXES = frozenset(
    {".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".mts", ".ts"}
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """User options of a layout, in addition to the path.

    Attributes:
        labels: CSV file of labels (spwvd); None uses the only CSV file in the folder.
        spellings: Additional spellings of labels, such as {"0": "normal"}.
        views: Views to keep from a multi-view data set, in degrees; None keeps all.
    """

    labels: Path | None = None
    spellings: Mapping[str, str] = field(default_factory=dict)
    views: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A video and the metadata known from its layout; the attributes match those of `ClipRecord`."""

    path: Path
    subject_id: str
    clip_id: str
    source: str
    label: str | None = None
    hidden_label: str | None = None
    view: int | None = None
    condition: str | None = None
    sex: str | None = None
    age: float | None = None
    boxes: tuple[Box, ...] | None = None


class Layout(ABC):
    """A convention for arranging the videos and labels of a data set on disk."""

    name: str
    describes: str
    """One-line description of the expected files, for messages."""
    example: Mapping[str, str]
    """Minimal example with two subjects: relative path → text content (empty for a video)."""

    @abstractmethod
    def find(self, path: Path, options: Options) -> list[Found]:
        """Find the videos under a path from file names and tables alone, without opening them.

        Returns:
            The videos, sorted by clip id.

        Raises:
            InputError: The path does not follow this layout, or a label or a name cannot be parsed.
        """

    def index(
        self,
        path: Path | str,
        options: Options | None = None,
        *,
        workers: int = 1,
        on_progress: Progress | None = None,
    ) -> list[ClipRecord]:
        """Find the videos and read the metadata and checksum of each.

        An unreadable video is kept with 0 frames, so that `data check` reports it and a study refuses it.

        Args:
            path: The data set.
            options: User options.
            workers: Number of processes.
            on_progress: Called with the number of indexed videos and the total number of videos.

        Raises:
            InputError: As in `find`, or two videos have the same clip id.
        """
        path = Path(path).absolute()
        if not path.exists():
            raise InputError("the path does not exist", where=path)
        return examine(self.find(path, options or Options()), workers=workers, on_progress=on_progress)


def examine(found: Sequence[Found], *, workers: int = 1, on_progress: Progress | None = None) -> list[ClipRecord]:
    """Clip records of the videos, in the given order; `workers` processes read the metadata."""
    check_names(found)
    records: list[ClipRecord | None] = [None] * len(found)
    with KillablePool(min(workers, max(1, len(found)))) as pool:
        results = pool.map_unordered(_metadata, [(each.path,) for each in found])
        for done, (position, result) in enumerate(results, start=1):
            info = None if isinstance(result, Failure) else result
            records[position] = _record(found[position], info)
            if on_progress is not None:
                on_progress(done, len(found))
    return [record for record in records if record is not None]


def check_names(clips: Iterable[Found | ClipRecord]) -> None:
    """Check that clip ids are unique and that no subject id occurs in two sources.

    Raises:
        InputError: A duplicate; the message names both clips or both sources.
    """
    paths: dict[str, Path] = {}
    sources: dict[str, str] = {}
    for clip in clips:
        if paths.setdefault(clip.clip_id, clip.path) != clip.path:
            rule = f"two videos have the clip id {clip.clip_id}; the other is {paths[clip.clip_id]}"
            raise InputError(rule, where=clip.path, field="clip_id")
        if sources.setdefault(clip.subject_id, clip.source) != clip.source:
            rule = f"subjects of two data sets, {sources[clip.subject_id]} and {clip.source}, have the same name"
            raise InputError(rule, where=clip.path, field="subject_id", given=clip.subject_id)


def videos_under(path: Path) -> list[Path]:
    """Sorted video files in a folder tree, without hidden files.

    Raises:
        InputError: The path is not a folder.
    """
    if not path.is_dir():
        raise InputError("must be a folder", where=path)
    return sorted(
        each
        for each in path.rglob("*")
        if each.suffix.lower() in VIDEO_SUFFIXES and not each.name.startswith(".") and each.is_file()
    )


_SPELLINGS: dict[str, str] = {
    **dict.fromkeys(("normal", "norm", "healthy", "control", "n", "neutral", "straight"), "normal"),
    **dict.fromkeys(("genuvarum", "varum", "varus", "bowleg", "bowlegs", "bowlegged", "oleg", "olegs", "otype", "o"),
                    "genu_varum"),
    **dict.fromkeys(("genuvalgum", "valgum", "valgus", "knockknee", "knockknees", "xleg", "xlegs", "xtype", "x"),
                    "genu_valgum"),
    **dict.fromkeys(("", "unlabelled", "unlabeled", "unknown", "none", "na", "nan"), ""),
}  # fmt: skip


def read_label(text: str, spellings: Mapping[str, str]) -> str | None:
    """Parse a label in a common spelling (`Varus`, `genu-varum`, `bow legs`, …); None for an unlabelled clip.

    Raises:
        ValueError: The text is ambiguous or unknown. This includes numbers without an explicit spelling, because data
            sets assign different meanings to 1 and 2.
    """
    extra = {_normalised(key): value for key, value in spellings.items()}
    key = _normalised(text)
    label = extra.get(key, _SPELLINGS.get(key))
    if label is None or (label and label not in LABELS):
        raise ValueError(text)
    return label or None


LABEL_HINT = "Define other spellings, including numbers, with `--label 1=genu_varum`."
LABEL_CHOICES = f"{', '.join(LABELS)} in common spellings, or empty"


def _normalised(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.strip().lower())


def _metadata(path: Path) -> VideoInfo | None:
    """Container metadata of a video; None if it cannot be read (runs in a child process)."""
    try:
        return read_info(path)
    except VideoError:
        return None


def _record(found: Found, info: VideoInfo | None) -> ClipRecord:
    known: dict[str, Any] = {name: getattr(found, name) for name in Found.__slots__}
    metadata: dict[str, Any] = {name: getattr(info, name, 0) for name in ("frames", "width", "height", "rotation")}
    try:
        checksum = file_checksum(found.path)
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", where=found.path) from None
    return ClipRecord(**known, **metadata, fps=info.fps if info else 0.0, checksum=checksum)
