"""Source of the trials of a race: a round is handed out when the previous round is complete."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from agrm_study.execution.dispatch.race import RaceState, why
from agrm_study.execution.dispatch.trial_queue import TrialQueue
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.work import Work
from agrm_study.plan.plan import Plan
from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.study.counted import counted
from agrm_study.study.study import Study

MakeSource = Callable[[Sequence[Work]], WorkSource]
"""Creates the source of one round."""


class RaceSource(WorkSource):
    """Hands out the trials of a race; used by one thread.

    Each round has its own source, so that the ordering of a study's trials (by shared stages, for example)
    also applies within a round. Tasks do not wait for each other.

    Args:
        works: The trials that have no record or are to be rerun, in execution order.
        on_look: Called after each round.
    """

    def __init__(
        self,
        works: Sequence[Work],
        state: RaceState,
        *,
        on_look: Callable[[], None],
        make_source: MakeSource,
    ) -> None:
        super().__init__(works, order=TrialQueue(()))
        self._pending = {work.trial.trial_id: work for work in works}
        self._state, self._on_look, self._make_source = state, on_look, make_source
        self._rounds: list[WorkSource] = []
        self._round_of: dict[str, WorkSource] = {}
        for task in state.tasks:
            self._open_rounds(task)

    def take(self, full: Collection[str | None] = ()) -> Work | None:
        if self._stopped:
            return None
        self._rounds = [source for source in self._rounds if not source.exhausted]
        return next((work for source in self._rounds if (work := source.take(full)) is not None), None)

    @property
    def exhausted(self) -> bool:
        if self._stopped:
            return True
        return all(source.exhausted for source in self._rounds) and all(map(self._state.over, self._state.tasks))

    def awaited(self) -> dict[str, str]:
        return {key: trial_id for source in self._rounds for key, trial_id in source.awaited().items()}

    def stop(self) -> None:
        super().stop()
        for source in self._rounds:
            source.stop()

    def observe(self, event: TrialEvent) -> Sequence[Work]:
        held = list(self._round_of[event.trial_id].observe(event))
        held += super().observe(event)  # failures are counted across all rounds
        ended = [self.work(event.trial_id)] if event.kind in ("finished", "failed") else []
        self._end(ended + held)
        return held

    def hold(self, arm: str) -> Sequence[Work]:
        held = [work for source in self._rounds for work in source.hold(arm)]
        held += [work for work in self._pending.values() if work.trial.arm == arm]  # trials of later rounds
        for work in held:
            self._pending.pop(work.trial.trial_id, None)
        return held

    def put_back(self, trial_id: str) -> None:
        source = self._round_of[trial_id]
        source.put_back(trial_id)
        if source not in self._rounds:
            self._rounds.insert(0, source)

    def set_aside(self, trial_id: str) -> None:
        self._round_of[trial_id].set_aside(trial_id)

    def _end(self, works: Sequence[Work]) -> None:
        """Marks the given trials as having no further scores, and performs the interim looks that are now due."""
        self._state.end(work.trial.trial_id for work in works)
        if not self._stopped:
            for task in dict.fromkeys(work.trial.task for work in works):
                self._open_rounds(task)

    def _open_rounds(self, task: str) -> None:
        """Performs the interim looks of complete rounds, and opens the next round of the remaining arms."""
        self._state.advance(task)
        self._on_look()
        asked = self._state.asked(task)
        wanted = [w for t, w in self._pending.items() if t in asked and w.trial.arm not in self._repeated.held]
        works = [self._pending.pop(work.trial.trial_id) for work in wanted]
        if works:
            source = self._make_source(works)
            self._rounds.append(source)
            self._round_of.update({work.trial.trial_id: source for work in works})


def open_race(
    study: Study,
    plan: Plan,
    works: Sequence[Work],
    results: Location,
    progress: StudyProgress,
    *,
    on_note: Callable[[str], None],
    make_source: MakeSource,
) -> RaceSource:
    """The source of a race's trials; its decisions update race.json and the progress.

    Args:
        works: Trials that have no record or are to be rerun.
        progress: Trials that are no longer needed are removed from it.
        on_note: Called with a sentence for every dropped arm.
    """
    state = RaceState(study, plan, results, {work.trial.trial_id for work in works})
    cells = [(cell.arm, cell.task, cell.seed, cell.trial_id) for cell in plan.cells]
    known: list[RaceLog] = []

    def on_look() -> None:
        log = state.log()
        if known and log == known[-1]:
            return
        log.write(results)
        progress.spare(log.spared(cells, {t.trial_id for t in progress.trials.values() if t.state == "finished"}))
        for stopped in log.stopped:
            if known and stopped not in known[-1].stopped:
                on_note(why(stopped, task=len(state.tasks) > 1))
        known.append(log)

    on_look()
    if known[0].stopped:
        stopped = counted(len(known[0].stopped), "arm was", "arms were")
        on_note(f"{stopped} stopped by the race in an earlier run; a stopped arm gets no further seeds.")
    return RaceSource(works, state, on_look=on_look, make_source=make_source)
