"""State shared by the steps of loading a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agrm_study.study.document import Document, KeyPath
from agrm_study.study.frozen_layers import LayerNames
from agrm_study.study.merge import Tree, check_memories, with_settings
from agrm_study.study.parts.source import OwnPart
from agrm_study.study.problems import Names, Place, Places, Problems, dotted
from agrm_study.study.settings import Setting
from agrm_study.study.tasks import Task

GIVEN: Final = "the given study"
"""Name, for messages, of a study given as plain values."""


@dataclass(slots=True)
class Loading:
    """A study that is being loaded.

    Attributes:
        file: The study file; None for a study given as plain values.
        value: The keys of the study as plain values, including overrides from a preset and options.
        places: Location at which each of these keys was last set.
        names: Valid names by dotted field; fields without an entry are not checked.
        problems: Errors found so far.
        notes: Notes for the user of a valid study.
        tree: Settings of the recipe merged so far, without defaults.
        origins: Location at which each of these settings was last set.
        options: Recipe settings from command-line options.
        layers: Layer names of a backbone, for checking `model.freeze`; None disables this check.
        parts: User-defined parts of the study.
        tasks: Tasks of the study; empty until they are known.
    """

    file: Path | None
    value: dict[str, Any]
    places: Places
    names: Names
    problems: Problems = field(default_factory=Problems)
    notes: list[str] = field(default_factory=list)
    tree: Tree = field(default_factory=dict)
    origins: Places = field(init=False)
    options: Sequence[Setting] = ()
    layers: LayerNames | None = None
    parts: Sequence[OwnPart] = ()
    tasks: Sequence[Task] = ()

    def __post_init__(self) -> None:
        self.origins = Places(self.place)

    @staticmethod
    def of(document: Document, names: Names) -> Loading:
        """The initial state, from a study file or from plain values, which have no source."""
        loading = Loading(document.source, dict(document.value), Places.of(document), names)
        loading.places.default = loading.place
        return loading

    @property
    def place(self) -> Place:
        """Location of the study as a whole, for messages."""
        return Place(GIVEN if self.file is None else self.file)

    @property
    def folder(self) -> Path:
        """Base folder for relative paths: the folder of the study file, otherwise the working directory."""
        return Path.cwd() if self.file is None else self.file.parent

    def lay(self, settings: Sequence[Setting]) -> None:
        """Merge the settings of one source; later values take precedence, and lists are replaced entirely."""
        check_memories(settings, self.problems)
        self.tree = with_settings(self.tree, settings)
        for setting in settings:
            self.origins.note(tuple(setting.name.split(".")), setting.place)

    def note(self, path: KeyPath, rule: str, *, at: KeyPath | None = None, **more: Any) -> None:
        """Report a violated rule.

        Args:
            path: Path of the key in the study.
            rule: The rule.
            at: Path of the reported location, if different.
            more: Additional arguments of `Problems.add`.
        """
        self.problems.add(self.places.find(at or path), rule, **({"field": dotted(path)} | more))
