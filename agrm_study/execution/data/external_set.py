"""Rules for labelled data from other sources, on which finished trials are evaluated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agrm_study.study.counted import some
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.tasks import Task
from agrm_study.training.data.classes import ignored_note, labels_text
from agrm_study.training.data.manifest import Manifest, read_manifest
from agrm_study.training.data.splits import PARTS, Part, Split

SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """Videos and subjects on which trials were trained, selected or tested.

    Attributes:
        part_of_video: Part that contains a video, by checksum.
        part_of_subject: Part that contains a subject, by subject id.
    """

    part_of_video: Mapping[str, Part]
    part_of_subject: Mapping[str, Part]

    @classmethod
    def of(cls, pairs: Iterable[tuple[Manifest, Split]]) -> Seen:
        """The videos and subjects in the parts of the given splits."""
        videos: dict[str, Part] = {}
        subjects: dict[str, Part] = {}
        for manifest, split in pairs:
            for part in PARTS:
                for clip in map(manifest.by_id.__getitem__, split.clips(part)):
                    videos.setdefault(clip.checksum, part)
                    subjects.setdefault(clip.subject_id, part)
        return cls(videos, subjects)


def read_external(path: str | Path) -> Manifest:
    """The manifest of an external set.

    Raises:
        InputError: If the manifest violates a rule of `read_manifest`, or has no labelled clip.
    """
    manifest = read_manifest(path)
    if not manifest.labelled:
        raise InputError("an external set requires labelled clips; this manifest has none", where=path, field="label")
    return manifest


def whole_split(manifest: Manifest) -> Split:
    """All labelled clips of a manifest as a test part."""
    clips = sorted(manifest.labelled, key=lambda clip: clip.clip_id)
    return Split(
        train=(),
        val=(),
        test=tuple(clip.clip_id for clip in clips),
        subject_of={clip.clip_id: clip.subject_id for clip in clips},
    )


def check_unseen(manifest: Manifest, seen: Seen, *, distinct_subjects: bool) -> None:
    """Check that the networks have not seen any video or subject of an external set.

    Args:
        manifest: The external set; its labelled clips are checked.
        distinct_subjects: Whether equal subject ids refer to different people.

    Raises:
        InputError: If the set contains a video (by checksum) or a subject id that the networks have seen.
    """
    shared = [clip for clip in manifest.labelled if clip.checksum in seen.part_of_video]
    if shared:
        named = [f"{clip.clip_id} ({seen.part_of_video[clip.checksum]})" for clip in shared]
        raise InputError(
            f"an external set must not share videos with the study: {len(shared)} of {len(manifest.labelled)} videos "
            "are in its data",
            where=manifest.path,
            field="checksum",
            given=some(named, SHOWN),
            hint="Remove these subjects from the manifest; the networks were trained, selected or tested on them.",
        )
    same = sorted({clip.subject_id for clip in manifest.labelled} & seen.part_of_subject.keys())
    if same and not distinct_subjects:
        named = [f"{subject} ({seen.part_of_subject[subject]})" for subject in same]
        raise InputError(
            f"an external set must not share subjects with the study: {len(same)} subject ids are in its data",
            where=manifest.path,
            field="subject_id",
            given=some(named, SHOWN),
            hint="If they are the same people, remove them from the manifest. If they are different people with "
            "equal ids, rerun the command with --distinct-subjects.",
        )


def label_notes(manifest: Manifest, tasks: Iterable[Task]) -> tuple[list[str], set[str]]:
    """Notes on labels that tasks ignore and on classes without a subject, and the tasks to which the set applies.

    Raises:
        InputError: If no task maps any label of the set.
    """
    label_of = {clip.subject_id: str(clip.label) for clip in manifest.labelled}
    notes: list[str] = []
    usable: set[str] = set()
    tasks = list(tasks)
    for task in tasks:
        counts = Counter(task.class_index(label) for label in label_of.values())
        if counts.keys() <= {None}:
            notes.append(f"The task {task.name} maps no label of the set: its trials are not evaluated.")
            continue
        usable.add(task.name)
        if (note := ignored_note(label_of, task)) is not None:
            notes.append(note)
        empty = [name for index, name in enumerate(task.classes) if not counts[index]]
        if empty:
            notes.append(
                f"The set has no subject of the class {' or '.join(empty)} of the task {task.name}: metrics over all "
                "classes are undefined."
            )
    if not usable:
        known = {label for task in tasks for labels in task.labels for label in labels}
        given = sorted(set(label_of.values()))
        raise InputError(
            "no task of the study maps a label of the set",
            where=manifest.path,
            field="label",
            given=", ".join(given[:SHOWN]),
            allowed=labels_text(known),
            hint=did_you_mean(given[0], known),
        )
    return notes, usable
