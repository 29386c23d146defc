"""Checks of the videos in a manifest; a finding either prevents a study from running or is only a note."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from agrm_study.study.recipe import Clip
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.decoding import VideoError, VideoInfo, read_frames
from agrm_study.training.data.decoding.images import CONTAINER
from agrm_study.training.data.decoding.killable import Failure, KillablePool
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.seen import square_notes
from agrm_study.training.data.store.frames import stored_shape
from agrm_study.training.data.store.ingest import verified
from agrm_study.training.data.store.problems import manifest_problems

Severity = Literal["stops", "note"]

KINDS: dict[str, tuple[Severity, str]] = {
    "missing": ("stops", "the file does not exist"),
    "zero_length": ("stops", "the file is empty or has no frames"),
    "unreadable": ("stops", "the file cannot be opened or decoded"),
    "truncated": ("stops", "fewer frames than the container or the manifest specifies"),
    "changed": ("stops", "the file has changed since it was indexed"),
    "too_small": ("stops", "the stored frame is smaller than the network's input"),
    "duplicate": ("stops", "the same video appears under two subjects: it could be in both training and test data"),
    "cut_off": ("note", "part of the person lies outside the test square"),
    "narrow": ("note", "the test square covers only a small part of the frame"),
    "too_short": ("note", "shorter than one window: the last frame is repeated"),
    "variable_rate": ("note", "variable frame rate: frames are resampled by their timestamps"),
    "rotated": ("note", "the container specifies a rotation, which is applied"),
    "anamorphic": ("note", "the pixels are not square: frames are read at their displayed aspect ratio"),
    "interlaced": ("note", "interlaced: the two fields of a frame are not separated"),
    "gaps": ("note", "some numbers in an image series are missing: the other images keep their timestamps"),
    "odd_size": ("note", "odd width or height"),
    "edit_list": ("note", "an edit list hides part of the stream: only presented frames are used"),
    "restated_rate": ("note", "frame rates differ between manifest and container: the manifest's frame rate is used"),
    "repeated": ("note", "the same video appears twice under one subject"),
    "label_less": ("note", "no label in a data set with labels: treated as unlabelled"),
}
"""Severity and meaning of each kind of finding."""

DAMAGE = frozenset({"missing", "zero_length", "unreadable", "truncated", "changed"})
"""Kinds of findings that indicate a damaged or changed file."""
SMALL = 64
"""Short side of the frames decoded for a check, in pixels."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about a clip; `severity` is `stops` (a study rejects the clip) or `note`."""

    clip_id: str
    subject_id: str
    path: Path
    kind: str
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All findings, sorted by severity (`stops` first), kind and clip.

    Attributes:
        manifest: Path of the manifest.
        clips: Number of checked files.
        findings: The findings.
    """

    manifest: Path
    clips: int
    findings: tuple[Finding, ...]

    @property
    def stops(self) -> bool:
        """Whether any finding prevents a study from running."""
        return any(finding.severity == "stops" for finding in self.findings)

    @property
    def subjects_that_stop(self) -> tuple[str, ...]:
        """Sorted subjects to exclude so that a study can run."""
        return tuple(sorted({finding.subject_id for finding in self.findings if finding.severity == "stops"}))

    def counts(self) -> dict[str, int]:
        """Number of findings by kind, in the order of `KINDS`."""
        counts = Counter(finding.kind for finding in self.findings)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-serializable values."""
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
    """Decode every file in a manifest completely and collect the findings.

    Args:
        manifest: The manifest, read with `require_files=False`, so that missing files become findings, not errors.
        clip: The preprocessing to check against (window length, minimum frame size, test square).
        workers: Number of decoding processes.
        on_progress: Called with the number of checked files and the total number of files.
        stall_s: Seconds without progress after which decoding of a file is aborted.
    """
    clip = clip or Clip()
    findings = _manifest_findings(manifest, clip)
    with KillablePool(min(workers, len(manifest.clips)), stall_s=stall_s) as pool:
        results = pool.map_unordered(check_file, [(record, clip) for record in manifest.clips])
        for done, (position, result) in enumerate(results, start=1):
            record = manifest.clips[position]
            facts = [("unreadable", result.message)] if isinstance(result, Failure) else result
            findings += [_finding(record, kind, message) for kind, message in facts]
            if on_progress is not None:
                on_progress(done, len(manifest.clips))
    order = list(KINDS)
    ranked = sorted(
        _deduplicated(findings), key=lambda each: (each.severity != "stops", order.index(each.kind), each.clip_id)
    )
    return CheckReport(manifest.path, len(manifest.clips), tuple(ranked))


def _deduplicated(findings: list[Finding]) -> list[Finding]:
    """Keep one finding per clip and kind, and drop findings that are only consequences of a damaged file."""
    unique = {(finding.clip_id, finding.kind): finding for finding in findings}
    damaged = {finding.clip_id for finding in findings if finding.kind in DAMAGE}
    opened = {finding.clip_id for finding in findings if finding.kind in DAMAGE - {"unreadable"}}
    return [
        finding
        for finding in unique.values()
        if not (finding.kind == "too_short" and finding.clip_id in damaged)
        and not (finding.kind == "unreadable" and finding.clip_id in opened)
    ]


def check_file(record: ClipRecord, clip: Clip) -> list[tuple[str, str]]:
    """Kinds and messages of the findings for one file, which is decoded completely (runs in a child process)."""
    try:
        info = verified(record)
        scale = min(1.0, SMALL / min(info.width, info.height))
        size = max(2, round(info.width * scale)), max(2, round(info.height * scale))
        for _ in read_frames(record.path, info, list(range(info.frames)), *size):
            pass
        return [*_notes(record, info), *square_notes(record, info, clip)]
    except VideoError as error:
        return [(error.kind, str(error))]


def _notes(record: ClipRecord, info: VideoInfo) -> Iterable[tuple[str, str]]:
    if info.variable_rate:
        yield "variable_rate", f"{info.fps:.3g} frames per second on average"
    if info.rotation:
        yield "rotated", f"by {info.rotation}° clockwise"
    if info.pixel_aspect != 1.0:
        yield "anamorphic", f"pixel aspect ratio {info.pixel_aspect:.4g}, displayed at {info.width}x{info.height}"
    if info.interlaced:
        yield "interlaced", "two fields per frame"
    if info.width % 2 or info.height % 2:
        yield "odd_size", f"{info.width}x{info.height}"
    if info.edit_list:
        yield "edit_list", f"{info.frames} frames are presented, {info.packets} are stored"
    if info.absent:
        yield "gaps", f"{info.absent} of {info.frames + info.absent} numbers are missing"
    if info.container != CONTAINER and abs(info.fps - record.fps) > 0.01 * info.fps:
        yield "restated_rate", f"{record.fps:g} in the manifest, {info.fps:g} in the file"


def _manifest_findings(manifest: Manifest, clip: Clip) -> list[Finding]:
    """Findings that can be determined from the manifest alone."""
    findings = [
        _finding(manifest.by_id[problem.clip_id], problem.kind, problem.message)
        for problem in manifest_problems(manifest, clip)
    ]
    labelled_sources = {record.source for record in manifest.labelled}
    twins: defaultdict[str, list[ClipRecord]] = defaultdict(list)
    for record in manifest.clips:
        twins[record.checksum].append(record)
        stored = stored_shape(record, clip)[0]
        if 0 < stored < clip.frames:
            findings.append(
                _finding(record, "too_short", f"{stored} frames at {clip.fps:g} fps; a window has {clip.frames}")
            )
        if record.label is None and record.source in labelled_sources:
            findings.append(_finding(record, "label_less", f"{record.source} has labels; this clip has none"))
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
