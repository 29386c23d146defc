"""Simulation of a study of 100,000 trials on 1,000 nodes.

    python benchmarks/simulate.py                                  # a few minutes; reproduces docs/scale.md
    python benchmarks/simulate.py --trials 2000 --nodes 20 --mtbf-h 50
    python benchmarks/simulate.py --joined 200                     # 200 joined runs instead of the cluster

The study file and its checks, the expansion, the order of execution, the shared stages, the work source with its
held-back arms, the failure policy and the progress tracking are the production code. Only the cluster is simulated:
nodes with slots, durations of epochs and failures are events on a simulated clock.

The model (seeded; every number is an option or an attribute of `Cluster`):
  epochs      early stopping ends a trial after a uniform number of epochs between 40 and the recipe's 100
  length      --mean-h hours on average; an epoch takes the `rough_cost` of its recipe, times a log-normal factor
              per trial (sigma 0.25)
  checkpoint  at the end of the first epoch that ends at least --checkpoint-s seconds after the last checkpoint
  node        dies after an exponentially distributed time with mean --mtbf-h, or is reclaimed with mean --preempt-h; a
              new node replaces it after --repair-min minutes
  worker      is killed after an exponentially distributed time with a mean of --worker-mtbf-h hours per slot
  nan         a share of trials ends at a random epoch with a NaN loss
  bug         a share of arms raises the same error in the first epoch of each trial
A free slot first takes a trial whose worker was lost, then a trial from the source, as under Tune.

Reported: makespan divided by its lower bound (the larger of all work / slots and the longest trial, the epochs of
shared stages counted once), repeated epochs, traffic of the ledger (bytes of real records of a simulated trial),
seconds and memory of the planner, events per second that the driver receives and can handle, and with --ledger N
seconds to write, list, read and compact N real loose records. The last line is JSON.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agrm_study.execution.dispatch.trial_queue import TrialQueue
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.failures import FailureClass, is_forgiven
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.work import Work
from agrm_study.execution.trial.worker import HEARTBEAT_EVERY_S
from agrm_study.plan.expand import expand
from agrm_study.plan.order import rough_cost
from agrm_study.plan.plan import Plan, read_cells, write_cells
from agrm_study.plan.stages import Stages, plan_stages
from agrm_study.records.compaction import compact
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import TRIALS
from agrm_study.records.writer import epochs_table, predictions_table, rows_table, table_bytes, write_trial
from agrm_study.study.load import load_study
from agrm_study.study.study import Study

TASKS, SEEDS, FEWEST_EPOCHS, LENGTH_SIGMA, START_S = 2, 5, 40, 0.25, 20.0
HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Parameters of the simulation, from the command line."""

    trials: int = 100_000
    nodes: int = 1000
    slots: int = 8
    mean_h: float = 1.0
    mtbf_h: float = 1000.0
    preempt_h: float = 500.0
    repair_min: float = 10.0
    worker_mtbf_h: float = 2000.0
    nan: float = 0.01
    bug_arms: float = 0.001
    checkpoint_s: float = 600.0
    checkpoint_mb: float = 530.0
    retries: int = 3
    subjects: int = 400
    seed: int = 0


def make_study(cluster: Cluster, folder: Path) -> Study:
    """A grid of backbones × α × τ over two tasks and five seeds; at most 10,000 arms are allowed."""
    arms = max(4, math.ceil(cluster.trials / (TASKS * SEEDS)))
    alphas = [0.9, 0.99, 0.995, 0.999]
    taus = [round(0.5 + 0.49 * i / (arms // 8 or 1), 6) for i in range(arms // 8 or 1)]
    content = {
        "name": "simulated",
        "tasks": ["two_class", "three_class"],
        "seeds": SEEDS,
        "data": {"synthetic": {"subjects": 6}},
        "grid": {"model.backbone": ["r3d_18", "uniformer_s"], "ssl.ema.alpha": alphas, "ssl.threshold.tau": taus},
    }
    file = folder / "study.yaml"
    file.write_text(json.dumps(content))
    return load_study(file)


class Costs:
    """CPU time and memory of the planner, in one thread."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        before, began = memory_mib(), time.process_time()
        yield
        self.found[name] = {"s": time.process_time() - began, "mib": memory_mib() - before}


def memory_mib() -> float:
    """Current memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(slots=True)
class Attempt:
    """A trial on a slot. Epochs count from the start of the trial; `begun` is the start time of epoch ``first`` + 1."""

    trial_id: str
    node: int
    begun: float
    first: int
    epoch_s: float
    every: int
    alive: bool = True

    def done(self, now: float) -> int:
        """Number of completed epochs."""
        return self.first + max(0, int((now - self.begun) / self.epoch_s + 1e-9))

    def saved(self, now: float) -> int:
        """Number of epochs in the last checkpoint."""
        return self.first + (self.done(now) - self.first) // self.every * self.every


@dataclass
class Played:
    """Result of a simulation."""

    makespan_s: float = 0.0
    busy_s: float = 0.0
    lost_s: float = 0.0
    lost_epochs: int = 0
    epochs: int = 0
    checkpoints: int = 0
    events: int = 0
    driver_s: float = 0.0
    longest_event_s: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    nodes: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    work_s: float = 0.0


class Play:
    """Simulates a run: a cluster whose slots take trials from a source, driven by a heap of events."""

    def __init__(
        self, cluster: Cluster, plan: Plan, source: WorkSource, progress: StudyProgress, there: dict[str, int]
    ) -> None:
        self._cluster, self._source, self._progress, self._there = cluster, source, progress, there
        self._random = random.Random(cluster.seed)
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._now = 0.0
        self._free: deque[int] = deque(node for _ in range(cluster.slots) for node in range(cluster.nodes))
        self._down: set[int] = set()
        self._waiting: deque[str] = deque()
        self._live = 0
        self._attempts: dict[str, Attempt] = {}
        self._on_node: dict[int, set[str]] = {node: set() for node in range(cluster.nodes)}
        self._works: dict[str, Work] = {}
        self._saved: dict[str, int] = {}
        self._died: dict[str, Counter[str]] = {}
        self.played = Played()
        self._draw(plan)

    def _draw(self, plan: Plan) -> None:
        """Sample the epochs, duration and failures of each trial."""
        cluster, rng = self._cluster, self._random
        costs = {trial.trial_id: rough_cost(trial.recipe) / trial.recipe.epochs for trial in plan.trials}
        mean_epochs = (FEWEST_EPOCHS + 100) / 2
        unit = cluster.mean_h * HOUR / mean_epochs / (sum(costs.values()) / len(costs))
        self._epochs = {trial.trial_id: rng.randint(FEWEST_EPOCHS, trial.recipe.epochs) for trial in plan.trials}
        self._epoch_s = {
            trial_id: cost * unit * rng.lognormvariate(-(LENGTH_SIGMA**2) / 2, LENGTH_SIGMA)
            for trial_id, cost in costs.items()
        }
        self._nan_at = {
            trial_id: rng.randint(1, epochs) for trial_id, epochs in self._epochs.items() if rng.random() < cluster.nan
        }
        arms = sorted({trial.arm for trial in plan.trials})
        self._broken = set(rng.sample(arms, round(len(arms) * cluster.bug_arms)))

    def run(self) -> Played:
        """Simulate until no trial is left."""
        for node in range(self._cluster.nodes):
            self._await_loss(node)
        self._fill()
        while self._live or not self._source.exhausted:
            if not self._heap:
                raise SystemExit("no further events, but trials remain")
            self._now, _, happens = heapq.heappop(self._heap)
            happens()
            self._fill()
        self.played.makespan_s = self._now
        return self.played

    def _at(self, when: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._order), happens))

    def _await_loss(self, node: int) -> None:
        rates = {"died": 1 / self._cluster.mtbf_h, "preempted": 1 / self._cluster.preempt_h}
        kind = self._random.choices(list(rates), list(rates.values()))[0]
        after = self._random.expovariate(sum(rates.values())) * HOUR
        self._at(self._now + after, lambda: self._lose(node, kind))

    def _lose(self, node: int, kind: str) -> None:
        self.played.nodes[kind] += 1
        self._down.add(node)
        self._free = deque(free for free in self._free if free != node)
        for trial_id in sorted(self._on_node[node]):
            self._die(self._attempts[trial_id], "node_lost")

        def back() -> None:
            self._down.discard(node)
            self._free.extend([node] * self._cluster.slots)
            self._await_loss(node)

        self._at(self._now + self._cluster.repair_min * 60, back)

    def _fill(self) -> None:
        slots = self._cluster.nodes * self._cluster.slots
        while self._free:
            if self._waiting:
                trial_id = self._waiting.popleft()
            elif self._live < slots and (work := self._take()) is not None:
                trial_id = work.trial.trial_id
                self._works[trial_id] = work
                self._live += 1
            else:
                return
            self._start(self._works[trial_id], self._free.popleft())

    def _take(self) -> Work | None:
        began = time.perf_counter()
        work = self._source.take()
        self._spent(began)
        return work

    def _start(self, work: Work, node: int) -> None:
        trial_id = work.trial.trial_id
        epoch_s, epochs = self._epoch_s[trial_id], self._epochs[trial_id]
        first = self._saved.get(trial_id, 0)
        taken = [end for end in work.stages if end.key in self._there]
        if not first and taken:
            first = min(self._there[taken[-1].key], epochs - 1)
        every = max(1, math.ceil(self._cluster.checkpoint_s / epoch_s))
        attempt = Attempt(trial_id, node, self._now + START_S, first, epoch_s, every)
        self._attempts[trial_id] = attempt
        self._on_node[node].add(trial_id)
        self._tell(TrialEvent(kind="started", trial_id=trial_id, epochs=work.trial.recipe.epochs))
        last, ending = epochs, "finished"
        if work.trial.arm in self._broken:
            last, ending = first, "bug"
        elif (at := self._nan_at.get(trial_id)) is not None:
            last, ending = max(at, first), "nan_loss"
        end = attempt.begun + (last - first) * epoch_s
        for stage in work.stages:
            if stage.key not in self._there and first < stage.last <= last:
                when = attempt.begun + (stage.last - first) * epoch_s
                self._at(when, lambda stage=stage: self._leave(attempt, stage.key, stage.last))  # type: ignore[misc]
        killed = self._now + self._random.expovariate(1 / (self._cluster.worker_mtbf_h * HOUR))
        if killed < end:
            self._at(killed, lambda: self._die(attempt, "worker_killed"))
        else:
            self._at(end, lambda: self._end(attempt, last, ending))

    def _leave(self, attempt: Attempt, key: str, epoch: int) -> None:
        if attempt.alive and key not in self._there:
            self._there[key] = epoch
            self._tell(TrialEvent(kind="epoch", trial_id=attempt.trial_id, epoch=epoch, saved_stage=key))

    def _die(self, attempt: Attempt, kind: FailureClass) -> None:
        """Handle the loss of a worker; its trial resumes from its checkpoint as often as the policy allows."""
        if not attempt.alive:
            return
        trial_id = attempt.trial_id
        self._let_go(attempt)
        self.played.deaths[kind] += 1
        saved = attempt.saved(self._now)
        self._saved[trial_id] = saved
        self.played.lost_s += max(0.0, self._now - attempt.begun - (saved - attempt.first) * attempt.epoch_s)
        self.played.lost_epochs += attempt.done(self._now) - saved
        died = self._died.setdefault(trial_id, Counter())
        died[kind] += 1
        counted = sum(sum(not is_forgiven(name, i) for i in range(1, n + 1)) for name, n in died.items())
        if counted > self._cluster.retries:
            self._ended(trial_id, TrialEvent(kind="failed", trial_id=trial_id, failure=kind, error=kind))
        else:
            self._waiting.append(trial_id)
            self._tell(TrialEvent(kind="retried", trial_id=trial_id, failure=kind))

    def _end(self, attempt: Attempt, last: int, ending: str) -> None:
        if not attempt.alive:
            return
        trial_id = attempt.trial_id
        self._let_go(attempt)
        self._ended(
            trial_id,
            TrialEvent(
                kind="finished" if ending == "finished" else "failed",
                trial_id=trial_id,
                epoch=last,
                wall_s=last * attempt.epoch_s,
                failure=None if ending == "finished" else ending,
                error=None if ending == "finished" else ending,
            ),
        )

    def _let_go(self, attempt: Attempt) -> None:
        attempt.alive = False
        self._on_node[attempt.node].discard(attempt.trial_id)
        del self._attempts[attempt.trial_id]
        if attempt.node not in self._down:
            self._free.append(attempt.node)
        epochs = attempt.done(self._now) - attempt.first
        self.played.epochs += epochs
        self.played.checkpoints += epochs // attempt.every
        self.played.busy_s += self._now - attempt.begun + START_S

    def _ended(self, trial_id: str, event: TrialEvent) -> None:
        self._live -= 1
        self.played.ends[event.failure or "finished"] += 1
        self.played.longest_s = max(self.played.longest_s, event.epoch * self._epoch_s[trial_id])
        self._tell(event)

    def _tell(self, event: TrialEvent) -> None:
        """Handle an event in the same way as `run`."""
        began = time.perf_counter()
        self._progress.apply(event)
        for work in self._source.observe(event):
            self._progress.apply(TrialEvent(kind="held", trial_id=work.trial.trial_id))
            self.played.ends["held"] += 1
        self._spent(began)
        self.played.events += 1

    def _spent(self, began: float) -> None:
        took = time.perf_counter() - began
        self.played.driver_s += took
        self.played.longest_event_s = max(self.played.longest_event_s, took)


def play(cluster: Cluster, folder: Path, *, share: bool = True) -> dict[str, Any]:
    """Plan and simulate; returns all reported values except the values of `measure_ledger`."""
    costs = Costs()
    with costs.of("load the study"):
        study = make_study(cluster, folder)
    with costs.of("expand and order"):
        plan = expand(study, lambda recipe: ("data", "split"))
    with costs.of("stages"):
        stages = plan_stages(plan.trials) if share else Stages(())
    with costs.of("write plan.json"):
        write_cells(plan, folder / "plan.json")
    with costs.of("read plan.json"):
        read_cells(folder / "plan.json")
    with costs.of("progress"):
        progress = StudyProgress.of(study, plan.cells, {})
    there: dict[str, int] = {}
    with costs.of("source"):
        works = [Work(trial=trial, manifest="manifest.parquet", store="store") for trial in plan.trials]
        queue = TrialQueue(works, stages, exists=there.__contains__)
        source = WorkSource(works, order=queue, drop=lambda key: there.pop(key, None) and None)
    progress.slots = slots = cluster.nodes * cluster.slots
    shared_s = _PlayedWork(stages)
    player = Play(cluster, plan, source, progress, there)
    began = time.perf_counter()
    played = player.run()
    simulated_s = time.perf_counter() - began
    work_s = shared_s.lower_bound(player)
    bound = max(work_s / slots, played.longest_s)
    wall = played.makespan_s
    bytes_a_trial = record_bytes(cluster.subjects)
    files = sum(played.ends[kind] for kind in played.ends if kind != "held") * len(bytes_a_trial)
    beats = slots / max(HEARTBEAT_EVERY_S, cluster.mean_h * HOUR / 70)
    return {
        "cluster": asdict(cluster),
        "planner": costs.found,
        "plan": {
            "trials": len(plan.trials),
            "arms": len(study.arms),
            "stages": len(stages.stages),
            "epochs_saved": stages.saved,
            "plan_json_mb": (folder / "plan.json").stat().st_size / 1e6,
            "work_json_bytes": len(works[0].to_json()),
            "memory_mib": memory_mib(),
        },
        "makespan": {
            "hours": wall / HOUR,
            "lower_bound_hours": bound / HOUR,
            "ratio": wall / bound,
            "longest_trial_hours": played.longest_s / HOUR,
            "slots_busy": played.busy_s / (slots * wall),
        },
        "ends": dict(played.ends),
        "deaths": dict(played.deaths),
        "nodes": dict(played.nodes),
        "lost": {
            "epochs_again": played.lost_epochs,
            "hours": played.lost_s / HOUR,
            "share_of_work": played.lost_s / played.busy_s,
            "minutes_a_death": played.lost_s / 60 / max(1, played.deaths["node_lost"] + played.deaths["worker_killed"]),
        },
        "ledger": {
            "files": files,
            "files_per_s": files / wall,
            "bytes_a_trial": bytes_a_trial,
            "record_mb_per_s": sum(bytes_a_trial.values()) * files / len(bytes_a_trial) / 1e6 / wall,
            "heartbeats_per_s": beats,
            "checkpoints_per_s": played.checkpoints / wall,
            "checkpoint_gb_per_s": played.checkpoints * cluster.checkpoint_mb / 1e3 / wall,
        },
        "driver": {
            "epochs_per_s_asked": played.epochs / wall,
            "epoch_event_us": epoch_event_us(progress, source, plan),
            "other_events": played.events,
            "other_event_us": played.driver_s / played.events * 1e6,
            "longest_event_ms": played.longest_event_s * 1e3,
            "tick_ms": tick_ms(progress),
        },
        "simulated_s": simulated_s,
    }


class _PlayedWork:
    """Total work of the trials without failures, with the epochs of a stage counted once."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def lower_bound(self, player: Play) -> float:
        """Total work in seconds; each shared stage takes the time per epoch of its fastest trial."""
        total = 0.0
        counted: set[str] = set()
        for trial_id, work in player._works.items():
            if work.trial.arm in player._broken:
                continue
            last = player._nan_at.get(trial_id, player._epochs[trial_id])
            pace = player._epoch_s[trial_id]
            chain = self._stages.chain(trial_id)
            if not chain:
                total += last * pace
            for stage in chain:
                epochs = max(0, min(stage.last, last) - stage.first + 1)
                if not stage.shared:
                    total += epochs * pace
                elif stage.key not in counted:
                    counted.add(stage.key)
                    total += epochs * min(player._epoch_s[other] for other in stage.trials)
        return total


def record_bytes(subjects: int) -> dict[str, int]:
    """Bytes of the records of one trial of 70 epochs: 20 % of the subjects in the test part, 16 % in validation."""
    rng = np.random.default_rng(0)
    trial, epochs, predictions = sample_records("0" * 16, subjects, rng)
    return {
        "trials": len(table_bytes(rows_table([trial], TRIALS))),
        "epochs": len(table_bytes(epochs_table("0" * 16, epochs))),
        "predictions": len(table_bytes(predictions_table("0" * 16, predictions))),
    }


def sample_records(
    trial_id: str, subjects: int, rng: np.random.Generator
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """Synthetic records of one trial: its row, its epochs, and its predictions with five clips per subject."""
    from datetime import UTC, datetime

    trial = {
        "study": "simulated", "trial_id": trial_id, "config_id": "0" * 16, "phase": "final", "arm": "r3d_18 0.99 0.8",
        "task": "three_class", "seed": 0, "split_seed": 0, "params": '{"ssl.threshold.tau": 0.8}',
        "backbone": "r3d_18", "pooling": "shpm", "method": "agrm", "status": "finished", "stop_reason": "early_stop",
        "n_params": 33_198_531, "best_epoch": 60, "epochs": 70, "wall_s": 3600.0, "started_at": datetime.now(UTC),
        "device": "NVIDIA H200", "host": "node-0001", "code_version": "0.1.0+000000000000",
        "data_fingerprint": "0" * 16, "split_fingerprint": "0" * 16, "attempt": 1,
        "class_names": ["normal", "genu varum", "genu valgum"],
    }  # fmt: skip
    trial = {name: value for name, value in trial.items() if name in TRIALS.names}
    epochs = [
        {"epoch": epoch, "split": part, "network": network, "macro_f1": rng.random(), "accuracy": rng.random()}
        for epoch in range(1, 71)
        for part, network in (("train", "student"), ("val", "student"), ("val", "teacher"))
    ]
    predictions = []
    for part, share in (("test", 0.2), ("val", 0.16)):
        names = [f"s{i:04d}" for i in range(max(1, int(subjects * share))) for _ in range(5)]
        for network in ("student", "teacher"):
            predictions.append(
                {
                    "split": part,
                    "network": network,
                    "epoch": 60,
                    "subject_id": names,
                    "clip_id": [f"{name}#{i % 5}" for i, name in enumerate(names)],
                    "label": np.zeros(len(names), dtype=np.int8),
                    "logits": rng.normal(size=(len(names), 3)).astype(np.float32),
                }
            )
    return trial, epochs, predictions


def epoch_event_us(progress: StudyProgress, source: WorkSource, plan: Plan) -> float:
    """Time in microseconds that the agrm-study part of the driver takes per epoch of a trial."""
    trial_id = plan.trials[0].trial_id
    text = TrialEvent(kind="epoch", trial_id=trial_id, epoch=3, epochs=100, metric=0.5, wall_s=9.0, epoch_s=3).to_json()
    state = progress.trials[trial_id].state
    began = time.perf_counter()
    for _ in range(2000):
        event = TrialEvent.from_json(text)
        progress.apply(event)
        source.observe(event)
    took = (time.perf_counter() - began) / 2000 * 1e6
    progress.trials[trial_id].state = state
    return took


def tick_ms(progress: StudyProgress) -> dict[str, float]:
    """Time in milliseconds of each part of the progress display: counts, remaining time, and rendering."""
    from rich.console import Console

    from agrm_study.execution.progress.live import LiveView

    with Path(os.devnull).open("w") as nowhere:
        console = Console(file=nowhere, force_terminal=True, width=120, height=40)
        view = LiveView(console)
        view.begin(progress)
        jobs: dict[str, Callable[[], object]] = {
            "counts": progress.counts,
            "time_left": progress.time_left_s,
            "picture": lambda: console.print(view.picture()),
        }
        found = {}
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            found[name] = (time.perf_counter() - began) * 1e3
    return found


def measure_ledger(trials: int, subjects: int, folder: Path) -> dict[str, float]:
    """Time in seconds to write, list, read, compact and read again a number of real records, and to read heartbeats."""
    from agrm_study.records.location import Location

    rng = np.random.default_rng(0)
    trial, epochs, predictions = sample_records("0" * 16, subjects, rng)
    names = [f"{number:016x}" for number in range(trials)]
    root = Location.of(folder)

    def write() -> None:
        for name in names:
            write_trial(folder, trial | {"trial_id": name}, epochs=epochs, predictions=predictions)

    def beat() -> None:
        for name in names:
            Heartbeat(
                trial_id=name, attempt=1, host="node", pid=1, device="cuda", started_at=0.0, updated_at=0.0
            ).write(root)

    jobs: dict[str, Callable[[], object]] = {
        "write": write,
        "write_heartbeats": beat,
        "list": lambda: Ledger(folder).loose_files("trials"),
        "read_states": lambda: Ledger(folder).states(),
        "read_heartbeats": lambda: Heartbeat.read_all(root),
        "compact": lambda: compact(folder),
        "read_states_compacted": lambda: Ledger(folder).states(),
    }
    found = {"trials": float(trials)}
    for name, job in jobs.items():
        began = time.perf_counter()
        job()
        found[f"{name}_s"] = time.perf_counter() - began
    return found


def show(found: dict[str, Any]) -> None:
    """The results as a short table."""
    plan, makespan, lost = found["plan"], found["makespan"], found["lost"]
    ledger, driver = found["ledger"], found["driver"]
    planner_s = sum(cost["s"] for cost in found["planner"].values())
    tick = driver["tick_ms"]
    rows = [
        ("trials, arms, stages", f"{plan['trials']:,}, {plan['arms']:,}, {plan['stages']:,}"),
        ("ends", ", ".join(f"{count:,} {kind}" for kind, count in sorted(found["ends"].items()))),
        ("nodes", ", ".join(f"{count:,} {kind}" for kind, count in sorted(found["nodes"].items())) or "none lost"),
        ("worker losses", ", ".join(f"{n:,} {kind}" for kind, n in sorted(found["deaths"].items())) or "none"),
        ("makespan", f"{makespan['hours']:.2f} h, {makespan['ratio']:.3f} × its lower bound"),
        ("slots busy", f"{makespan['slots_busy']:.1%}"),
        ("lost work", f"{lost['epochs_again']:,} repeated epochs, {lost['share_of_work']:.2%} of all work"),
        ("planner", f"{planner_s:.1f} s, {plan['memory_mib']:.0f} MiB"),
        *((f"  {name}", f"{cost['s']:.2f} s, {cost['mib']:+.0f} MiB") for name, cost in found["planner"].items()),
        ("plan.json", f"{plan['plan_json_mb']:.1f} MB"),
        ("records", f"{ledger['files_per_s']:.1f} files/s, {ledger['record_mb_per_s']:.2f} MB/s, {ledger['files']:,}"),
        ("heartbeats", f"{ledger['heartbeats_per_s']:.0f} per second"),
        ("checkpoints", f"{ledger['checkpoints_per_s']:.1f} per second, {ledger['checkpoint_gb_per_s']:.2f} GB/s"),
        ("epoch events", f"{driver['epochs_per_s_asked']:.0f} per s requested, {driver['epoch_event_us']:.0f} µs each"),
        ("other events", f"{driver['other_event_us']:.0f} µs each, the longest {driver['longest_event_ms']:.1f} ms"),
        (
            "progress display",
            f"counts {tick['counts']:.1f}, time left {tick['time_left']:.1f}, rendering {tick['picture']:.0f} ms",
        ),
    ]
    rows += [(f"{name} of real records", f"{value:.2f}") for name, value in found.get("real_ledger", {}).items()]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")


def main() -> None:
    """Simulate, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in asdict(Cluster()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--no-sharing", action="store_true", help="every trial trains all its epochs")
    parser.add_argument(
        "--joined", type=int, metavar="N", help="simulate N joined runs of one slot instead (`joining.py`)"
    )
    parser.add_argument(
        "--played", type=int, default=0, metavar="N", help="simulate only the first N trials of joined runs"
    )
    parser.add_argument("--ledger", type=int, default=0, metavar="N", help="also write and read N real records")
    options = vars(parser.parse_args())
    share, ledger, runs = not options.pop("no_sharing"), options.pop("ledger"), options.pop("joined")
    played = options.pop("played")
    cluster = Cluster(**options)
    if runs:
        import joining

        found = joining.simulate(
            runs, cluster.trials, played, mean_h=cluster.mean_h, mtbf_h=cluster.mtbf_h, seed=cluster.seed
        )
        joining.show(found)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(prefix="agrm-study-simulate-") as name:
        found = play(cluster, Path(name), share=share)
        if ledger:
            found["real_ledger"] = measure_ledger(ledger, cluster.subjects, Path(name) / "results")
    show(found)
    print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main())
