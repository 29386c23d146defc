"""What must a place do in which a study's trials are shown?"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, final

from agrm_study.hooks.trial_log import StudyLog, TrialLog
from agrm_study.study.errors import InputError


class Hook(ABC):
    """Keeps one entry a trial somewhere else; a context manager.

    Whatever has been written is recognised by its stamp when it is opened again: writing a study twice changes nothing,
    and a trial whose record has changed since replaces its entry.

    Args:
        out: A folder, or a URI that the hook understands; None for the place beside the results.
        study: The study that is shown.

    Raises:
        InputError: Its package is not installed, or the study or the place cannot be shown by it.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    """Module that must be importable."""

    def __init__(self, out: str | None, study: StudyLog) -> None:
        require(self.name, self.package)
        self.study = study
        try:
            self.out = self._place(out)
            self._open()
        except OSError as fault:
            raise InputError(
                "cannot be written",
                field="--out",
                given=str(fault.filename or out),
                hint=f"{fault.strerror or fault}. Name a folder that this user may write to.",
            ) from None

    @property
    def where(self) -> str:
        """What a person opens to see it."""
        return self.out

    @abstractmethod
    def stamps(self) -> Mapping[str, str]:
        """Stamp of each trial's entry that is there, by trial id."""

    @abstractmethod
    def write(self, trial: TrialLog) -> None:
        """Put the entry of a trial in place of an earlier one of the same trial."""

    def wanted(self, trial: Mapping[str, object]) -> bool:
        """Whether a `trials` record gets an entry."""
        return True

    def close(self) -> None:
        """Let go of what is open."""
        return None

    @abstractmethod
    def _place(self, out: str | None) -> str:
        """Where it writes."""

    @abstractmethod
    def _open(self) -> None:
        """Make the place ready."""

    @final
    def _beside(self, name: str) -> Path:
        """A path in the results folder.

        Raises:
            InputError: The results are in an object store.
        """
        if not self.study.location.is_local:
            raise InputError(
                "must be given for results in an object store",
                field="--out",
                hint=f"Name a local folder for {self.name}.",
            )
        return Path(self.study.location.path) / name

    def __enter__(self) -> Hook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require(name: str, package: str) -> None:
    """Refuse a hook whose package is not installed, and say how it is.

    Raises:
        InputError: It is not.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:  # a folder of that name in the working directory has no origin
        raise InputError(
            f"needs the package {package}, which is not installed",
            field=name,
            hint=f"Install it with: pip install 'agrm-study[{name}]'",
        )
