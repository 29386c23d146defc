"""Layout for user data: one folder per class, which contains videos or one folder per subject."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from agrm_study.study.errors import InputError
from agrm_study.training.data.datasets.labels import read_labels
from agrm_study.training.data.datasets.layout import (
    Found,
    Layout,
    Options,
    Survey,
    survey_of,
)
from agrm_study.training.data.datasets.walk import name_of_video, walk
from agrm_study.training.data.names import name_key

DISTINCT = (
    "Names that differ only in case or Unicode form refer to the same child; for different children, rename one, or "
    "index a table (`--layout manifest`) with a column subject_id."
)


class FolderLayout(Layout):
    """One folder per label, and a folder `unlabelled`; each folder or video directly inside them is a subject."""

    name = "folder"
    describes = (
        "one folder per label (normal, genu_varum, … or any other; unlabelled) with videos or one folder per subject"
    )
    example = MappingProxyType({"normal/1.mp4": "", "genu_valgum/2.mp4": ""})

    def survey(self, path: Path, options: Options) -> Survey:
        tree = walk(path, images=options.fps is not None)
        labels = read_labels([video.relative_to(path).parts[0] for video in tree.videos], options.spellings)
        found: list[Found] = []
        name_of: dict[str, str] = {}
        notes: dict[str, str] = {}
        label_of: dict[str, tuple[str | None, Path]] = {}
        for video in tree.videos:
            parts = (*video.parent.relative_to(path).parts, name_of_video(video))
            if len(parts) == 1:
                raise InputError("a video must be in the folder of its class", where=video, allowed=self.describes)
            label = labels.of[parts[0]]
            subject = name_of.setdefault(name_key(parts[1]), parts[1])
            if subject != parts[1]:
                notes[parts[1]] = f"{parts[1]} and {subject} are treated as one subject. {DISTINCT}"
            first, other = label_of.setdefault(subject, (label, video))
            if first != label:
                rule = f"subject {parts[1]} is in two class folders; the other file is {other.relative_to(path)}"
                raise InputError(rule, where=video, hint=DISTINCT)
            clip_id = "-".join(parts[1:])
            found.append(Found(path=video, subject_id=subject, clip_id=clip_id, source=self.name, label=label))
        if not found:
            given = f"{len(tree.left_out)} other files"
            raise InputError(
                "the folder contains no video", where=path, given=given, allowed=self.describes, hint=tree.hint
            )
        kept = () if labels.note is None else (labels.note,)
        return survey_of(found, tree.left_out, options, path, (*kept, *notes.values()))
