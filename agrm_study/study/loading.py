"""The state that the steps of loading a study share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agrm_study.study.document import Document, KeyPath
from agrm_study.study.merge import Tree, with_settings
from agrm_study.study.problems import Names, Place, Places, Problems, dotted
from agrm_study.study.settings import Setting


@dataclass(slots=True)
class Loading:
    """A study that is being loaded.

    Attributes:
        file: The study file.
        value: Its own keys, in plain values; a preset and options are laid over them.
        places: Where each of these keys was written last.
        names: Names that exist, by dotted field; fields without an entry are not checked.
        problems: Every broken rule found so far.
        tree: The recipe's settings, merged so far, without defaults.
        origins: Where each of these settings was written last.
        options: Recipe settings that options of the command line give.
    """

    file: Path
    value: dict[str, Any]
    places: Places
    names: Names = field(default_factory=lambda: MappingProxyType({}))
    problems: Problems = field(default_factory=Problems)
    tree: Tree = field(default_factory=dict)
    origins: Places = field(init=False)
    options: Sequence[Setting] = ()

    def __post_init__(self) -> None:
        self.origins = Places(Place(self.file))

    @staticmethod
    def of(document: Document, file: Path, names: Names) -> Loading:
        """The beginning: a study file that was read."""
        places = Places.of(document)
        places.default = Place(file)
        return Loading(file, dict(document.value), places, names)

    def lay(self, settings: Sequence[Setting]) -> None:
        """Lay settings over those merged so far; a later one wins, lists are replaced as a whole."""
        self.tree = with_settings(self.tree, settings)
        for setting in settings:
            self.origins.note(tuple(setting.name.split(".")), setting.place)

    def note(self, path: KeyPath, rule: str, *, at: KeyPath | None = None, **more: Any) -> None:
        """Note a broken rule.

        Args:
            path: Of the study's key.
            rule: The rule.
            at: Path of the place, where it is another one.
            more: What else `Problems.add` takes.
        """
        self.problems.add(self.places.find(at or path), rule, **({"field": dotted(path)} | more))
