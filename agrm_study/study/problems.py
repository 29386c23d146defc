"""Collected errors of a study, and the locations of its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agrm_study.study.document import Document, KeyPath
from agrm_study.study.errors import InputError, raise_together


def dotted(path: tuple[str | int, ...]) -> str:
    """Format a path such as ``("arms", 2, "set")`` as ``arms[2].set``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class Place:
    """Location of a value: a file and a line, or a command-line option."""

    where: str | Path | None
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.where}" if self.line is None else f"{self.where}:{self.line}"


@dataclass(slots=True)
class Places:
    """The locations of all values of a document that is merged from several sources."""

    default: Place
    by_path: dict[KeyPath, Place] = field(default_factory=dict)

    @staticmethod
    def of(document: Document) -> Places:
        """The locations in a document."""
        by_path = {path: Place(document.source, line) for path, line in document.lines.items()}
        return Places(Place(document.source, document.line(())), by_path)

    def inside(self, path: KeyPath) -> Places:
        """The locations in one value, with paths relative to that value."""
        size = len(path)
        return Places(self.find(path), {at[size:]: place for at, place in self.by_path.items() if at[:size] == path})

    def note(self, path: KeyPath, place: Place) -> None:
        """Record ``place`` as the latest location of the value at ``path`` and of everything in it."""
        size = len(path)
        self.by_path = {other: at for other, at in self.by_path.items() if other[:size] != path}
        self.by_path[path] = place

    def find(self, path: KeyPath) -> Place:
        """The location of a value.

        If it is not recorded, the last location inside the value is returned, or else the location of the nearest
        enclosing value.
        """
        if path in self.by_path:
            return self.by_path[path]
        inside = [at for other, at in self.by_path.items() if path and other[: len(path)] == path]
        if inside:
            return inside[-1]
        for length in range(len(path) - 1, -1, -1):
            if (found := self.by_path.get(path[:length])) is not None:
                return found
        return self.default

    def latest(self, paths: Iterable[KeyPath]) -> Place:
        """The location of the value that was written last among several conflicting values."""
        order = {path: position for position, path in enumerate(self.by_path)}
        written = [path for path in paths if path in order]
        return self.by_path[max(written, key=order.__getitem__)] if written else self.default


class Problems:
    """Collector of errors, so that all of them are reported at once."""

    def __init__(self) -> None:
        self._found: list[InputError] = []
        self._told: set[str] = set()

    def __len__(self) -> int:
        return len(self._found)

    def add(
        self,
        place: Place,
        rule: str,
        *,
        field: str | None = None,
        given: object = None,
        allowed: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Add one error; duplicates are ignored."""
        self.extend(
            [InputError(rule, where=place.where, line=place.line, field=field, given=given, allowed=allowed, hint=hint)]
        )

    def given_twice(self, setting: str, place: Place, first: Place) -> None:
        """Add an error for a setting that occurs twice in one group."""
        rule = f"is given twice, first on line {first.line}"
        self.add(place, rule, field=setting, hint="Keep one of the two.")

    def extend(self, problems: Iterable[InputError]) -> None:
        """Add several errors."""
        for problem in problems:
            for single in problem.singles:
                if (text := single.render()) not in self._told:
                    self._told.add(text)
                    self._found.append(single)

    def absorb(self, other: Problems) -> None:
        """Add the errors of another collector."""
        self.extend(other._found)

    def raise_any(self) -> None:
        """Raise the collected errors, if any.

        Raises:
            InputError: If any was reported: the single error, or an `InputErrors` with all of them.
        """
        raise_together(self._found)


Names = Mapping[str, Iterable[str]]
"""Valid names by dotted field, ``{"model.backbone": ("r3d_18", …)}``. They are provided by callers, because
this package does not import networks or tables."""
