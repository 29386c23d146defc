"""How far is a study, seen from its results folder alone?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agrm_study.execution.progress.search_status import SearchStatus, search_cells, search_status
from agrm_study.execution.results_folder.lock import running_owner
from agrm_study.execution.trial.failures import DETERMINISTIC
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.plan.plan import Cell, parse_cells
from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.search_log import SearchLog
from agrm_study.records.study_file import read_study
from agrm_study.study.no_results import no_results


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedTrial:
    """A trial that has begun and has no record.

    Attributes:
        heard_s: Seconds since its last sign of life.
        note: What it waits for before its first epoch.
    """

    trial_id: str
    arms: tuple[str, ...]
    task: str
    seed: int
    epoch: int
    epochs: int
    metric: float | None
    epoch_s: float
    wall_s: float
    attempt: int
    host: str
    heard_s: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStatus:
    """A trial whose last word is a failure."""

    trial_id: str
    arms: tuple[str, ...]
    task: str
    seed: int
    failure: str
    error: str
    attempt: int
    heals: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStatus:
    """Trials of an arm on a task, by state."""

    arm: str
    task: str
    finished: int
    running: int
    failed: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """How far a study is.

    Attributes:
        active: Who runs it now (study, host, pid, since), ``None`` for nobody.
        running: Trials under way; when nobody runs the study, trials that the next run goes on with.
        search: How far the search is, for a study that has one; its trials count in the numbers above.
        race: What a race has decided, for a study that races; trials that it spares count nowhere.
        time_left_s: Seconds until the last trial ends at the present pace; ``None`` when nobody runs it or nothing was
            measured.
    """

    results: str
    active: dict[str, Any] | None
    total: int
    finished: int
    failed: int
    waiting: int
    running: tuple[UnfinishedTrial, ...]
    failures: tuple[FailureStatus, ...]
    arms: tuple[ArmStatus, ...]
    search: SearchStatus | None
    race: RaceLog | None
    time_left_s: float | None
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def status(results: str | Path) -> StudyStatus:
    """The status of a results folder.

    Raises:
        InputError: When it is not one.
    """
    location = Location.of(results)
    final = planned_cells(location)
    log = SearchLog.read(location)
    drawn = search_cells(log)
    ledger = Ledger(location)
    states = ledger.states()
    race = RaceLog.read(location)
    if race is not None:
        final = wanted_cells(final, race, [trial_id for trial_id, s in states.items() if s.status == "finished"])
    cells = [*drawn, *final]
    planned = dict.fromkeys(cell.trial_id for cell in cells)
    arms_of: dict[str, list[str]] = {}
    first: dict[str, Cell] = {}
    for cell in cells:
        arms_of.setdefault(cell.trial_id, []).append(cell.arm)
        first.setdefault(cell.trial_id, cell)
    active = running_owner(location)
    since = active.get("since", 0.0) if active is not None else 0.0
    begun = [
        beat
        for beat in Heartbeat.read_all(location)
        if beat.trial_id in planned and not beat.over and beat.updated_at >= since
    ]
    for beat in begun:  # a failed trial that runs again
        states.pop(beat.trial_id, None)
    finished = [t for t in planned if t in states and states[t].status == "finished"]
    failures = tuple(
        _failure(states[t], first[t], tuple(dict.fromkeys(arms_of[t])))
        for t in planned
        if t in states and states[t].status == "failed"
    )
    now = time.time()
    searched = frozenset(cell.trial_id for cell in drawn)
    search = None
    if log is not None:
        network = read_study(location).base.evaluate.network
        search = search_status(log, ledger, drawn, {b.trial_id for b in begun} & searched, network)
    to_come = 0 if search is None else search.total - len(searched) + search.to_promote
    running = tuple(_unfinished(b, first[b.trial_id], tuple(dict.fromkeys(arms_of[b.trial_id])), now) for b in begun)
    return StudyStatus(
        results=str(results),
        active=active,
        total=len(planned) + to_come,
        finished=len(finished),
        failed=len(failures),
        waiting=len(planned) + to_come - len(finished) - len(failures) - len(running),
        running=running,
        failures=failures,
        arms=_by_arm(final, states, {b.trial_id for b in begun}),
        search=search,
        race=race,
        time_left_s=_time_left(planned, first, states, begun, now, to_come) if active is not None else None,
        problems=tuple(f"{p.path}: {p.reason}" for p in ledger.problems),
    )


def wanted_cells(cells: Sequence[Cell], race: RaceLog, done: Collection[str]) -> list[Cell]:
    """The cells that a race still asks for, and those whose trial has finished."""
    spared = race.spared([(c.arm, c.task, c.seed, c.trial_id) for c in cells], set(done))
    return [cell for cell in cells if (cell.arm, cell.task, cell.seed) not in spared]


def planned_cells(location: Location) -> Sequence[Cell]:
    """Which trial fills which cell, in a results folder.

    Raises:
        InputError: When it is not one, or its plan is damaged.
    """
    plan = (location / "plan.json").read()
    if plan is None:
        raise no_results(location.address, "plan.json")
    return parse_cells(plan, f"{location.address}/plan.json")


def _unfinished(beat: Heartbeat, cell: Cell, arms: tuple[str, ...], now: float) -> UnfinishedTrial:
    return UnfinishedTrial(
        trial_id=beat.trial_id,
        arms=arms,
        task=cell.task,
        seed=cell.seed,
        epoch=beat.epoch,
        epochs=beat.epochs,
        metric=beat.metric,
        epoch_s=beat.epoch_s,
        wall_s=beat.wall_s,
        attempt=beat.attempt,
        host=beat.host,
        heard_s=max(0.0, now - beat.updated_at),
        note=beat.note,
    )


def _failure(state: TrialState, cell: Cell, arms: tuple[str, ...]) -> FailureStatus:
    return FailureStatus(
        trial_id=cell.trial_id,
        arms=arms,
        task=cell.task,
        seed=cell.seed,
        failure=state.failure or "bug",
        error=state.error or "",
        attempt=state.attempt,
        heals=state.failure not in DETERMINISTIC,
    )


def _by_arm(cells: Sequence[Cell], states: dict[str, TrialState], begun: set[str]) -> tuple[ArmStatus, ...]:
    counts: dict[tuple[str, str], Counter[str]] = {}
    for cell in cells:
        state = states.get(cell.trial_id)
        word = state.status if state is not None else "running" if cell.trial_id in begun else "waiting"
        counts.setdefault((cell.arm, cell.task), Counter())[word] += 1
    return tuple(
        ArmStatus(
            arm=arm,
            task=task,
            **{word: count[word] for word in ("finished", "running", "failed", "waiting")},
        )
        for (arm, task), count in counts.items()
    )


def _time_left(
    planned: dict[str, None],
    first: dict[str, Cell],
    states: dict[str, TrialState],
    begun: Sequence[Heartbeat],
    now: float,
    to_come: int,
) -> float | None:
    """Seconds until the last trial ends, with as many slots as there are trials under way.

    Args:
        planned: Trials that are known.
        first: A cell of each.
        states: What the ledger knows.
        begun: Trials under way.
        now: Seconds since 1970.
        to_come: Trials that are not known yet.
    """
    walls: dict[tuple[str, str], list[float]] = {}
    for trial_id in planned:
        state = states.get(trial_id)
        if state is not None and state.status == "finished" and state.wall_s:
            walls.setdefault((first[trial_id].arm, first[trial_id].task), []).append(state.wall_s)
    guesses: dict[tuple[str, str], list[float]] = {}
    for beat in begun:
        if beat.epoch:
            key = (first[beat.trial_id].arm, first[beat.trial_id].task)
            guesses.setdefault(key, []).append(beat.wall_s / beat.epoch * beat.epochs)
    means = {key: sum(values) / len(values) for key, values in (guesses | walls).items()}
    if not means:
        return None
    overall = sum(means.values()) / len(means)
    left, longest = overall * to_come, 0.0
    alive = {beat.trial_id: beat for beat in begun}
    for trial_id in planned:
        if trial_id in states:
            continue
        cost = means.get((first[trial_id].arm, first[trial_id].task), overall)
        if trial_id in alive:
            cost = max(0.0, cost - alive[trial_id].wall_s - (now - alive[trial_id].updated_at))
            longest = max(longest, cost)
        left += cost
    return max(left / max(1, len(begun)), longest)
