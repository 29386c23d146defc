"""Selection of the joined run that writes the report at the end."""

from __future__ import annotations

import hashlib
from typing import Final

from agrm_study.execution.results_folder.leases import Leases
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger

NAME: Final = "report"


class ReportClaim:
    """A run's claim on the report; created at the start of the run.

    The first run that finds the study complete writes the report; otherwise, the last run to end writes it. Of several
    runs that end with the same records, only one writes it: the claim stores a digest of these records.
    """

    def __init__(self, leases: Leases, results: Location) -> None:
        self._leases, self._results = leases, results
        self._before, _ = leases.last(NAME)

    def is_ours(self, *, complete: bool) -> bool:
        """Whether this run writes the report of a complete or incomplete study; called after the run has left."""
        others = self._leases.others()
        if others and not complete:
            return False
        states = sorted((trial_id, s.status, s.attempt) for trial_id, s in Ledger(self._results).states().items())
        records = hashlib.sha256(repr(states).encode()).hexdigest()[:16]
        while True:
            generation, last = self._leases.last(NAME)
            if generation > self._before and last.state == records:
                return False
            if self._leases.note(NAME, generation + 1, records):
                return True
