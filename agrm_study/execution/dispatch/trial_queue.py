"""Queue of trials in which epochs shared by several trials are trained only once.

A trial runs as a whole. At the end of each stage that other trials wait for, it saves its state; the waiting trials
occupy no slot and resume from that state. The first of the trials that share a stage to start is its leader; if it
fails or its state is lost, another trial becomes the leader. Trials wait only for running trials, so that a trial can
always start when no trial runs.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final, Literal

from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.failures import DETERMINISTIC
from agrm_study.execution.trial.work import StageEnd, Work
from agrm_study.plan.order import rough_cost
from agrm_study.plan.stages import Stage, Stages

NO_STAGES: Final = Stages(())
LAST_ROUNDS: Final = 2
"""If at most this many trials per running trial remain, the longest trials start first, regardless of their seed."""

Place = Literal["waits", "leads", "free"]
"""Role of a trial: waits for a running trial, would be the first of several that share a stage, or neither."""
Entry = tuple[int, int, str]
"""A waiting trial: the negative number of trials that can follow it, its rank, its identity."""


class TrialQueue:
    """The trials of a run that have not started; bookkeeping without I/O, except for `exists`.

    Args:
        works: The trials, in execution order.
        stages: Stages that the trials share; no stages by default.
        saved: Saved stages by key, with the epoch of their state.
        exists: Whether a stage is (still) saved; called before a trial is handed out to reuse it.
        keep: Whether trials also save stages that no other trial waits for, and their last state.
    """

    def __init__(
        self,
        works: Sequence[Work],
        stages: Stages = NO_STAGES,
        *,
        saved: dict[str, int] | None = None,
        exists: Callable[[str], bool] = lambda key: True,
        keep: bool = False,
    ) -> None:
        self._works = {work.trial.trial_id: work for work in works}
        self._rank = {trial_id: rank for rank, trial_id in enumerate(self._works)}
        self._stages, self._exists, self._keep = stages, exists, keep
        self._saved = dict(saved or {})
        self._waiting = dict.fromkeys(self._works)
        self._running: set[str] = set()
        self._leaders: defaultdict[str, set[str]] = defaultdict(set)  # running trials that will save a stage
        self._hopeless: set[str] = set()
        self._followers: Counter[str] = Counter()  # waiting trials of a stage
        self._needed: Counter[str] = Counter()  # unfinished trials of a stage
        for trial_id in self._works:
            for stage in stages.chain(trial_id):
                self._followers[stage.key] += 1
                self._needed[stage.key] += 1
        self._places: dict[str, tuple[Place, int]] = {}
        kinds = dict.fromkeys(work.accelerator for work in works)
        self._heaps: dict[Place, dict[str | None, list[Entry]]] = {
            place: {kind: [] for kind in kinds} for place in ("free", "leads")
        }
        self._count: Counter[Place] = Counter()
        for trial_id in self._works:
            self._put(trial_id)

    def __len__(self) -> int:
        return len(self._waiting)

    def pop(self, full: Collection[str | None] = ()) -> Work | None:
        """The next trial to start; ``None`` if there is none, or all wait for running trials or for capacity.

        The given order applies, except to the last trials of a run: if slots would soon be idle, the trial that
        unblocks the most others starts first, or else the longest trial, so that no slot waits long for the last trial
        to end. Accelerators in `full` have no capacity for another trial now.
        """
        while True:
            kinds = [kind for kind in self._heaps["free"] if kind not in full]
            leader = self._next("leads", kinds)  # determines which of them are free, so it comes first
            free = self._next("free", kinds)
            trial_id = free or leader
            if trial_id is None:
                return None
            pending = self._count["free"] + self._count["waits"]
            if free is not None and leader is not None:
                soon_idle = pending <= len(self._running)
                trial_id = leader if soon_idle or self._rank[leader] < self._rank[free] else free
            elif free is not None and pending <= LAST_ROUNDS * len(self._running):
                trial_id = self._longest(kinds)
            if self._still_saved(trial_id):
                return self._start(trial_id)

    def observe(self, event: TrialEvent) -> list[str]:
        """Updates the queue with an event; returns the stages that no trial needs any more."""
        trial_id = event.trial_id
        if trial_id not in self._running:
            return []
        changed: list[Stage] = []
        stage = self._stages.by_key.get(event.saved_stage)
        if stage is not None and stage.key not in self._saved:
            self._mark_saved(stage, min(event.epoch, stage.last))
            changed.append(stage)
        chain = self._stages.chain(trial_id)
        if event.kind == "epoch":
            for stage in chain:
                if trial_id in self._leaders[stage.key] and event.epoch >= stage.last:  # it continued without saving
                    self._leaders[stage.key].discard(trial_id)
                    if self._exists(stage.key):  # saved by an attempt that died
                        self._mark_saved(stage, stage.last)
                    changed.append(stage)
        elif event.kind == "retried":
            changed += self._will_lead(trial_id)
        elif event.kind in ("finished", "failed", "interrupted"):
            self._running.discard(trial_id)
            for stage in chain:
                if trial_id in self._leaders[stage.key]:
                    self._leaders[stage.key].discard(trial_id)
                    if event.failure in DETERMINISTIC and stage.first <= event.epoch + 1 <= stage.last:
                        self._hopeless.add(stage.key)  # the other trials must not fail in turn
                    changed.append(stage)
        self._put_again(changed)
        if event.kind == "finished" or event.failure in DETERMINISTIC:
            return self._not_needed_after(trial_id)
        return []

    def put_back(self, trial_id: str) -> None:
        """Takes back a trial that was handed out and no longer runs; it regains its position in the order."""
        if trial_id not in self._running:
            return
        self._running.discard(trial_id)
        self._waiting[trial_id] = None
        changed: list[Stage] = []
        for stage in self._stages.chain(trial_id):
            self._followers[stage.key] += 1
            if trial_id in self._leaders[stage.key]:
                self._leaders[stage.key].discard(trial_id)
                if self._exists(stage.key):
                    self._mark_saved(stage, stage.last)
                changed.append(stage)
        self._put(trial_id)
        self._put_again(changed)

    def awaited(self) -> dict[str, str]:
        """Stages that waiting trials wait for, each with a running trial that will save it."""
        return {key: min(leaders) for key, leaders in self._leaders.items() if leaders and self._followers[key]}

    def remove(self, arms: Collection[str]) -> list[Work]:
        """Removes the trials of the given arms that have not started."""
        removed = [self._works[trial_id] for trial_id in self._waiting if self._works[trial_id].trial.arm in arms]
        for work in removed:
            self.withdraw(work.trial.trial_id)
        return removed

    def withdraw(self, trial_id: str) -> None:
        """Removes a trial that has not started."""
        del self._waiting[trial_id]
        self._count[self._places.pop(trial_id)[0]] -= 1
        for stage in self._stages.chain(trial_id):
            self._followers[stage.key] -= 1

    def _handed_over(self, trial_id: str) -> list[Stage]:
        """The stages of a trial that are shared or saved; none after a stage in which training stopped."""
        found = []
        for stage in self._stages.chain(trial_id):
            epoch = self._saved.get(stage.key)
            if stage.shared or epoch is not None:
                found.append(stage)
            if epoch is not None and epoch < stage.last:
                break
        return found

    def _judge(self, trial_id: str) -> tuple[Place, int]:
        """The role of a waiting trial, and the number of trials that can follow once it has started."""
        others = 0
        for stage in reversed(self._handed_over(trial_id)):
            if stage.key in self._saved:
                break
            if stage.key in self._hopeless:
                continue
            if self._leaders[stage.key]:
                return "waits", 0
            others = max(others, self._followers[stage.key] - 1)
        return ("leads", others) if others else ("free", 0)

    def _put(self, trial_id: str) -> None:
        """Moves a waiting trial to its position in the order if the position has changed."""
        place, old = self._judge(trial_id), self._places.get(trial_id)
        if place == old:
            return
        self._count[place[0]] += 1
        if old is not None:
            self._count[old[0]] -= 1
        self._places[trial_id] = place
        if place[0] != "waits":
            heap = self._heaps[place[0]][self._works[trial_id].accelerator]
            heapq.heappush(heap, (-place[1], self._rank[trial_id], trial_id))

    def _put_again(self, stages: Collection[Stage]) -> None:
        """Repositions the waiting trials of the given stages of one chain; the first stage includes them all."""
        if stages:
            first = min(stages, key=lambda stage: stage.first)
            for trial_id in first.trials:
                if trial_id in self._waiting:
                    self._put(trial_id)

    def _next(self, place: Place, kinds: Iterable[str | None]) -> str | None:
        """The first trial with the given role, over the given accelerators."""
        found = (self._first(self._heaps[place][kind], place) for kind in kinds)
        return min((first for first in found if first is not None), default=(0, 0, None))[-1]

    def _longest(self, kinds: Iterable[str | None]) -> str:
        """The longest of the trials that do not wait for another trial; there is at least one."""
        entries = (entry for kind in kinds for entry in self._heaps["free"][kind])
        return min((t for _, _, t in entries if self._places.get(t) == ("free", 0)), key=self._by_length.__getitem__)

    @cached_property
    def _by_length(self) -> dict[str, int]:
        """Position of each trial, longest first; ties in the given order."""
        longest = sorted(self._works, key=lambda trial_id: -rough_cost(self._works[trial_id].trial.recipe))
        return {trial_id: position for position, trial_id in enumerate(longest)}

    def _first(self, heap: list[Entry], place: Place) -> Entry | None:
        """The first valid entry of a heap; removes outdated entries and repositions their trials."""
        while heap:
            others, _, trial_id = heap[0]
            if trial_id in self._waiting and self._judge(trial_id) == (place, -others):
                return heap[0]
            heapq.heappop(heap)
            if trial_id in self._waiting:
                self._put(trial_id)
        return None

    def _still_saved(self, trial_id: str) -> bool:
        """Whether the stage that a trial would reuse is still saved; if not, its trials are repositioned."""
        for stage in reversed(self._handed_over(trial_id)):
            if stage.key in self._saved:
                if self._exists(stage.key):
                    return True
                del self._saved[stage.key]
                self._put_again([stage])
                return False
        return True

    def _start(self, trial_id: str) -> Work:
        self.withdraw(trial_id)
        self._running.add(trial_id)
        self._put_again(self._will_lead(trial_id))
        ends = tuple(
            StageEnd(stage.key, stage.last)
            for stage in self._stages.chain(trial_id)
            if self._keep or stage.key in self._saved or self._followers[stage.key]
        )
        return replace(self._works[trial_id], stages=ends) if ends else self._works[trial_id]

    def _will_lead(self, trial_id: str) -> list[Stage]:
        """Registers a running trial as leader of its unsaved stages; returns the stages that had no leader."""
        led = []
        for stage in self._handed_over(trial_id):
            if stage.key not in self._saved and stage.key not in self._hopeless:
                if not self._leaders[stage.key]:
                    led.append(stage)
                self._leaders[stage.key].add(trial_id)
        return led

    def _mark_saved(self, stage: Stage, epoch: int) -> None:
        self._saved[stage.key] = epoch
        self._leaders.pop(stage.key, None)

    def _not_needed_after(self, trial_id: str) -> list[str]:
        found = []
        for stage in self._stages.chain(trial_id):
            self._needed[stage.key] -= 1
            if not self._needed[stage.key] and stage.key in self._saved:
                del self._saved[stage.key]
                found.append(stage.key)
        return found
