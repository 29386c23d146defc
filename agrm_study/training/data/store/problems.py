"""Which videos cannot be used, and why?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip
from agrm_study.training.data.manifest import ClipRecord, Manifest
from agrm_study.training.data.store.frames import stored_shape

SHOWN = 10
"""Problems that the message spells out."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one clip.

    Attributes:
        kind: `unreadable`, `truncated`, `zero_length`, `too_short`, `too_small`, `changed`, `no_boxes`, … (see
            `check.KINDS`).
        message: One line.
    """

    clip_id: str
    subject_id: str
    path: Path
    kind: str
    message: str


class BadVideos(InputError):
    """Videos that would fail in the middle of a trial, all of them at once.

    Attributes:
        problems: One per clip and kind.
    """

    def __init__(self, manifest: Path, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f"\n  {each.subject_id}: {each.path.name}: {each.message}" for each in self.problems[:SHOWN]]
        more = len(self.problems) - SHOWN
        lines += [f"\n  … and {more} more (`agrm-study data check` lists them)"] if more > 0 else []
        subjects = sorted({each.subject_id for each in self.problems})
        count = f"{len(self.problems)} video{'s' if len(self.problems) > 1 else ''} cannot be used"
        out = f"data.exclude: [{', '.join(subjects[:SHOWN])}{', …' if len(subjects) > SHOWN else ''}]"
        super().__init__(
            f"{count}:{''.join(lines)}\n  repair the files and index them again, or leave the subjects out with {out}",
            where=manifest,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return BadVideos, (Path(str(self.where)), self.problems)


def foreseen(manifest: Manifest, clip: Clip) -> list[Problem]:
    """Problems that the manifest alone shows: no frames, too few for a window, a frame too small for the crop."""
    found: list[Problem] = []
    for record in manifest.clips:
        kind_and_message = _foreseen(record, clip)
        if kind_and_message is not None:
            found.append(Problem(record.clip_id, record.subject_id, record.path, *kind_and_message))
    return found


def _foreseen(record: ClipRecord, clip: Clip) -> tuple[str, str] | None:
    if record.frames == 0:
        return "unreadable", "could not be read when the manifest was written"
    if record.fps <= 0 or min(record.width, record.height) == 0:
        return "unreadable", f"the manifest says {record.fps:g} fps, {record.width}x{record.height}"
    _, height, width = stored_shape(record, clip)
    if min(height, width) < clip.size:
        return "too_small", f"the stored {width}x{height} is smaller than clip.size {clip.size}"
    return None
