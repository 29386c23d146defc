"""Source of the trials of several searches: they hand out trials in turn, and shared trials run once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from agrm_study.execution.dispatch.search_source import SearchSource
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.work import Work


class SeveralSearches(WorkSource):
    """The searches of a study as one source; used by one thread.

    Args:
        searches: The searches; at least one.
        ended: Outcomes of recorded search trials, so that no search repeats a trial of another search.
        on_change: Called when the number of remaining trials may have changed.
    """

    def __init__(
        self,
        searches: Sequence[SearchSource],
        *,
        ended: Mapping[str, TrialEvent],
        on_change: Callable[[], None],
    ) -> None:
        super().__init__(())
        self.searches = tuple(searches)
        self._turns = list(searches)
        self._ended, self._on_change = dict(ended), on_change
        self._takers: dict[str, list[SearchSource]] = {}  # searches that share a trial; the first started it

    def __len__(self) -> int:
        return sum(map(len, self.searches))

    def work(self, trial_id: str) -> Work:
        return self._takers[trial_id][0].work(trial_id)

    def take(self, full: Collection[str | None] = ()) -> Work | None:
        for search in list(self._turns) if not self._stopped else ():
            while (work := search.take(full)) is not None:
                trial_id = work.trial.trial_id
                takers = self._takers.setdefault(trial_id, [])
                if search not in takers:
                    takers.append(search)
                if trial_id in self._ended:
                    search.observe(self._ended[trial_id])
                elif takers[0] is search:
                    self._turns.remove(search)
                    self._turns.append(search)
                    self._on_change()
                    return work
        self._on_change()
        return None

    def put_back(self, trial_id: str) -> None:
        self._takers[trial_id][0].put_back(trial_id)

    def set_aside(self, trial_id: str) -> None:
        self._takers[trial_id][0].set_aside(trial_id)

    @property
    def exhausted(self) -> bool:
        return self._stopped or all(search.exhausted for search in self.searches)

    def stop(self) -> None:
        super().stop()
        for search in self.searches:
            search.stop()

    def observe(self, event: TrialEvent) -> Sequence[Work]:
        if event.kind in ("finished", "failed"):
            self._ended[event.trial_id] = event
        for search in self._takers[event.trial_id]:
            search.observe(event)
        self._on_change()
        return ()

    @property
    def drawn(self) -> Collection[str]:
        """All trials drawn so far."""
        return {trial_id for search in self.searches for trial_id in search.drawn}

    @property
    def complete(self) -> bool:
        """Whether each search has ended."""
        return all(search.complete for search in self.searches)

    def were_chosen(self) -> None:
        """Records that the complete searches have ended and that their best points, if any, are part of the plan."""
        for search in self.searches:
            if search.complete:
                search.was_chosen()

    @property
    def to_draw(self) -> int:
        """Maximum number of remaining trials, excluding searches that are held back."""
        return sum(search.pending for search in self.searches if not search.held_back)

    @property
    def held(self) -> int:
        """Maximum number of remaining trials of searches that are held back."""
        return sum(search.pending for search in self.searches if search.held_back)

    @property
    def reasons(self) -> list[str]:
        """Reasons and remedies for searches that ended before their last trial, one sentence each."""
        found = []
        for search in self.searches:
            if search.why_stopped:
                whose = f"The tuning of {search.search.title}" if search.search.arm is not None else "The search"
                hint = " Fix the cause, then rerun with --retry-failed." if search.held_back else ""
                found.append(f"{whose} stops here: {search.why_stopped}.{hint}")
        return found
