"""Cost of joined runs: throughput of real runs with short trials, and a simulation of many runs with long trials.

    python benchmarks/joining.py                              # 8 processes, 400 trials that sleep for one second
    python benchmarks/joining.py --runs 8 --trials 400 --trial-s 1
    python benchmarks/simulate.py --joined 200 --played 2000  # 200 runs of 100,000 trials, on a simulated clock

**Throughput.** Each process is a joined run with the in-process executor; claims, heartbeats and records are on a real
disk. Reported: the share of time spent in the sleep of a trial, from the time when every run has started a trial until
the first run has no trial left, which excludes start-up and the last trials.

**Simulation.** Leases and sources are the production code, on an in-memory store that counts requests; time is
simulated. Trials last `mean_h` on average, each run is killed after `mtbf_h` hours on average and replaced ten minutes
later. Renewals, listings and checks of running trials, which repeat at fixed intervals, are computed instead of
simulated. The simulation ends when a run finds no trial. The number of requests per second depends on the number of
runs, and for listings also on the number of trials; `--played N` simulates only the first N trials of a long study.
"""

from __future__ import annotations

import argparse
import functools
import heapq
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agrm_study.execution.dispatch import joined_source
from agrm_study.execution.dispatch.joined_source import LOOK_BUSY_S, LOOK_SHARE, WATCH_S, JoinedSource
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.results_folder import leases as lease_module
from agrm_study.execution.results_folder.leases import EXPIRES_AFTER_S, RENEW_EVERY_S, Leases, Member
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.runner import NoopRunner, RunnerContext
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.execution.trial.worker import HEARTBEAT_EVERY_S
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.study.recipe import Recipe
from agrm_study.training.outcome import EpochReport

HOUR = 3600.0
REPLACED_S = 600.0


class SleepingRunner(NoopRunner):
    """A trial that sleeps for the time given by its arm, and records its start and end."""

    def start(self, work: Work, context: RunnerContext) -> int:
        self._work, self._folder = work, Path(context.settings.results) / "spans"
        return 0

    def run_epoch(self) -> EpochReport:
        began = time.time()
        time.sleep(float(self._work.trial.arm))
        (self._folder / self._work.trial.trial_id).write_text(json.dumps([began, time.time()]))
        return super().run_epoch()


def works_of(trials: int, trial_s: float) -> list[Work]:
    """Trials of an arm whose name gives their duration."""
    given = {"config_id": "0" * 16, "study": "joining", "phase": "final", "arm": str(trial_s)}
    return [
        Work(trial=TrialSpec(trial_id=f"{seed:016x}", recipe=Recipe(seed=seed), **given))  # type: ignore[arg-type]
        for seed in range(trials)
    ]


def run_joined(folder: Path, trials: int, trial_s: float) -> None:
    """One joined run; writes the list of trials that it executed."""
    from agrm_study.execution.driver.executor import InlineExecutor
    from agrm_study.execution.interrupt import Interrupt
    from agrm_study.execution.results_folder.lock import joined

    results = Location.of(folder)
    mine: list[str] = []
    with joined(results, "joining", "code") as leases:
        source = JoinedSource(
            WorkSource(works_of(trials, trial_s)), leases, results, metric="macro_f1", stage_epoch=lambda key: None
        )

        def on_event(event: TrialEvent) -> None:
            source.observe(event)
            if event.kind == "finished" and not event.elsewhere:
                mine.append(event.trial_id)

        def on_tick() -> None:
            for event in source.poll():
                on_event(event)

        settings = WorkerSettings(results=str(folder), runner="joining:SleepingRunner", run=leases.run)
        InlineExecutor().run(source, settings, on_event=on_event, interrupt=Interrupt(), on_tick=on_tick)
        (folder / "runs").mkdir(exist_ok=True)
        (folder / "runs" / leases.run).write_text(json.dumps(mine))


def measure(runs: int, trials: int, trial_s: float) -> dict[str, float]:
    """Measure the throughput of real joined runs on this machine."""
    with tempfile.TemporaryDirectory(prefix="agrm-study-joining-") as name:
        folder = Path(name)
        (folder / "spans").mkdir()
        words = [sys.executable, __file__, "--one", name, "--trials", str(trials), "--trial-s", str(trial_s)]
        processes = [subprocess.Popen(words) for _ in range(runs)]
        if any(process.wait() for process in processes):
            raise SystemExit("a run failed")
        by_run = [json.loads(file.read_text()) for file in (folder / "runs").iterdir()]
        spans = {file.name: json.loads(file.read_text()) for file in (folder / "spans").iterdir()}
    if sum(map(len, by_run)) != trials or len(spans) != trials:
        raise SystemExit(f"{sum(map(len, by_run))} trials were executed, {len(spans)} of {trials} were recorded")
    begins = max(min(spans[trial][0] for trial in mine) for mine in by_run)
    ends = min(max(spans[trial][1] for trial in mine) for mine in by_run)
    slept = sum(max(0.0, min(end, ends) - max(begin, begins)) for begin, end in spans.values())
    return {
        "runs": runs,
        "trials": trials,
        "share_of_ideal": slept / (runs * (ends - begins)),
        "window_s": ends - begins,
        "start_up_s": begins - min(begin for begin, _ in spans.values()),
        "fewest_trials_of_a_run": min(map(len, by_run)),
        "most_trials_of_a_run": max(map(len, by_run)),
    }


@dataclass
class Store:
    """In-memory file store that counts requests; live runs are renewed automatically."""

    now: float = 0.0

    def __post_init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.runs: dict[str, None] = {}  # files in the folder of runs
        self.died: dict[str, float] = {}
        self.requests: Counter[str] = Counter()
        self.recorded: dict[str, int] = {}  # trial → its position in the order of records


@dataclass(frozen=True)
class Place:
    """The part of the `Location` interface that `Leases` uses."""

    store: Store
    path: str

    is_local = False

    def __truediv__(self, name: str) -> Place:
        return Place(self.store, f"{self.path}/{name}")

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    def mark(self) -> None:
        return None

    def read(self) -> bytes | None:
        self.store.requests["reads"] += 1
        if self.path.endswith(".json"):
            at = min(self.store.now, self.store.died.get(self.name.removesuffix(".json"), self.store.now))
            return str(int(at / RENEW_EVERY_S)).encode()
        return self.store.files.get(self.path)

    def exists(self) -> bool:
        self.store.requests["lookups"] += 1
        return self.path in self.store.files

    def write_atomic(self, data: bytes, *, durable: bool = True) -> None:
        self.store.files[self.path] = data
        self.store.runs[self.path] = None

    def children(self, suffix: str = "") -> list[Place]:
        self.store.requests["listings"] += 1
        assert self.name == "runs"
        return [Place(self.store, path) for path in self.store.runs]


class Recorded:
    """The records up to a given time."""

    def __init__(self, store: Store) -> None:
        self._store, self._until = store, len(store.recorded)

    def __contains__(self, trial_id: object) -> bool:
        return self._store.recorded.get(str(trial_id), self._until) < self._until


class Order(WorkSource):
    """Trials in a fixed order, without the memory for one queue per run."""

    def __init__(self, works: Sequence[Work], store: Store) -> None:
        super().__init__(())
        self._works, self._store, self._at, self._back = works, store, 0, deque[Work]()
        self._of = {work.trial.trial_id: work for work in works}

    def take(self, full: Collection[str | None] = ()) -> Work | None:
        if self._back:
            return self._back.popleft()
        self._at += 1
        return self._works[self._at - 1] if self._at <= len(self._works) else None

    @property
    def exhausted(self) -> bool:
        return not self._back and self._at >= len(self._works)

    def work(self, trial_id: str) -> Work:
        return self._of[trial_id]

    def observe(self, event: TrialEvent) -> Sequence[Work]:
        return ()

    def put_back(self, trial_id: str) -> None:
        self._back.append(self._of[trial_id])


def _in_memory(store: Store) -> None:
    """Replace file access by the in-memory store."""

    def create(file: Place, content: bytes) -> bool:
        store.requests["creations"] += 1
        if file.path in store.files:
            store.requests["refused creations"] += 1
            return False
        store.files[file.path] = content
        if file.path.endswith(".ended"):
            store.runs[file.path] = None
        return True

    class Ledger:
        def __init__(self, results: Place) -> None: ...

        def recorded(self, kind: str) -> Recorded:
            return Recorded(store)

    def recorded_events(ledger: Ledger, metric: str, works: Sequence[Work], known: object) -> list[TrialEvent]:
        ended = [work.trial.trial_id for work in works if work.trial.trial_id in store.recorded]
        store.requests["records read"] += len(ended)
        return [TrialEvent(kind="finished", trial_id=trial_id) for trial_id in ended]

    lease_module.create = create  # type: ignore[assignment]
    lease_module._json = functools.lru_cache(lease_module._json)  # runs claim the same trials thousands of times
    lease_module.parse = functools.lru_cache(lease_module.parse)  # type: ignore[assignment]
    lease_module.has_ended = lambda results, run: (results / "leases" / "runs" / f"{run}.ended").exists()
    joined_source.Ledger = Ledger  # type: ignore[assignment, misc]
    joined_source.recorded_events = recorded_events  # type: ignore[assignment]


def simulate(
    runs: int = 200, trials: int = 100_000, played: int = 0, mean_h: float = 1.0, mtbf_h: float = 1000.0, seed: int = 0
) -> dict[str, Any]:
    """Simulate joined runs with one slot each, for the first `played` trials of a study (0: all).

    Returns the share of time in which slots were busy, and the requests per second.
    """
    began, chance = time.process_time(), random.Random(seed)
    store, order = Store(), itertools.count()
    _in_memory(store)
    works = works_of(played or trials, 0.0)
    lengths = [chance.lognormvariate(-0.5 * 0.5**2, 0.5) * mean_h * HOUR for _ in works]
    length = {work.trial.trial_id: seconds for work, seconds in zip(works, lengths, strict=True)}
    heap: list[tuple[float, int, str, Any, str]] = []
    trained: Counter[str] = Counter()
    lost_s = busy_s = 0.0
    deaths, takes_over = 0, list[float]()
    held_by_dead: dict[str, float] = {}
    watch_s = max(EXPIRES_AFTER_S, WATCH_S * runs)

    def at(seconds: float, what: str, run: Any, trial_id: str = "") -> None:
        heapq.heappush(heap, (store.now + seconds, next(order), what, run, trial_id))

    def join() -> None:
        left = [work for work in works if work.trial.trial_id not in store.recorded]
        member = Member(study="joining", host="h", pid=0, since=0.0)
        leases = Leases(Place(store, ""), member, clock=lambda: store.now)  # type: ignore[arg-type]
        leases.join()
        source = JoinedSource(
            Order(left, store), leases, Place(store, ""), metric="", stage_epoch=lambda key: None,  # type: ignore[arg-type]
            clock=lambda: store.now,
        )  # fmt: skip
        run = {"leases": leases, "source": source, "running": {}, "id": leases.run}
        at(0.0, "take", run)
        at(chance.expovariate(1 / (mtbf_h * HOUR)), "die", run)
        at(chance.uniform(0.0, watch_s), "watch", run)

    for _ in range(runs):
        join()
    while True:
        store.now, _, what, run, trial_id = heapq.heappop(heap)
        if run["id"] in store.died:
            continue
        if what == "join":
            join()
            continue
        source, running = run["source"], run["running"]
        if what == "die":
            deaths += 1
            store.died[run["id"]] = store.now
            for held, since in running.items():
                lost_s += store.now - since
                held_by_dead[held] = store.now
            heapq.heappush(heap, (store.now + REPLACED_S, next(order), "join", {"id": ""}, ""))
            continue
        if what == "end":
            busy_s += store.now - running.pop(trial_id)
            store.recorded.setdefault(trial_id, len(store.recorded))
        run["leases"]._sightings._awake_at = store.now  # the run has been renewed continuously
        if what == "watch":
            source.poll()
            at(watch_s, "watch", run)
            continue
        run["leases"].renew()
        source._look_at = 0.0 if what == "end" else source._look_at  # a busy run listed the records seconds ago
        source.poll()
        work = source.take()
        if work is not None:
            trial_id = work.trial.trial_id
            trained[trial_id] += 1
            running[trial_id] = store.now
            if trial_id in held_by_dead:
                takes_over.append(store.now - held_by_dead.pop(trial_id))
            at(length[trial_id], "end", run, trial_id)
        else:
            break
    wall = store.now
    working = [run for _, _, what, run, _ in heap if what == "end" and run["id"] not in store.died]
    busy_s += sum(wall - since for run in working for since in run["running"].values())
    entries = 1024 + trials / 500 + 2 * runs  # loose and merged records, and the files of runs
    look_s = max(LOOK_BUSY_S, entries * 5e-6 / LOOK_SHARE)
    per_s = {name: count / wall for name, count in store.requests.items()}
    return {
        "runs": runs,
        "trials": trials,
        "played_h": wall / HOUR,
        "slots_busy": busy_s / (runs * wall),
        "runs_killed": deaths,
        "trials_begun": len(trained),
        "trials_begun_again": sum(trained.values()) - len(trained),
        "hours_lost_without_checkpoints": lost_s / HOUR,
        "longest_until_taken_over_h": max(takes_over, default=0.0) / HOUR,
        "claims_per_s": len(trained) / wall,
        "requests_of_claims_per_s": {name: round(value, 3) for name, value in sorted(per_s.items())},
        "renewals_per_s": runs / RENEW_EVERY_S,
        "fence_lookups_per_s": runs / HEARTBEAT_EVERY_S,
        "heartbeats_per_s": runs / HEARTBEAT_EVERY_S,
        "looks_per_s": runs / look_s,
        "names_listed_per_s": runs / look_s * entries,
        "simulated_s": time.process_time() - began,
    }


def show(found: dict[str, Any]) -> None:
    """One line per result."""
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:{width}}  {value:,.3f}" if isinstance(value, float) else f"{name:{width}}  {value}")


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--trial-s", type=float, default=1.0)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        run_joined(Path(asked.one), asked.trials, asked.trial_s)
        return
    found = measure(asked.runs, asked.trials, asked.trial_s)
    show(found)
    print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main())
