"""What is wrong with the files of a manifest, and which of it would stop a study?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from agrm_study.study.recipe import Clip
from agrm_study.training.data.decoding import VideoError, VideoInfo, read_frames
from agrm_study.training.data.decoding.killable import Failure, KillablePool
from agrm_study.training.data.manifest import ClipRecord, Manifest
from agrm_study.training.data.store.frames import stored_shape
from agrm_study.training.data.store.ingest import verified
from agrm_study.training.data.store.problems import foreseen

Severity = Literal["stops", "note"]

KINDS: dict[str, tuple[Severity, str]] = {
    "missing": ("stops", "the file is not there"),
    "zero_length": ("stops", "the file is empty or has no frames"),
    "unreadable": ("stops", "the file cannot be opened or decoded"),
    "truncated": ("stops", "fewer frames than the container or the manifest promises"),
    "changed": ("stops", "not the file that was indexed"),
    "too_small": ("stops", "the stored frame is smaller than the network's input"),
    "duplicate": ("stops", "one video under two subjects: it could stand in training and in test"),
    "too_short": ("note", "shorter than one window: its last frame is repeated"),
    "variable_rate": ("note", "frames are unevenly spaced: they are resampled by their own times"),
    "rotated": ("note", "the container asks for a rotation: it is honoured"),
    "odd_size": ("note", "an odd width or height"),
    "edit_list": ("note", "part of the stream is hidden by an edit list: only what is presented counts"),
    "restated_rate": ("note", "the manifest states another frame rate than the container: the manifest's counts"),
    "repeated": ("note", "one video twice under one subject"),
    "label_less": ("note", "no label, in a data set that has labels: it counts as unlabelled"),
}
"""What can be found: whether it stops a study, and what it means."""

DAMAGE = frozenset({"missing", "zero_length", "unreadable", "truncated", "changed"})
"""Kinds of a file that is not what it was."""
SMALL = 64
"""Pixels of the short side at which files are decoded for a check."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one clip; `severity` is `stops` or `note`."""

    clip_id: str
    subject_id: str
    path: Path
    kind: str
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All findings, those that stop a study first, then by kind and clip.

    Attributes:
        clips: Files that were checked.
    """

    manifest: Path
    clips: int
    findings: tuple[Finding, ...]

    @property
    def stops(self) -> bool:
        """Whether something would stop a study."""
        return any(finding.severity == "stops" for finding in self.findings)

    @property
    def subjects_that_stop(self) -> tuple[str, ...]:
        """Subjects without whom a study would run."""
        return tuple(sorted({finding.subject_id for finding in self.findings if finding.severity == "stops"}))

    def counts(self) -> dict[str, int]:
        """Findings by kind, in the order of `KINDS`."""
        counts = Counter(finding.kind for finding in self.findings)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "manifest": str(self.manifest),
            "clips": self.clips,
            "stops": self.stops,
            "counts": self.counts(),
            "findings": [asdict(finding) | {"path": str(finding.path)} for finding in self.findings],
        }


def check_manifest(
    manifest: Manifest,
    clip: Clip | None = None,
    *,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
    stall_s: float = 120.0,
) -> CheckReport:
    """Decode every file of a manifest to its end and say what is wrong.

    Args:
        manifest: Read with `require_files=False`, so that missing files are findings and not an error.
        clip: The preprocessing to check against (window length, smallest frame).
        workers: Processes that decode.
        on_progress: Called with files checked and files in all.
        stall_s: Seconds without a sign of life after which a file is given up.
    """
    clip = clip or Clip()
    findings = _by_name(manifest, clip)
    with KillablePool(min(workers, len(manifest.clips)), stall_s=stall_s) as pool:
        results = pool.map_unordered(check_file, [(record,) for record in manifest.clips])
        for done, (position, result) in enumerate(results, start=1):
            record = manifest.clips[position]
            facts = [("unreadable", result.message)] if isinstance(result, Failure) else result
            findings += [_finding(record, kind, message) for kind, message in facts]
            if on_progress is not None:
                on_progress(done, len(manifest.clips))
    order = list(KINDS)
    ranked = sorted(
        _without_echoes(findings), key=lambda each: (each.severity != "stops", order.index(each.kind), each.clip_id)
    )
    return CheckReport(manifest.path, len(manifest.clips), tuple(ranked))


def _without_echoes(findings: list[Finding]) -> list[Finding]:
    """One finding a clip and kind; nothing that only follows from a file's damage."""
    unique = {(finding.clip_id, finding.kind): finding for finding in findings}
    damaged = {finding.clip_id for finding in findings if finding.kind in DAMAGE}
    opened = {finding.clip_id for finding in findings if finding.kind in DAMAGE - {"unreadable"}}
    return [
        finding
        for finding in unique.values()
        if not (finding.kind == "too_short" and finding.clip_id in damaged)
        and not (finding.kind == "unreadable" and finding.clip_id in opened)
    ]


def check_file(record: ClipRecord) -> list[tuple[str, str]]:
    """Kinds and messages of one file, decoded to its end (runs in a child process)."""
    try:
        info = verified(record)
        scale = min(1.0, SMALL / min(info.width, info.height))
        size = max(2, round(info.width * scale)), max(2, round(info.height * scale))
        for _ in read_frames(record.path, info, list(range(info.frames)), *size):
            pass
    except VideoError as error:
        return [(error.kind, str(error))]
    return list(_notes(record, info))


def _notes(record: ClipRecord, info: VideoInfo) -> Iterable[tuple[str, str]]:
    if info.variable_rate:
        yield "variable_rate", f"{info.fps:.3g} frames per second on average"
    if info.rotation:
        yield "rotated", f"by {info.rotation}° clockwise"
    if info.width % 2 or info.height % 2:
        yield "odd_size", f"{info.width}x{info.height}"
    if info.edit_list:
        yield "edit_list", f"{info.frames} frames are presented, {info.packets} are stored"
    if abs(info.fps - record.fps) > 0.01 * info.fps:
        yield "restated_rate", f"{record.fps:g} in the manifest, {info.fps:g} in the file"


def _by_name(manifest: Manifest, clip: Clip) -> list[Finding]:
    """What the manifest alone shows."""
    findings = [
        _finding(manifest.by_id[problem.clip_id], problem.kind, problem.message) for problem in foreseen(manifest, clip)
    ]
    labelled_sources = {record.source for record in manifest.labelled}
    twins: defaultdict[str, list[ClipRecord]] = defaultdict(list)
    for record in manifest.clips:
        twins[record.checksum].append(record)
        stored = stored_shape(record, clip)[0]
        if 0 < stored < clip.frames:
            findings.append(
                _finding(record, "too_short", f"{stored} frames at {clip.fps:g} fps, a window has {clip.frames}")
            )
        if record.label is None and record.source in labelled_sources:
            findings.append(_finding(record, "label_less", f"{record.source} has labels, this clip has none"))
    for records in twins.values():
        first = records[0]
        for other in records[1:]:
            kind = "repeated" if other.subject_id == first.subject_id else "duplicate"
            whose = "" if first.subject_id == first.clip_id else f" of subject {first.subject_id}"
            label = f", which is labelled {first.label}" if first.label != other.label else ""
            findings.append(_finding(other, kind, f"the same video as {first.clip_id}{whose}{label}"))
    return findings


def _finding(record: ClipRecord, kind: str, message: str) -> Finding:
    return Finding(record.clip_id, record.subject_id, record.path, kind, KINDS[kind][0], message)
