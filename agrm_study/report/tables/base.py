"""Base class of a table: name, requirements, and construction from measurements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from agrm_study.report.measure import Measurements
from agrm_study.report.table import Table


class TableKind(ABC):
    """Base class of tables.

    Attributes:
        name: Name in a study file, and stem of the output files.
        question: The question that the table answers.
    """

    name: ClassVar[str]
    question: ClassVar[str]

    @abstractmethod
    def unfit(self, m: Measurements) -> str | None:
        """Reason why the table does not apply to this study, as a clause; None if it does."""

    @abstractmethod
    def build(self, m: Measurements) -> Table:
        """Build the table; missing records leave gaps in the table and do not raise an exception."""
