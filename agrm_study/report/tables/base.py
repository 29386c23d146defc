"""What is a kind of table? A name, what it needs, and how it is made from measurements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from agrm_study.report.measure import Measurements
from agrm_study.report.table import Table


class TableKind(ABC):
    """One kind of table.

    Attributes:
        name: Its name in a study file, and of its files.
        question: The one question it answers.
    """

    name: ClassVar[str]
    question: ClassVar[str]

    @abstractmethod
    def unfit(self, m: Measurements) -> str | None:
        """Why this study cannot have the table, as a sentence; None when it can."""

    @abstractmethod
    def build(self, m: Measurements) -> Table:
        """The table; a gap in the records is a gap in the table, never an exception."""
