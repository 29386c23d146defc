"""A Tune trial with the study's rule for counting worker deaths, and without state that is never read."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

from ray.exceptions import RayActorError
from ray.tune.experiment import Trial

from agrm_study.execution.trial.failures import Failure, classify, is_forgiven

SHOWN_LINES: Final = 12
"""Maximum number of lines of Ray's message about a dead worker in a record."""
_ADDRESS: Final = re.compile(r"\bip[:=] ?([^\s,)]+)")


class StudyTrial(Trial):  # type: ignore[misc]
    """Overrides the way in which Tune counts the failures of a trial and stores its results.

    Tune exempts only announced preemptions, whereas a node that SLURM or a cloud provider reclaims disappears without
    notice. The death of a worker before it accepted the trial is unrelated to the trial. Statistics and states are not
    stored: they grow with every result and serve only `Tuner.restore`, which is not used.

    Attributes:
        failure: Failure that describes the death of the last worker.
        unborn: Whether it died before it had accepted the trial: while it was being reset for reuse after another
            trial, or during its creation.
        unborn_on: Address of the node on which creating it raised an error; ``None`` for a process that was killed.
    """

    failure = Failure("worker_killed", "")
    unborn = False
    unborn_on: str | None = None
    _begun = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deaths: Counter[str] = Counter()

    def begin(self) -> None:
        """Records that a worker has accepted the trial."""
        self._begun = True

    def handle_error(self, exc: Exception | None = None) -> None:
        """Records the death of the worker; Tune compares `num_failures` with `max_failures`."""
        created = not (isinstance(exc, RayActorError) and exc.actor_init_failed)
        text = str(exc or "the worker process exited without reporting a reason")
        lines = text.strip().splitlines() or [type(exc).__name__]
        if created:
            kind = "worker_killed" if exc is None else classify(exc).kind
            self.failure = Failure(kind, lines[0], tail="\n".join(lines[1:SHOWN_LINES]))
        else:
            message = f"a worker could not be created: {lines[-1].strip()}"
            self.failure = Failure("worker_killed", message, tail="\n".join(lines))
        self.unborn, self._begun, self.unborn_on = not self._begun, False, None
        if not self.unborn:
            self._deaths[self.failure.kind] += 1
            if not is_forgiven(self.failure.kind, self._deaths[self.failure.kind]):
                self.run_metadata.num_failures += 1
        elif not created:
            address = _ADDRESS.search(str(exc))
            self.unborn_on = address[1] if address is not None else "unknown"

    def update_last_result(self, result: dict[str, Any]) -> None:
        """Stores the result without statistics of its numbers."""
        self.run_metadata.last_result = result

    def get_json_state(self) -> tuple[str, str]:
        """Returns empty states, since the state of an experiment is never read back."""
        return "{}", "{}"
