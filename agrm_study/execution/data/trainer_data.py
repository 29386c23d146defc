"""Data of a user-defined trainer as a manifest, with its samples as clips."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from agrm_study.study.errors import InputError
from agrm_study.study.labels import label_problem, plain_label
from agrm_study.study.parts.loaded import own_class
from agrm_study.study.parts.names import short_name
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.manifest import Manifest, read_manifest, write_manifest
from agrm_study.training.data.row_rules import RowRules
from agrm_study.training.trainer import Sample


def trainer_manifest(name: str, cache: Path, *, write: bool) -> Manifest:
    """The samples of a trainer.

    Args:
        name: Full name of the trainer; its code is executed.
        cache: Folder for data that workers read.
        write: Whether to write the manifest for workers.

    Raises:
        InputError: If the samples violate a rule, e.g. samples of one group have different labels or sites. The line in
            a message is the number of the sample, starting at 1.
    """
    trainer = own_class("trainer", name)
    clips = tuple(_clips(name, trainer.samples(), trainer.fingerprint()))
    if not clips:
        raise _refused(name, "must have samples")
    rules = RowRules(Path(short_name(name)))
    for number, clip in enumerate(clips, start=1):
        rules.check(clip, number)
    manifest = Manifest(Path(short_name(name)), clips)
    if not write:
        return manifest
    path = write_manifest(clips, cache / f"samples-{manifest.fingerprint}")
    return read_manifest(path, require_files=False)


def checksum_of(fingerprint: object, sample: str) -> str:
    """Checksum of a sample: 64 hexadecimal digits computed from the fingerprint of the trainer's data and its id."""
    return hashlib.sha256(f"{fingerprint}\0{sample}".encode()).hexdigest()


def _clips(name: str, samples: object, fingerprint: object) -> Iterator[ClipRecord]:
    seen: set[str] = set()
    for sample in samples if isinstance(samples, list | tuple) else [samples]:
        if not isinstance(sample, Sample):
            raise _refused(name, "`samples` must return a list of `ags.Sample`", given=type(sample).__name__)
        group, site = sample.group or sample.id, sample.site or "unknown"
        for field, text in (("id", sample.id), ("label", sample.label), ("group", group), ("site", site)):
            if not isinstance(text, str) or not text.strip():
                raise _refused(name, f"the {field} of a sample must be text", given=text)
        if sample.id in seen:
            raise _refused(name, "the ids of samples must be unique", given=sample.id)
        for text in (sample.label, *filter(None, [sample.site])):
            if problem := label_problem(text):
                raise _refused(name, problem, given=text)
        seen.add(sample.id)
        yield ClipRecord(
            subject_id=sample.group or sample.id,
            clip_id=sample.id,
            path=Path("/", sample.id),
            label=plain_label(sample.label),
            frames=1,
            fps=1.0,
            width=1,
            height=1,
            checksum=checksum_of(fingerprint, sample.id),
            source=short_name(name),
            site=plain_label(sample.site or "") or None,
        )


def _refused(name: str, rule: str, given: object = None) -> InputError:
    return InputError(rule, where=f"trainer {short_name(name)}", given=given)
