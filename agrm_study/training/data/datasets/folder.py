"""Layout for your own data: one folder per class, with videos or one folder per subject inside."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from agrm_study.study.errors import InputError
from agrm_study.training.data.datasets.layout import (
    LABEL_CHOICES,
    LABEL_HINT,
    Found,
    Layout,
    Options,
    keep_views,
    read_label,
    videos_under,
)


class FolderLayout(Layout):
    """`normal/…`, `genu_varum/…`, `genu_valgum/…`, `unlabelled/…`; each folder inside one of these is a subject."""

    name = "folder"
    describes = (
        "class-named folders (normal, genu_varum, genu_valgum, unlabelled) with videos or one folder per subject"
    )
    example = MappingProxyType({"normal/1.mp4": "", "genu_valgum/2.mp4": ""})

    def find(self, path: Path, options: Options) -> list[Found]:
        found: list[Found] = []
        label_of: dict[str, tuple[str | None, Path]] = {}
        for video in videos_under(path):
            parts = video.relative_to(path).with_suffix("").parts
            if len(parts) == 1:
                raise InputError("a video must be in the folder of its class", where=video, allowed=self.describes)
            try:
                label = read_label(parts[0], options.spellings)
            except ValueError:
                where = path / parts[0]
                raise InputError(
                    "unknown label", where=where, given=parts[0], allowed=LABEL_CHOICES, hint=LABEL_HINT
                ) from None
            subject = parts[1]
            first, other = label_of.setdefault(subject, (label, video))
            if first != label:
                rule = f"subject {subject} is in two class folders; the other file is {other.relative_to(path)}"
                hint = "Use different subject names in the class folders."
                raise InputError(rule, where=video, hint=hint)
            clip_id = "-".join(parts[1:])
            found.append(Found(path=video, subject_id=subject, clip_id=clip_id, source=self.name, label=label))
        if not found:
            raise InputError("the folder contains no video", where=path, allowed=self.describes)
        return sorted(keep_views(found, options, path), key=lambda each: each.clip_id)
