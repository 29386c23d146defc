"""Clips of manifests without video files."""

from __future__ import annotations

from pathlib import Path

from agrm_study.training.data.clip_record import ClipRecord


def clip(subject: str, clip_id: str, **fields: object) -> ClipRecord:
    """A clip of nine frames."""
    values = {
        "subject_id": subject, "clip_id": clip_id, "path": Path("/x"), "frames": 9, "fps": 25.0, "width": 9,
        "height": 9, "checksum": clip_id, "source": "test",
    }  # fmt: skip
    return ClipRecord(**(values | fields))
