"""How is anyone's own data read: a folder a class, in it videos, or a folder a subject?"""

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
    read_label,
    videos_under,
)


class FolderLayout(Layout):
    """`normal/…`, `genu_varum/…`, `genu_valgum/…`, `unlabelled/…`; a folder inside one of these is a subject."""

    name = "folder"
    describes = "class-named folders (normal, genu_varum, genu_valgum, unlabelled) of videos or of subjects' folders"
    example = MappingProxyType({"normal/1.mp4": "", "genu_valgum/2.mp4": ""})

    def find(self, path: Path, options: Options) -> list[Found]:
        found: list[Found] = []
        label_of: dict[str, tuple[str | None, Path]] = {}
        for video in videos_under(path):
            parts = video.relative_to(path).with_suffix("").parts
            if len(parts) == 1:
                raise InputError("a video must lie in the folder of its class", where=video, allowed=self.describes)
            try:
                label = read_label(parts[0], options.spellings)
            except ValueError:
                where = path / parts[0]
                raise InputError(
                    "is no known label", where=where, given=parts[0], allowed=LABEL_CHOICES, hint=LABEL_HINT
                ) from None
            subject = parts[1]
            first, other = label_of.setdefault(subject, (label, video))
            if first != label:
                rule = f"subject {subject} stands under two classes; the other is {other.relative_to(path)}"
                hint = "Names of people must differ between the folders."
                raise InputError(rule, where=video, hint=hint)
            clip_id = "-".join(parts[1:])
            found.append(Found(path=video, subject_id=subject, clip_id=clip_id, source=self.name, label=label))
        if not found:
            raise InputError("holds no video", where=path, allowed=self.describes)
        return sorted(found, key=lambda each: each.clip_id)
