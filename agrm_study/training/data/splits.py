"""Subject-wise splits into training, validation and test parts, and a check for leakage between them."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np

from agrm_study.study.counted import counted, some
from agrm_study.study.data_settings import Data
from agrm_study.study.errors import InputError, did_you_mean, raise_together
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.csv_file import read_csv
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.names import Names
from agrm_study.training.data.site_folds import deal_sites
from agrm_study.training.data.strata import deal, deal_folds, take_balanced, take_share
from agrm_study.training.generators import generator

Part = Literal["train", "val", "test", "unlabelled_train", "unlabelled_val"]
PARTS: tuple[Part, ...] = get_args(Part)
SIDE: dict[Part, str] = {
    "train": "train", "unlabelled_train": "train", "val": "val", "unlabelled_val": "val", "test": "test",
}  # fmt: skip
"""Side of each part; the training, validation and test sides must not share subjects."""


@dataclass(frozen=True)
class Split:
    """Sorted clip ids of each part.

    Attributes:
        train, val, test: Labelled clips.
        unlabelled_train, unlabelled_val: Clips without a label, or with a label that is not used.
        subject_of: Subject of every clip in the split.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    unlabelled_train: tuple[str, ...] = ()
    unlabelled_val: tuple[str, ...] = ()
    subject_of: Mapping[str, str] = field(default_factory=dict, repr=False)

    def clips(self, part: Part) -> tuple[str, ...]:
        """Clip ids of a part."""
        return cast(tuple[str, ...], getattr(self, part))

    @cached_property
    def all_clips(self) -> tuple[str, ...]:
        """Clip ids of all parts."""
        return tuple(clip for part in PARTS for clip in self.clips(part))

    def subjects(self, part: Part) -> tuple[str, ...]:
        """Sorted subjects of a part."""
        return tuple(sorted({self.subject_of[clip] for clip in self.clips(part)}))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the clips and subjects of every part."""
        content = {part: [[clip, self.subject_of.get(clip)] for clip in self.clips(part)] for part in PARTS}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def make_split(manifest: Manifest, data: Data, split_seed: int) -> Split:
    """Split a manifest by subject.

    The result is a pure function of the manifest's content, the settings and the seed. Labelled subjects are stratified
    by label, independently of the task, so that all tasks share one split. The remaining subjects with unlabelled clips
    are divided between training and validation in proportion to the requested numbers of clips. Unlabelled clips of a
    labelled subject stay on the subject's side. With folds of whole sites, unlabelled clips from the test sites are not
    used. With `remainder: unlabelled`, labelled clips of training subjects whose label is not used are added to the
    unlabelled training part, in addition to the clips sampled for it.

    Raises:
        InputError: If no labelled subject remains, `exclude` or the split file contains an unknown subject, a subject
            or a video is on two sides, or folds of sites are impossible because sites are unknown or there are fewer
            sites than folds.
    """
    clips = kept_clips(manifest, data)
    label_of = {clip.subject_id: clip.label for clip in clips if clip.label is not None}
    if not label_of:
        raise InputError("no labelled subject remains for training", where=manifest.path, field="label")
    if data.subset == "balanced":
        chosen = take_balanced(label_of, generator(split_seed, "balanced"))
        label_of = {subject: label for subject, label in label_of.items() if subject in chosen}
    given = _read_split_file(data.split_file, manifest) if data.split_file is not None else {}
    sides = _labelled_sides(label_of, data, split_seed, given, manifest)
    train = {subject: label for subject, label in label_of.items() if subject in sides["train"]}
    used = dict(sides)
    used["train"] = take_share(train, data.labelled_fraction, generator(split_seed, "labelled_fraction"))
    parts: dict[Part, list[ClipRecord]] = {
        part: [clip for clip in clips if clip.label is not None and clip.subject_id in used[part]]
        for part in ("train", "val", "test")
    }
    left_out = {clip.subject_id for clip in manifest.labelled} - set().union(*sides.values())
    if data.folds and data.fold_group == "site" and data.split_file is None:
        tested = {manifest.site_of[subject] for subject in sides["test"]}
        left_out |= {subject for subject, site in manifest.site_of.items() if site in tested}
    parts |= _unlabelled(clips, data, split_seed, sides, left_out, given)
    if data.remainder == "unlabelled":
        unused = sides["train"] - used["train"]
        parts["unlabelled_train"] += [c for c in clips if c.label is not None and c.subject_id in unused]
    split = Split(
        **{part: tuple(sorted(clip.clip_id for clip in rows)) for part, rows in parts.items()},
        subject_of={clip.clip_id: clip.subject_id for rows in parts.values() for clip in rows},
    )
    check_leakage(manifest, split)
    return split


def kept_clips(manifest: Manifest, data: Data) -> list[ClipRecord]:
    """Clips that a split with these settings can use, sorted by clip id.

    Clips of excluded subjects and unlabelled clips with a view outside `data.views` are omitted. To build a clip store,
    use `manifest.select(clip.clip_id for clip in kept_clips(…))`.

    Raises:
        InputError: If `data.exclude` contains an unknown subject.
    """
    names = Names(clip.subject_id for clip in manifest.clips)
    excluded = {subject: names.resolve(subject) for subject in data.exclude}
    raise_together(
        [
            InputError(
                "unknown subject", where=manifest.path, field="data.exclude", given=subject, hint=names.hint(subject)
            )
            for subject, name in excluded.items()
            if name is None
        ]
    )
    return sorted(
        (
            clip
            for clip in manifest.clips
            if clip.subject_id not in excluded.values()
            and (clip.label is not None or clip.view is None or clip.view in data.views)
        ),
        key=lambda clip: clip.clip_id,
    )


def check_leakage(manifest: Manifest, split: Split) -> None:
    """Reject a split in which a subject, or the same video under two clip ids, is on two sides.

    Raises:
        InputError: If leakage is found; the message lists the subject or the two clips, and their parts.
    """
    subjects: dict[str, Part] = {}
    videos: dict[str, tuple[Part, str]] = {}
    for part in PARTS:
        for clip_id in split.clips(part):
            clip = manifest.by_id[clip_id]
            first = subjects.setdefault(clip.subject_id, part)
            if SIDE[first] != SIDE[part]:
                rule = f"a subject must be on one side of the split; found in {first} and {part}"
                raise InputError(rule, where=manifest.path, field="subject_id", given=clip.subject_id)
            other, name = videos.setdefault(clip.checksum, (part, clip_id))
            if SIDE[other] != SIDE[part]:
                rule = f"the same video is on two sides of the split: {name} in {other}, {clip_id} in {part}"
                hint = "Give both clips the same subject_id, or exclude one subject with data.exclude."
                raise InputError(rule, where=manifest.path, field="checksum", given=clip.checksum, hint=hint)


def write_split_file(split: Split, path: Path) -> None:
    """Write a split as a CSV file (subject_id, split) for `data.split_file`."""
    rows = sorted({(subject, part) for part in PARTS for subject in split.subjects(part)})
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("subject_id", "split"))
        writer.writerows(rows)


def _labelled_sides(
    label_of: Mapping[str, str], data: Data, split_seed: int, given: Mapping[str, str], manifest: Manifest
) -> dict[str, set[str]]:
    """Labelled subjects by side."""
    if data.split_file is not None:
        if missing := sorted(set(label_of) - set(given)):
            rule = f"{len(missing)} labelled subjects are not in the split file"
            hint = "To exclude them, set their split to `none` or list them in data.exclude."
            raise InputError(rule, where=data.split_file, field="subject_id", given=", ".join(missing[:5]), hint=hint)
        return {side: {s for s in label_of if given[s] == side} for side in ("train", "val", "test")}
    rng = generator(split_seed, "split")
    if data.folds and (data.fold or data.first_fold == "dealt"):
        folds = (
            _folds(label_of, data, rng) if data.fold_group == "subject" else _site_folds(label_of, data, rng, manifest)
        )
        test = folds[data.fold]
        rest = {subject: label for subject, label in label_of.items() if subject not in test}
        share = data.split.val / (data.split.train + data.split.val)
        train, val = deal(rest, (1 - share, share), rng)
    else:
        train, val, test = _single(label_of, data, rng)
    return {"train": train, "val": val, "test": test}


def _single(label_of: Mapping[str, str], data: Data, rng: np.random.Generator) -> list[set[str]]:
    """Training, validation and test subjects of a split without folds."""
    return deal(label_of, (data.split.train, data.split.val, data.split.test), rng)


def _folds(label_of: Mapping[str, str], data: Data, rng: np.random.Generator) -> list[set[str]]:
    """The subjects of each fold."""
    if data.first_fold == "dealt":
        return deal_folds(label_of, data.folds, rng)
    _, _, first = _single(label_of, data, rng)
    others = {subject: label for subject, label in label_of.items() if subject not in first}
    return [first, *deal_folds(others, data.folds - 1, rng)]


def _site_folds(
    label_of: Mapping[str, str], data: Data, rng: np.random.Generator, manifest: Manifest
) -> list[set[str]]:
    """The subjects of each fold, with all subjects of a site in the same fold."""
    if unknown := sorted(set(label_of) - set(manifest.site_of)):
        without = counted(len(unknown), "labelled subject has", "labelled subjects have")
        rule = f"folds of sites require the site of every labelled subject; {without} no site"
        hint = (
            "Fill in the column `site` of the manifest, exclude the subjects (data.exclude), or remove `group: site`."
        )
        raise InputError(rule, where=manifest.path, field="site", given=some(unknown), hint=hint)
    sites = sorted({manifest.site_of[subject] for subject in label_of})
    if len(sites) < data.folds:
        rule = (
            f"{data.folds} folds of sites require {data.folds} sites; the labelled subjects come from only {len(sites)}"
        )
        hint = f"Set `folds` to at most {len(sites)}." if len(sites) > 1 else "Remove `group: site`."
        raise InputError(rule, where=manifest.path, field="site", given=some(sites), hint=hint)
    return deal_sites(label_of, manifest.site_of, data.folds, rng)


def _unlabelled(
    clips: Iterable[ClipRecord],
    data: Data,
    split_seed: int,
    sides: Mapping[str, set[str]],
    left_out: set[str],
    given: Mapping[str, str],
) -> dict[Part, list[ClipRecord]]:
    """Unlabelled clips of the training and validation parts."""
    pool = [clip for clip in clips if clip.label is None and clip.subject_id not in left_out]
    rng = generator(split_seed, "unlabelled")
    subjects = sorted({clip.subject_id for clip in pool})
    count = {subject: sum(clip.subject_id == subject for clip in pool) for subject in subjects}
    side_of = {subject: side for side, members in sides.items() for subject in members}
    side_of |= {s: given[s].removeprefix("unlabelled_") for s in subjects if s in given and s not in side_of}
    free = [subjects[i] for i in rng.permutation(len(subjects)) if subjects[i] not in side_of]
    asked = data.unlabelled_train + data.unlabelled_val
    wanted = sum(count[s] for s in free) * data.unlabelled_train / asked if asked else 0.0
    dealt = 0
    for subject in free:
        side_of[subject] = "train" if dealt < wanted else "val"
        dealt += count[subject]
    drawn: dict[Part, list[ClipRecord]] = {}
    for part, size in (("unlabelled_train", data.unlabelled_train), ("unlabelled_val", data.unlabelled_val)):
        rows = [clip for clip in pool if side_of[clip.subject_id] == SIDE[cast(Part, part)]]
        picked = np.sort(rng.permutation(len(rows))[:size])
        drawn[cast(Part, part)] = [rows[i] for i in picked]
    return drawn


def _read_split_file(path: Path, manifest: Manifest) -> dict[str, str]:
    """Part of each subject in a user-defined split file."""
    allowed = (*PARTS, "none")
    file = read_csv(path)
    for column in ("subject_id", "split"):
        if column not in file.columns:
            raise InputError("the column is missing", where=path, field=column, given=list(file.columns))
    names = Names(clip.subject_id for clip in manifest.clips)
    problems: list[InputError] = []
    parts: dict[str, str] = {}
    for row in file.rows:
        given, part = row.cells["subject_id"], row.cells["split"].lower()
        subject = names.resolve(given)
        if subject is None:
            hint = names.hint(given)
            problems.append(
                InputError("unknown subject", where=path, line=row.line, field="subject_id", given=given, hint=hint)
            )
            continue
        if part not in allowed:
            hint = did_you_mean(part, allowed)
            choices = ", ".join(allowed)
            raise InputError(
                "unknown part", where=path, line=row.line, field="split", given=part, allowed=choices, hint=hint
            )
        if parts.setdefault(subject, part) != part:
            rule = f"a subject must be in one part; already in {parts[subject]}"
            raise InputError(rule, where=path, line=row.line, field="subject_id", given=subject)
    raise_together(problems)
    return parts
