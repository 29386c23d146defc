"""Source of a study's own parts: the content of one file or module and of the neighbouring modules that it imports."""

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
        digest: 16 hexadecimal digits over the code of all files; comments, docstrings and formatting do not count.
        files: Content by path, relative to the folder that the modules are imported from.
        folder: That folder, for messages; empty for a source read from a results folder.
    """

    written: str
    entry: str
    digest: str
    files: Mapping[str, str] = field(repr=False)
    folder: str = field(default="", compare=False)

    def to_json(self) -> str:
        """The source as stored in a results folder."""
        kept = {"written": self.written, "entry": self.entry, "digest": self.digest, "files": dict(self.files)}
        return json.dumps(kept, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> PartSource:
        """The source stored by `to_json`.

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
    """Description of a study's own part, available without running its code.

    Attributes:
        kind: A name of `KINDS`.
        name: Name in the study file.
        source: Digest of its source.
        written: The entry under `parts:` that defines it.
        schema: JSON Schema of its options; empty for none.
    """

    kind: str
    name: str
    source: str
    written: str
    schema: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class OwnParts:
    """A study's own parts and their sources."""

    parts: tuple[OwnPart, ...] = ()
    sources: tuple[PartSource, ...] = ()

    def names(self) -> dict[str, list[str]]:
        """Names by the dotted field of a study file that accepts them."""
        found: dict[str, list[str]] = {}
        for part in self.parts:
            found.setdefault(KINDS[part.kind].field, []).append(part.name)
        return found
