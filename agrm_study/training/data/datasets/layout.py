"""How does a folder of videos become clips, whatever its layout?"""

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
    """What a person may say beside the path.

    Attributes:
        labels: The CSV of labels (spwvd); None looks for the only one in the folder.
        spellings: Further spellings of labels, such as {"0": "normal"}.
        views: Degrees to keep of a multi-view set; None keeps all.
    """

    labels: Path | None = None
    spellings: Mapping[str, str] = field(default_factory=dict)
    views: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A video and what its layout says of it; the attributes are those of a `ClipRecord`."""

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
    """One way in which videos lie on a disk."""

    name: str
    describes: str
    """What is expected there, in one sentence for people."""
    example: Mapping[str, str]
    """A smallest set of two subjects: path below a folder → its text (of a video, nothing)."""

    @abstractmethod
    def find(self, path: Path, options: Options) -> list[Found]:
        """The videos under a path, sorted by clip id, from names and tables alone.

        Raises:
            InputError: A path that is not laid out like this, a label or a name that cannot be understood.
        """

    def index(
        self,
        path: Path | str,
        options: Options | None = None,
        *,
        workers: int = 1,
        on_progress: Progress | None = None,
    ) -> list[ClipRecord]:
        """Find the videos and read from each how long, fast and large it is, and its checksum.

        A video that cannot be read is kept with 0 frames, so that `data check` names it and a study refuses it.

        Raises:
            InputError: As in `find`.
        """
        path = Path(path).absolute()
        if not path.exists():
            raise InputError("the path does not exist", where=path)
        return examine(self.find(path, options or Options()), workers=workers, on_progress=on_progress)


def examine(found: Sequence[Found], *, workers: int = 1, on_progress: Progress | None = None) -> list[ClipRecord]:
    """Clip records of these videos, in their order."""
    check_names(found)
    records: list[ClipRecord | None] = [None] * len(found)
    with KillablePool(min(workers, max(1, len(found)))) as pool:
        results = pool.map_unordered(_facts, [(each.path,) for each in found])
        for done, (position, result) in enumerate(results, start=1):
            info = None if isinstance(result, Failure) else result
            records[position] = _record(found[position], info)
            if on_progress is not None:
                on_progress(done, len(found))
    return [record for record in records if record is not None]


def check_names(clips: Iterable[Found | ClipRecord]) -> None:
    """Refuse clips that share an id, and people of two sources that share one.

    Raises:
        InputError: Naming both.
    """
    paths: dict[str, Path] = {}
    sources: dict[str, str] = {}
    for clip in clips:
        if paths.setdefault(clip.clip_id, clip.path) != clip.path:
            rule = f"two videos have the name {clip.clip_id}: {paths[clip.clip_id]} is the other"
            raise InputError(rule, where=clip.path, field="clip_id")
        if sources.setdefault(clip.subject_id, clip.source) != clip.source:
            rule = f"subjects of two data sets have one name, {sources[clip.subject_id]} and {clip.source}"
            raise InputError(rule, where=clip.path, field="subject_id", given=clip.subject_id)


def videos_under(path: Path) -> list[Path]:
    """Video files at or below a folder, sorted; hidden ones are left out."""
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
    """The label that a person meant (`Varus`, `genu-varum`, `bow legs`, …); None for an unlabelled clip.

    Raises:
        ValueError: Nobody can tell. Numbers are among these: sets differ in what 1 and 2 stand for.
    """
    extra = {_squeezed(key): value for key, value in spellings.items()}
    key = _squeezed(text)
    label = extra.get(key, _SPELLINGS.get(key))
    if label is None or (label and label not in LABELS):
        raise ValueError(text)
    return label or None


LABEL_HINT = "Further spellings can be given, a number's too: `--label 1=genu_varum`."
LABEL_CHOICES = f"{', '.join(LABELS)} in the usual spellings, or empty"


def _squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.strip().lower())


def _facts(path: Path) -> VideoInfo | None:
    """What the container says; None for a file that cannot be read (runs in a child)."""
    try:
        return read_info(path)
    except VideoError:
        return None


def _record(found: Found, info: VideoInfo | None) -> ClipRecord:
    said: dict[str, Any] = {name: getattr(found, name) for name in Found.__slots__}
    facts: dict[str, Any] = {name: getattr(info, name, 0) for name in ("frames", "width", "height", "rotation")}
    try:
        checksum = file_checksum(found.path)
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", where=found.path) from None
    return ClipRecord(**said, **facts, fps=info.fps if info else 0.0, checksum=checksum)
