"""Record of one clip in a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Box = tuple[int, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRecord:
    """One video file.

    Attributes:
        subject_id: The person in the video; the unit of splits and statistics.
        clip_id: Id of the clip, unique within a manifest.
        path: Absolute path of the video.
        label: Label text (the paper uses `normal`, `genu_varum`, `genu_valgum`), or None for an unlabelled clip.
        hidden_label: True label of an unlabelled synthetic clip, used only to measure pseudo-label accuracy.
        view: Camera angle in degrees (CASIA-B: 0 … 180), or None.
        condition: Walking condition (CASIA-B: `nm-01`, `bg-02`, `cl-01`), or None.
        frames: Number of presented frames (after edit lists); 0 for an unreadable file.
        fps: Mean frame rate, in frames per second.
        width, height: Size of a displayed frame (after rotation), in pixels.
        rotation: Clockwise rotation specified by the container, in degrees: 0, 90, 180 or 270.
        checksum: Hexadecimal SHA-256 of the file.
        source: The data set (`spwvd`, `casia_b`, `folder`, …).
        site: Hospital, laboratory or other location of the recording, or None.
        sex: `male`, `female` or None.
        age: Age in years, or None.
        boxes: Key boxes of the person (frame, x, y, w, h) in pixels of the displayed frame, with linear
            interpolation between them; None if unknown.
    """

    subject_id: str
    clip_id: str
    path: Path
    label: str | None = None
    hidden_label: str | None = None
    view: int | None = None
    condition: str | None = None
    frames: int
    fps: float
    width: int
    height: int
    rotation: int = 0
    checksum: str
    source: str
    site: str | None = None
    sex: str | None = None
    age: float | None = None
    boxes: tuple[Box, ...] | None = None

    @property
    def seconds(self) -> float:
        """Duration in seconds; 0 for an unreadable file."""
        return self.frames / self.fps if self.fps > 0 else 0.0
