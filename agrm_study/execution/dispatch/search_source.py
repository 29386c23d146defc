"""Source of the trials of one search: the sampler suggests a point when a slot is free and receives the results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

from agrm_study.execution.dispatch.judged import Judged, read_judged
from agrm_study.execution.dispatch.sampler import Draw, End, Sampler
from agrm_study.execution.dispatch.search_history import Past, PastRun, keeps_failing
from agrm_study.execution.dispatch.search_point import Point, candidates_of, drawn_settings, hopeless
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.pruning import ask_to_end
from agrm_study.execution.trial.repeated_failures import HOLD_AFTER, SEARCH
from agrm_study.execution.trial.work import Work
from agrm_study.plan.expand import TrialBuilder
from agrm_study.plan.promotion import Candidate
from agrm_study.plan.searches import PlannedSearch
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.schemas import PRUNED
from agrm_study.records.search_log import Proposal, SearchLog
from agrm_study.records.validation_scores import best_so_far
from agrm_study.study.errors import InputError

MOST_REPEATS: Final = 100
"""Number of consecutive draws of known or invalid points after which the space counts as exhausted."""


class SearchSource(WorkSource):
    """Hands out the trials of one search; used by one thread.

    Points of earlier runs are replayed first, in the order in which they were sampled; points that have ended are
    replayed with their scores. Points with missing records are continued before new points are sampled.

    Args:
        past: The draws of earlier runs, in order.
        builder: Builds the trials of a point.
        log: The content of the search's log except the proposals.
        on_draw: Called with each trial that is handed out, and the name of its point.
        accelerator: The accelerator that its trials request.
    """

    def __init__(
        self,
        search: PlannedSearch,
        past: Sequence[Past],
        *,
        builder: TrialBuilder,
        work_of: Callable[[TrialSpec], Work],
        results: Location,
        log: SearchLog,
        on_draw: Callable[[TrialSpec, str], None],
        accelerator: str | None,
    ) -> None:
        super().__init__(())
        self.search, self._settings = search, search.settings
        self._builder, self._make_work, self._on_draw = builder, work_of, on_draw
        self._results, self._log, self._accelerator = results, log, accelerator
        self._maximize = self._settings.directions[0] == "maximize"
        self._sampler = Sampler(self._settings, search.space)
        self._points: dict[str, Point] = {}  # by their first trial, in sampling order
        self._open: dict[str, Point] = {}  # points that have not ended
        self._undecided: set[str] = set()  # points that may get another seed
        self._point_of: dict[str, Point] = {}
        self._queue: deque[Point] = deque()
        self._proposals: list[Proposal] = []
        self._exhausted = False
        self.why_stopped: str | None = None
        self.held_back = False
        self._room = max(0, self._settings.trials - len({p.specs[0].trial_id for p in past if p.specs and p.end}))
        for item in past:
            for spec, run in zip(item.specs, item.runs, strict=True):
                if run.end == "failed" and run.state is not None and run.state.failure != "nan_loss":
                    self._repeated.add_recorded(SEARCH, spec.trial_id, run.state)
            self._replay(item)
        if keeps_failing(past):
            self._hold_back()
        self._decide()
        self._length = self.pending
        self._write()

    def __len__(self) -> int:
        return self._length

    def take(self, full: Collection[str | None] = ()) -> Work | None:
        if self._stopped or self._accelerator in full:
            return None
        point = self._queue.popleft() if self._queue else self._draw_new()
        if point is None:
            return None
        point.running = True
        spec = point.next
        if point.repeats is not None and point.repeats.stop_reason == PRUNED:
            ask_to_end(self._results, spec.trial_id, point.repeats.epochs or 0)
        if (known := self._work_of.get(spec.trial_id)) is not None:
            return known
        work = self._work_of[spec.trial_id] = self._make_work(spec)
        point.started = len(point.trials) + 1
        self._on_draw(spec, self.search.point_name(drawn_settings(point, self.search.space)))
        return work

    def put_back(self, trial_id: str) -> None:
        point = self._point_of[trial_id]
        point.running = False
        self._queue.appendleft(point)

    @property
    def pending(self) -> int:
        """Trials that may still be handed out for the first time."""
        to_draw = 0 if self._exhausted else self._room * self._settings.seeds
        return to_draw + sum(point.to_come for point in self._open.values())

    def set_aside(self, trial_id: str) -> None:
        self.put_back(trial_id)  # points are handed out in sampling order

    @property
    def exhausted(self) -> bool:
        to_draw = self._room and not self._exhausted
        return self._stopped or not (to_draw or any(not point.running for point in self._open.values()))

    def observe(self, event: TrialEvent) -> Sequence[Work]:
        point = self._point_of[event.trial_id]
        if event.kind == "epoch" and event.trial_id == point.spec.trial_id:  # the pruner sees only the first seed
            for epoch, metric in enumerate(event.earlier_metrics, start=1):
                self._judge(point, epoch, metric)
            self._judge(point, event.epoch, event.metric)
        elif event.kind == "finished":
            self._end(point, "pruned" if event.stop_reason == PRUNED else "finished", event.best_epoch)
        elif event.kind == "failed":
            self._end(point, "failed")
            self._count_failure(event)
        return ()

    @property
    def drawn(self) -> Collection[str]:
        """All trials drawn so far."""
        return self._point_of.keys()

    @property
    def complete(self) -> bool:
        """Whether every point of the search has ended, or no new point can be sampled."""
        return not self._open and (self._exhausted or not self._room)

    def was_chosen(self) -> None:
        """Records that the search has ended and that its best points, if any, are part of the plan."""
        self._log = replace(self._log, to_promote=0, ended=True)
        self._write()

    def candidates(self) -> list[Candidate]:
        """The points that can be chosen: those that were measured with all their seeds."""
        return candidates_of(self._points.values(), self.search.space)

    def _replay(self, item: Past) -> None:
        draw = self._sampler.replay(item.proposal.drawn)
        self._proposals.append(item.proposal)
        known = self._points.get(item.specs[0].trial_id) if item.specs else None
        if not item.specs or (known is None and item.end is None and not self._room):  # fewer trials are requested now
            self._sampler.tell(draw, "failed")
        elif known is not None and known.end is not None:  # sampled again after its end
            self._tell(known, draw)
        elif known is not None:
            known.draws.append(draw)
        else:
            point = self._add(item.specs, draw)
            self._room -= item.end is None
            if item.runs[0].judged is not None and item.runs[0].state is not None:
                self._replay_reports(draw, item.runs[0].judged, item.runs[0].state, item.runs[0].end)
            self._go_on(point, list(item.runs))

    def _replay_reports(self, draw: Draw, judged: Judged, state: TrialState, end: End | None) -> None:
        """Reports the epochs that the pruner evaluated during the trial: all but the last for a complete trial, whose
        end event covers it; none after the pruning epoch for a pruned trial."""
        last = (state.epochs or 0) - (end == "finished")
        for epoch, value in best_so_far(judged.curve, maximize=self._maximize).items():
            if epoch > last or (self._sampler.report(draw, epoch, value) and end == "pruned"):
                break

    def _draw_new(self) -> Point | None:
        if self._exhausted or not self._room:
            return None
        impossible = False
        for _ in range(MOST_REPEATS):
            draw = self._sampler.ask()
            try:
                specs = self.search.trials(draw.settings, self._builder)
            except InputError:  # the values are not valid in any recipe
                impossible = True
                self._proposals.append(Proposal(trial_id="", arm="", settings=draw.settings, drawn=draw.drawn))
                self._sampler.tell(draw, "failed")
                continue
            trial_id, *further = (spec.trial_id for spec in specs)
            name = self.search.point_name(draw.settings)
            self._proposals.append(
                Proposal(trial_id=trial_id, arm=name, settings=draw.settings, drawn=draw.drawn, further=tuple(further))
            )
            known = self._points.get(trial_id)
            if known is None:
                self._room -= 1
                self._write()
                return self._add(specs, draw)
            if known.end is None:
                known.draws.append(draw)
            else:
                self._tell(known, draw)
        self._write()
        self._exhausted = True
        drawn = "were evaluated before or are invalid" if impossible else "were evaluated before"
        self.why_stopped = f"the sampler proposes only points that {drawn} ({MOST_REPEATS} in a row)"
        return None

    def _add(self, specs: tuple[TrialSpec, ...], draw: Draw) -> Point:
        point = self._points[specs[0].trial_id] = self._open[specs[0].trial_id] = Point(specs, [draw])
        self._point_of.update({spec.trial_id: point for spec in specs})
        return point

    def _judge(self, point: Point, epoch: int, metric: float | None) -> None:
        """Processes the metric of an epoch, and requests the end of the trial if the pruner decides to end it."""
        if metric is None or epoch <= point.judged or point.pruned or point.repeats is not None:
            return  # a resumed trial sends its epochs again, and a repeated trial's end is fixed
        point.judged = epoch
        better = max if self._maximize else min
        point.best = metric if point.best is None else better(point.best, metric)
        verdicts = [self._sampler.report(draw, epoch, point.best) for draw in point.draws]
        if any(verdicts):
            point.pruned = True
            ask_to_end(self._results, point.spec.trial_id, epoch)

    def _end(self, point: Point, end: End, best_epoch: int = 0) -> None:
        """Processes the end of the running trial of a point."""
        point.running, spec, repeats = False, point.next, point.repeats
        judged = None
        if end != "failed":
            best = {spec.trial_id: best_epoch}
            judged = read_judged(Ledger(self._results), {spec.trial_id: spec}, best, self._settings).get(spec.trial_id)
        if repeats is not None and judged is not None and point.draws and spec is point.spec:
            self._replay_reports(point.draws[0], judged, repeats, end)
        self._go_on(point, [PastRun(end=end, judged=judged), *point.later])
        self._decide()

    def _go_on(self, point: Point, runs: list[PastRun]) -> None:
        """Adds the known outcomes of a point's trials, starting with the next one, and queues the trials to run."""
        while runs and runs[0].end is not None:
            end = point.add(runs.pop(0), self._settings)
            if end is not None:
                self._close(point, end)
                return
        point.repeats, point.later = (runs[0].repeats, runs[1:]) if runs else (None, [])
        if point.trials:
            self._undecided.add(point.spec.trial_id)
        else:
            self._queue.append(point)

    def _decide(self) -> None:
        """Ends unpromising points and queues the next seed of promising ones; undecided points wait for earlier
        points.
        """
        earlier: list[Point] = []
        for trial_id, point in self._points.items() if self._undecided else ():
            if trial_id in self._undecided:
                verdict = hopeless(point, earlier, maximize=self._maximize)
                if verdict is not None:
                    self._undecided.remove(trial_id)
                if verdict:
                    self._close(point, "dropped")
                elif verdict is False:
                    self._queue.append(point)
            earlier.append(point)

    def _close(self, point: Point, end: End) -> None:
        point.end = end
        del self._open[point.spec.trial_id]
        draws, point.draws = point.draws, []
        for draw in draws:
            self._tell(point, draw)

    def _tell(self, point: Point, draw: Draw) -> None:
        assert point.end is not None
        result = point.result
        if result is None:
            self._sampler.tell(draw, point.end)
        else:
            self._sampler.tell(draw, point.end, result.values, result.excess)

    def _count_failure(self, event: TrialEvent) -> None:
        """Holds back the search if several of its trials failed in the same way and no trial has finished."""
        if event.failure != "nan_loss":  # divergence is a valid result for a setting
            self._repeated.add(SEARCH, event.trial_id, event.failure, event.error or "", event.frame)
        ended = any(point.trials or point.end == "pruned" for point in self._points.values())
        if SEARCH in self._repeated.held and not ended:
            self._hold_back()

    def _hold_back(self) -> None:
        self.held_back = True
        self.why_stopped = f"{HOLD_AFTER} search trials failed in the same way and none has finished"
        self.stop()

    def _write(self) -> None:
        replace(self._log, proposals=tuple(self._proposals)).write(self._results)
