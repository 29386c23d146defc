"""Merging of newly indexed clips into a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agrm_study.study.errors import InputError
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.datasets.layout import check_clips
from agrm_study.training.data.manifest import absolute_path
from agrm_study.training.data.names import name_key

TABLE = "manifest"
"""Default source of clips whose subject ids come from a table."""
IDENTITY = ("clip_id", "subject_id", "label", "source")
"""Columns that must not change when a video is indexed again."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Clips of the merged manifest: the existing ones in their original order, then the new ones.

    Attributes:
        clips: All clips.
        added: Number of new clips.
        updated: Number of clips whose video or metadata changed since they were indexed.
        unchanged: Number of indexed clips whose manifest row did not change.
    """

    clips: tuple[ClipRecord, ...]
    added: int
    updated: int
    unchanged: int


def merge(before: Sequence[ClipRecord], found: Sequence[ClipRecord]) -> Merged:
    """Add clips to a manifest; a clip that it already contains is replaced.

    Raises:
        InputError: If a video in the manifest now has a different clip id, subject, label or source, or the merged
            clips violate a rule of `check_clips`.
    """
    by_path: dict[Path, dict[str, ClipRecord]] = {}
    for clip in before:
        by_path.setdefault(absolute_path(clip.path), {})[clip.clip_id] = clip
    found = _same_children(before, found)
    replaced: dict[str, ClipRecord] = {}
    added: list[ClipRecord] = []
    updated = 0
    for clip in found:
        same_video = by_path.get(absolute_path(clip.path))
        if same_video is None:
            added.append(clip)
            continue
        old = same_video.get(clip.clip_id) or next(iter(same_video.values()))
        _check_identity(old, clip)
        replaced[clip.clip_id] = clip
        updated += clip != old
    clips = (*(replaced.get(clip.clip_id, clip) for clip in before), *added)
    check_clips(clips)
    return Merged(clips, len(added), updated, len(found) - len(added) - updated)


def _same_children(before: Sequence[ClipRecord], found: Sequence[ClipRecord]) -> list[ClipRecord]:
    """The found clips, with subject ids from file names spelled as in the manifest."""
    spelled: dict[tuple[str, str], str] = {}
    for clip in before:
        if clip.source != TABLE:
            spelled.setdefault((clip.source, name_key(clip.subject_id)), clip.subject_id)
    return [
        replace(clip, subject_id=spelled.get((clip.source, name_key(clip.subject_id)), clip.subject_id))
        for clip in found
    ]


def _check_identity(old: ClipRecord, new: ClipRecord) -> None:
    for name in IDENTITY:
        if getattr(old, name) != getattr(new, name):
            rule = f"the manifest lists the video with a different {name}: {_row(old)}; now: {_row(new)}"
            hint = "Index into a new folder, or correct the rows before appending."
            raise InputError(rule, where=new.path, field=name, hint=hint)


def _row(clip: ClipRecord) -> str:
    return ", ".join(f"{name} {getattr(clip, name) or '(empty)'}" for name in IDENTITY)
