"""Rules across the rows of a manifest: unique clip ids, one spelling per name, one label and one site per subject."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agrm_study.study.errors import InputError
from agrm_study.study.labels import label_key
from agrm_study.training.data.clip_record import ClipRecord


@dataclass(frozen=True, slots=True)
class RowRules:
    """Checks the rows of a manifest in sequence.

    Attributes:
        path: The manifest, for messages.
    """

    path: Path
    _lines: dict[str, int] = field(default_factory=dict)
    _spelled: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    _stated: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)

    def check(self, clip: ClipRecord, line: int) -> None:
        """Check a row against the previous rows.

        Raises:
            InputError: If the clip id is a duplicate, a label or site differs only in case from a previous one, or the
                subject already has a different label or site.
        """
        for column, name in (("label", clip.label), ("label", clip.hidden_label), ("site", clip.site)):
            if name is None:
                continue
            first, row = self._spelled.setdefault((column, label_key(name)), (name, line))
            if first != name:
                self._refuse(f"{column}s must not differ only in case; row {row} has {first}", line, column, name)
        if self._lines.setdefault(clip.clip_id, line) != line:
            rule = f"a clip_id must be unique; first used in row {self._lines[clip.clip_id]}"
            self._refuse(rule, line, "clip_id", clip.clip_id)
        for column, name, verb in (("label", clip.label, "has the label"), ("site", clip.site, "has the site")):
            if name is None:
                continue
            first, row = self._stated.setdefault((column, clip.subject_id), (name, line))
            if first != name:
                rule = f"a subject must have one {column}; {clip.subject_id} {verb} {first} in row {row}"
                self._refuse(rule, line, column, name)

    def _refuse(self, rule: str, line: int, column: str, given: str) -> None:
        raise InputError(rule, where=self.path, line=line, field=column, given=given)
