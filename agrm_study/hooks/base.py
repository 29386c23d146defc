"""Interface of an external tracker."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, final

from agrm_study.hooks.trial_log import StudyLog, TrialLog
from agrm_study.study.errors import InputError
from agrm_study.study.study import Study


class Hook(ABC):
    """Base class of hooks: context managers that maintain one entry per trial in an external tracker.

    Each entry contains a stamp of the trial's record. Writing a study again therefore has no effect on unchanged
    trials, and replaces the entries of trials whose records have changed.

    Args:
        out: A folder, or a URI that the hook supports; None for the default location in the results folder.
        study: The study to export.

    Attributes:
        study: The study to export.
        out: Location to which the tracker's data are written.

    Raises:
        InputError: If the tracker's package is not installed, or the hook cannot export the study or use the location.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    """Name of the tracker's module, which must be importable."""

    def __init__(self, out: str | None, study: StudyLog) -> None:
        require(self.name, self.package)
        self.check(study.study)
        self.study = study
        try:
            self.out = self._place(out)
            self._open()
        except OSError as fault:
            raise InputError(
                "cannot be written",
                field="--out",
                given=str(fault.filename or out),
                hint=f"{fault.strerror or fault}. Choose a writable folder.",
            ) from None

    @classmethod
    def check(cls, study: Study) -> None:
        """Check that the hook can export a study; accepts every study by default.

        Raises:
            InputError: If the hook cannot export the study.
        """
        return None

    @property
    def where(self) -> str:
        """Command, path or address for viewing the exported study."""
        return self.out

    @abstractmethod
    def stamps(self) -> Mapping[str, str]:
        """Stamps of the existing entries, by trial id."""

    @abstractmethod
    def write(self, trial: TrialLog) -> None:
        """Write the entry of a trial, replacing an earlier entry of the same trial."""

    def wanted(self, trial: Mapping[str, object]) -> bool:
        """Whether the hook exports an entry for a `trials` record."""
        return True

    def close(self) -> None:
        """Release open resources."""
        return None

    @abstractmethod
    def _place(self, out: str | None) -> str:
        """The location to write to; `out` is the location requested by the user."""

    @abstractmethod
    def _open(self) -> None:
        """Prepare the location for writing."""

    @final
    def _in_results(self, name: str) -> Path:
        """The path `name` in the results folder.

        Raises:
            InputError: If the results are in an object store.
        """
        if not self.study.location.is_local:
            raise InputError(
                "is required for results in an object store",
                field="--out",
                hint=f"Choose a local folder for {self.name}.",
            )
        return Path(self.study.location.path) / name

    def __enter__(self) -> Hook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require(name: str, package: str) -> None:
    """Check that a hook's package is installed.

    Raises:
        InputError: If the package is not installed; the message contains the install command.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:  # a folder with that name in the working directory has no origin
        raise InputError(
            f"requires the package {package}, which is not installed",
            field=name,
            hint=f"Install it with: pip install 'agrm-study[{name}]'",
        )
