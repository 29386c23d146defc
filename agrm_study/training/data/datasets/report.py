"""Report of `data index`: the result for every file (indexed, skipped or unreadable)."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agrm_study.study.counted import counted
from agrm_study.training.data.datasets.append import Merged
from agrm_study.training.data.datasets.layout import Examined, Survey

SHOWN = 5
"""Maximum number of unreadable files, and of notes on videos, listed in the report."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """Result of `data index`.

    Attributes:
        manifest: The manifest.
        survey: All files of the data set.
        examined: The records of the videos.
        merged: The clips of the manifest.
        appended: Whether the clips were added to an existing manifest.
    """

    manifest: Path
    survey: Survey
    examined: Examined
    merged: Merged
    appended: bool

    def lines(self) -> list[str]:
        """Counts, reasons and notes as text, one statement per line."""
        clips, merged = self.merged.clips, self.merged
        labelled, subjects = sum(clip.label is not None for clip in clips), len({clip.subject_id for clip in clips})
        lines = [f"{counted(len(clips), 'clip')}, {labelled} with a label, {counted(subjects, 'subject')}"]
        if self.appended and not merged.added and not merged.updated:
            lines.append(
                f"nothing to add: every video is already in the manifest ({counted(merged.unchanged, 'video')})"
            )
        elif self.appended:
            lines.append(f"{merged.added} added, {merged.updated} updated, {merged.unchanged} unchanged")
        lines.append(
            f"files: {self._readable} indexed, {len(self.survey.left_out)} skipped, "
            f"{len(self.examined.unreadable)} unreadable"
        )
        reasons = Counter(each.reason for each in self.survey.left_out)
        lines += [f"skipped: {count} × {reason}" for reason, count in sorted(reasons.items())]
        unreadable = self.examined.unreadable
        lines += [f"unreadable: {each.path}: {each.reason}" for each in unreadable[:SHOWN]]
        if len(unreadable) > SHOWN:
            lines.append(f"unreadable: {len(unreadable) - SHOWN} more; `agrm-study data check` lists them")
        notes = self.examined.notes
        lines += notes[:SHOWN] + (
            (f"{len(notes) - SHOWN} more notes; --json lists them",) if len(notes) > SHOWN else ()
        )
        return [*lines, *self.survey.notes]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-serializable values."""
        unreadable = {each.path for each in self.examined.unreadable}
        taken = [
            {"path": str(clip.path), "clip_id": clip.clip_id, "subject_id": clip.subject_id, "label": clip.label}
            for found, clip in zip(self.survey.found, self.examined.clips, strict=True)
            if str(found.path) not in unreadable
        ]
        merged = self.merged
        return {
            "manifest": str(self.manifest),
            "counts": {
                "clips": len(merged.clips), "added": merged.added, "updated": merged.updated,
                "unchanged": merged.unchanged, "taken": len(taken), "left_out": len(self.survey.left_out),
                "unreadable": len(unreadable),
            },
            "taken": taken,
            "left_out": [asdict(each) for each in self.survey.left_out],
            "unreadable": [asdict(each) for each in self.examined.unreadable],
            "notes": [*self.examined.notes, *self.survey.notes],
        }  # fmt: skip

    @property
    def _readable(self) -> int:
        return len(self.examined.clips) - len(self.examined.unreadable)
