"""A Tune trial with a study's rule for counting worker deaths, and without state that a study never reads."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

from ray.exceptions import RayActorError
from ray.tune.experiment import Trial

from agrm_study.execution.trial.failures import Failure, classify, is_forgiven

SHOWN_LINES: Final = 12
"""Lines that a record keeps of Ray's text about a dead worker."""
_ADDRESS: Final = re.compile(r"\bip[:=] ?([^\s,)]+)")


class StudyTrial(Trial):  # type: ignore[misc]
    """Overrides how Tune counts the failures of a trial, and what it stores of results.

    Tune forgives only announced preemptions, while a node that SLURM or a cloud takes back just vanishes; and the death
    of a worker before it took the trial is unrelated to the trial. Statistics and states are for `Tuner.restore`,
    which is not used: they grow with every result.

    Attributes:
        failure: Cause of death of the last worker.
        unborn: Whether it died before it had taken the trial: warm from another one, or while it was created.
        unborn_on: Address of the node on which creating it raised an error; ``None`` for a process that was killed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.failure = Failure("worker_killed", "")
        self.unborn = False
        self.unborn_on: str | None = None
        self._begun = False
        self._deaths: Counter[str] = Counter()

    def begin(self) -> None:
        """A worker has taken the trial."""
        self._begun = True

    def handle_error(self, exc: Exception | None = None) -> None:
        """Records the death of the worker; Tune compares `num_failures` with `max_failures`."""
        self.failure = dead_worker(exc)
        self.unborn, self._begun, self.unborn_on = not self._begun, False, None
        if self.unborn:
            if isinstance(exc, RayActorError) and exc.actor_init_failed:
                address = _ADDRESS.search(str(exc))
                self.unborn_on = address[1] if address is not None else "unknown"
            return
        self._deaths[self.failure.kind] += 1
        if not is_forgiven(self.failure.kind, self._deaths[self.failure.kind]):
            self.run_metadata.num_failures += 1

    def update_last_result(self, result: dict[str, Any]) -> None:
        """Keeps the result without statistics of its numbers."""
        self.run_metadata.last_result = result

    def get_json_state(self) -> tuple[str, str]:
        """Returns nothing: the state of an experiment is never read back."""
        return "{}", "{}"


def dead_worker(error: BaseException | None) -> Failure:
    """Details of a worker that died."""
    if error is None:
        return Failure("worker_killed", "the worker process ended without a reason")
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if isinstance(error, RayActorError) and error.actor_init_failed:
        return Failure("worker_killed", f"a worker could not be created: {lines[-1].strip()}", tail="\n".join(lines))
    return Failure(classify(error).kind, lines[0], tail="\n".join(lines[1:SHOWN_LINES]))
