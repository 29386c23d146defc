"""Source of user-defined parts: the content of one file or module and of the adjacent modules that it imports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agrm_study.study.parts.kinds import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSource:
    """Source of one entry under `parts:`.

    Attributes:
        written: The entry (``my_parts.py``, ``my_lab.parts``).
        entry: Name of the module that defines the parts.
        digest: Hash of the code of all files, 16 hexadecimal digits; comments, docstrings and formatting are ignored.
        files: Content of the files by path, relative to the folder from which the modules are imported.
        folder: Folder from which the modules are imported, for messages; empty for a source read from a results folder.
    """

    written: str
    entry: str
    digest: str
    files: Mapping[str, str] = field(repr=False)
    folder: str = field(default="", compare=False)

    def to_json(self) -> str:
        """The source in the JSON form that is stored in a results folder."""
        kept = {"written": self.written, "entry": self.entry, "digest": self.digest, "files": dict(self.files)}
        return json.dumps(kept, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> PartSource:
        """The source from the output of `to_json`.

        Raises:
            ValueError: If the text is damaged.
        """
        value = json.loads(text)
        try:
            return cls(**{name: value[name] for name in ("written", "entry", "digest", "files")})
        except (KeyError, TypeError) as fault:
            raise ValueError(f"not a valid part source: {fault}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPart:
    """Description of a user-defined part, available without executing its code.

    Attributes:
        kind: A name in `KINDS`.
        name: Name in the study file.
        source: Digest of the source that defines the part.
        written: The entry under `parts:` that defines it.
        schema: JSON Schema of its options; empty if it has none.
    """

    kind: str
    name: str
    source: str
    written: str
    schema: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class OwnParts:
    """The user-defined parts of a study and their sources."""

    parts: tuple[OwnPart, ...] = ()
    sources: tuple[PartSource, ...] = ()

    def names(self) -> dict[str, list[str]]:
        """Names of the parts, by the dotted field of a study file that accepts them."""
        found: dict[str, list[str]] = {}
        for part in self.parts:
            found.setdefault(KINDS[part.kind].field, []).append(part.name)
        return found
