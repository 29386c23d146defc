"""Unusable videos, and the error that lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agrm_study.study.counted import counted
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.names import yaml_list
from agrm_study.training.data.store.frames import stored_shape

SHOWN = 10
"""Maximum number of problems listed in the message."""
SLOWEST = 0.5
"""Minimum mean frame rate of a video with valid timestamps, in frames per second."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with a clip.

    Attributes:
        clip_id, subject_id, path: The clip.
        kind: `unreadable`, `truncated`, `zero_length`, `too_short`, `too_small`, `changed`, `no_boxes`, … (see
            `check.KINDS`).
        message: One-line description.
    """

    clip_id: str
    subject_id: str
    path: Path
    kind: str
    message: str


class BadVideos(InputError):
    """Error that lists all videos that cannot be used.

    Attributes:
        problems: One entry per clip and kind.
    """

    def __init__(self, manifest: Path, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f"\n  {each.subject_id}: {each.path.name}: {each.message}" for each in self.problems[:SHOWN]]
        more = len(self.problems) - SHOWN
        lines += [f"\n  … and {more} more (`agrm-study data check` lists them)"] if more > 0 else []
        subjects = sorted({each.subject_id for each in self.problems})
        count = f"{counted(len(self.problems), 'video')} cannot be used"
        out = f"data.exclude: {yaml_list(subjects, SHOWN)}"
        super().__init__(
            f"{count}:{''.join(lines)}\n  Repair the files and index them again, or exclude the subjects with {out}",
            where=manifest,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return BadVideos, (Path(str(self.where)), self.problems)


def manifest_problems(manifest: Manifest, clip: Clip) -> list[Problem]:
    """Problems detected from the manifest alone: unreadable videos, and stored frames smaller than the input crop."""
    found: list[Problem] = []
    for record in manifest.clips:
        kind_and_message = _manifest_problem(record, clip)
        if kind_and_message is not None:
            found.append(Problem(record.clip_id, record.subject_id, record.path, *kind_and_message))
    return found


def _manifest_problem(record: ClipRecord, clip: Clip) -> tuple[str, str] | None:
    if record.frames == 0:
        return "unreadable", "could not be read when the manifest was written"
    if record.fps <= 0 or min(record.width, record.height) == 0:
        return "unreadable", f"the manifest specifies {record.fps:g} fps, {record.width}x{record.height}"
    if record.fps < SLOWEST:
        return "unreadable", f"{record.fps:.3g} frames per second on average: its timestamps are damaged"
    _, height, width = stored_shape(record, clip)
    if min(height, width) < clip.size:
        return "too_small", f"the stored frame, {width}x{height}, is smaller than clip.size {clip.size}"
    return None
