"""Broken rules of a study, and the places where its values were written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agrm_study.study.document import Document, KeyPath
from agrm_study.study.errors import InputError, InputErrors


def dotted(path: tuple[str | int, ...]) -> str:
    """``("arms", 2, "set")`` as ``arms[2].set``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a file and a line, or an option of the command line."""

    where: str | Path | None
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.where}" if self.line is None else f"{self.where}:{self.line}"


@dataclass(slots=True)
class Places:
    """The place of every value of a document that several sources may have written."""

    default: Place
    by_path: dict[KeyPath, Place] = field(default_factory=dict)

    @staticmethod
    def of(document: Document, *, under: KeyPath = ()) -> Places:
        """The places of a document's part, with paths that start at that part."""
        size = len(under)
        by_path = {
            path[size:]: Place(document.source, line) for path, line in document.lines.items() if path[:size] == under
        }
        return Places(Place(document.source, document.line(under)), by_path)

    def note(self, path: KeyPath, place: Place) -> None:
        """Say that the value at ``path``, with all that it contains, was last written at ``place``."""
        size = len(path)
        self.by_path = {other: at for other, at in self.by_path.items() if other[:size] != path}
        self.by_path[path] = place

    def find(self, path: KeyPath) -> Place:
        """The place of a value; else of the last part of it that has one; else of the nearest enclosing one."""
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
        """The place of that of several values which was written last: who wrote it made the others wrong."""
        order = {path: position for position, path in enumerate(self.by_path)}
        written = [path for path in paths if path in order]
        return self.by_path[max(written, key=order.__getitem__)] if written else self.default


class Problems:
    """Collects broken rules, so that a person reads all of them at once."""

    def __init__(self) -> None:
        self._found: list[InputError] = []
        self._told: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

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
        """Note one broken rule; a rule that was noted already with the same words is not repeated."""
        self.extend(
            [InputError(rule, where=place.where, line=place.line, field=field, given=given, allowed=allowed, hint=hint)]
        )

    def extend(self, problems: Iterable[InputError]) -> None:
        """Note several broken rules."""
        for problem in problems:
            for single in problem.problems if isinstance(problem, InputErrors) else (problem,):
                if (text := single.render()) not in self._told:
                    self._told.add(text)
                    self._found.append(single)

    def absorb(self, other: Problems) -> None:
        """Note what another collector noted."""
        self.extend(other._found)

    def raise_any(self) -> None:
        """Raise what was noted.

        Raises:
            InputError: The one problem, or an `InputErrors` that holds all of them.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise InputErrors(self._found)


Names = Mapping[str, Iterable[str]]
"""For a dotted field, the names that exist: ``{"model.backbone": ("r3d_18", …)}``. The study layer cannot know them."""
