"""Source of search trials: the sampler draws one when a slot is free, and is updated with the end of every trial."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from agrm_study.execution.dispatch.sampler import Draw, End, Sampler
from agrm_study.execution.dispatch.search_history import Past, keeps_failing
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.pruning import ask_to_end
from agrm_study.execution.trial.repeated_failures import HOLD_AFTER, SEARCH
from agrm_study.execution.trial.work import Work
from agrm_study.plan.promotion import Candidate
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.schemas import PRUNED
from agrm_study.records.search_log import Proposal, SearchLog
from agrm_study.records.validation_scores import Scores, best_so_far, read_scores
from agrm_study.study.errors import InputError
from agrm_study.study.reported import reported_network
from agrm_study.study.search_space import Search

MOST_REPEATS: Final = 100
"""Consecutive draws of known trials after which the space counts as exhausted."""


@dataclass(slots=True)
class _Point:
    """One trial of the search: every draw of its settings, and how it ended."""

    spec: TrialSpec
    draws: list[Draw] = field(default_factory=list)
    end: End | None = None
    scores: Scores | None = None
    best: float | None = None
    judged: int = 0
    pruned: bool = False
    repeats: TrialState | None = None


class SearchSource(WorkSource):
    """Hands out search trials as the sampler draws them; used by one thread.

    Trials of earlier runs are replayed first: those that ended, in the order in which they were drawn, with their
    scores. Drawn points without a record are handed out before anything new is drawn.

    Args:
        make: The trial of a point; may raise `InputError` for values that no recipe allows.
        log: The content of search.json except the proposals.
        on_draw: Called with each trial that is handed out.
    """

    def __init__(
        self,
        search: Search,
        past: Sequence[Past],
        *,
        make: Callable[[dict[str, object]], TrialSpec],
        work_of: Callable[[TrialSpec], Work],
        results: Location,
        log: SearchLog,
        on_draw: Callable[[TrialSpec], None] = lambda spec: None,
    ) -> None:
        super().__init__(())
        self._search, self._make, self._make_work = search, make, work_of
        self._results, self._log, self._on_draw = results, log, on_draw
        self._maximize = search.directions[0] == "maximize"
        self._sampler = Sampler(search)
        self._points: dict[str, _Point] = {}
        self._queue: deque[_Point] = deque()
        self._proposals: list[Proposal] = []
        self._left = max(0, search.trials - len({p.spec.trial_id for p in past if p.spec is not None and p.end}))
        self._exhausted = False
        self.why_stopped: str | None = None
        self.held_back = False
        for item in past:
            if item.end == "failed" and item.state is not None and item.state.failure != "nan_loss":
                self._repeated.add_recorded(SEARCH, item.proposal.trial_id, item.state)
            self._replay(item)
        if keeps_failing(past):
            self._hold_back()
        self._length = self._left
        self._write()

    def __len__(self) -> int:
        return self._length

    def work(self, trial_id: str) -> Work:
        return self._work_of[trial_id]

    def take(self, full: Collection[str | None] = ()) -> Work | None:
        if self.exhausted or None in full:
            return None
        point = self._queue.popleft() if self._queue else self._draw_new()
        if point is None:
            self._exhausted = True
            self.why_stopped = f"the sampler draws only points that were tried before ({MOST_REPEATS} in a row)"
            return None
        self._left -= 1
        if point.repeats is not None and point.repeats.stop_reason == PRUNED:
            ask_to_end(self._results, point.spec.trial_id, point.repeats.epochs or 0)
        if (known := self._work_of.get(point.spec.trial_id)) is not None:
            return known
        work = self._make_work(point.spec)
        self._work_of[point.spec.trial_id] = work
        self._on_draw(point.spec)
        return work

    def put_back(self, trial_id: str) -> None:
        self._queue.appendleft(self._points[trial_id])
        self._left += 1

    def set_aside(self, trial_id: str) -> None:
        self.put_back(trial_id)  # points are handed out in the order in which they were drawn

    @property
    def exhausted(self) -> bool:
        return self._stopped or self._left <= 0 or (self._exhausted and not self._queue)

    def observe(self, event: TrialEvent) -> str | None:
        point = self._points[event.trial_id]
        if event.kind == "epoch":
            for epoch, metric in enumerate(event.earlier_metrics, start=1):
                self._judge(point, epoch, metric)
            self._judge(point, event.epoch, event.metric)
        elif event.kind == "finished":
            self._end(point, "pruned" if event.stop_reason == PRUNED else "finished", event.best_epoch)
        elif event.kind == "failed":
            self._end(point, "failed")
            self._count_failure(event)
        return None

    def drain_held(self) -> list[Work]:
        return []

    @property
    def drawn(self) -> Collection[str]:
        """Trials of every draw so far."""
        return self._points.keys()

    @property
    def complete(self) -> bool:
        """Whether every trial of the search has ended, or no new one can be drawn."""
        ended = sum(point.end is not None for point in self._points.values())
        return ended == len(self._points) and (self._exhausted or self._left <= 0)

    def was_promoted(self) -> None:
        """Records that the search has ended and that its best trials, if any, are arms of the plan."""
        self._log = replace(self._log, to_promote=0, ended=True)
        self._write()

    def candidates(self) -> list[Candidate]:
        """The trials that ran to their end and were measured: those that can be promoted."""
        return [
            Candidate(point.spec.params, point.scores.values)
            for point in self._points.values()
            if point.end == "finished" and point.scores is not None
        ]

    def _replay(self, item: Past) -> None:
        draw = self._sampler.replay(item.proposal.drawn)
        self._proposals.append(item.proposal)
        if item.spec is None:
            self._sampler.tell(draw, "failed")
            return
        point = self._points.setdefault(item.spec.trial_id, _Point(item.spec))
        if item.end is None and len(self._queue) >= self._left and not point.draws:  # the search was made shorter
            self._sampler.tell(draw, "failed")
            del self._points[item.spec.trial_id]
            return
        if item.end is None:
            if not point.draws:
                self._queue.append(point)
            point.draws.append(draw)
            point.repeats = item.repeats
            return
        repeated = point.end is not None  # it was drawn again after its end, and the sampler saw only its values
        point.end, point.scores = item.end, item.scores
        if item.scores is not None and item.state is not None and not repeated:
            last = (item.state.epochs or 0) - (item.end == "finished")
            self._replay_reports(draw, item.scores.curve, last, pruned=item.end == "pruned")
        self._tell(point, draw)

    def _replay_reports(self, draw: Draw, curve: Mapping[int, float], last: int, *, pruned: bool) -> None:
        """Reports the epochs that were judged while the trial ran: all but the last of one that ran to its end, as its
        end comes with it, and none after the one that it was pruned at."""
        for epoch, value in best_so_far(curve, maximize=self._maximize).items():
            if epoch > last or (self._sampler.report(draw, epoch, value) and pruned):
                break

    def _draw_new(self) -> _Point | None:
        for _ in range(MOST_REPEATS):
            draw = self._sampler.ask()
            try:
                spec = self._make(draw.settings)
            except InputError:
                self._proposals.append(Proposal(trial_id="", arm="", settings=draw.settings, drawn=draw.drawn))
                self._sampler.tell(draw, "failed")
                continue
            self._proposals.append(
                Proposal(trial_id=spec.trial_id, arm=spec.arm, settings=draw.settings, drawn=draw.drawn)
            )
            known = self._points.get(spec.trial_id)
            if known is None:
                point = self._points[spec.trial_id] = _Point(spec, [draw])
                self._write()
                return point
            if known.end is None:
                known.draws.append(draw)
            else:
                self._tell(known, draw)
        self._write()
        return None

    def _judge(self, point: _Point, epoch: int, metric: float | None) -> None:
        """Takes the metric of an epoch, and requests the worker to end the trial if the pruner decides so."""
        if metric is None or epoch <= point.judged or point.pruned or point.repeats is not None:
            return  # a resumed trial sends its epochs again, and the end of a repeated one is decided
        point.judged = epoch
        better = max if self._maximize else min
        point.best = metric if point.best is None else better(point.best, metric)
        verdicts = [self._sampler.report(draw, epoch, point.best) for draw in point.draws]
        if any(verdicts):
            point.pruned = True
            ask_to_end(self._results, point.spec.trial_id, epoch)

    def _end(self, point: _Point, end: End, best_epoch: int = 0) -> None:
        point.end = end
        if end != "failed":
            network = reported_network(point.spec.recipe)
            trial_id = point.spec.trial_id
            scores = read_scores(
                Ledger(self._results), {trial_id: best_epoch}, self._search.metric, lambda name: network
            )
            point.scores = scores.get(trial_id)
        draws, point.draws = point.draws, []
        if point.repeats is not None and point.scores is not None and draws:
            last = (point.repeats.epochs or 0) - (end == "finished")
            self._replay_reports(draws[0], point.scores.curve, last, pruned=end == "pruned")
        for draw in draws:
            self._tell(point, draw)

    def _tell(self, point: _Point, draw: Draw) -> None:
        assert point.end is not None
        self._sampler.tell(draw, point.end, point.scores.values if point.scores is not None else None)

    def _count_failure(self, event: TrialEvent) -> None:
        """Holds the search back when several of its trials failed in the same way and none has finished."""
        if event.failure != "nan_loss":  # divergence is a valid result for a setting
            self._repeated.add(SEARCH, event.trial_id, event.failure, event.error or "", event.frame)
        ended = any(point.end in ("finished", "pruned") for point in self._points.values())
        if SEARCH in self._repeated.held and not ended:
            self._hold_back()

    def _hold_back(self) -> None:
        self.held_back = True
        self.why_stopped = f"{HOLD_AFTER} search trials failed in the same way and none has finished"
        self.stop()

    def _write(self) -> None:
        replace(self._log, proposals=tuple(self._proposals)).write(self._results)
