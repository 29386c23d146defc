"""What does a trial that does nothing cost, beside bare Ray Tune?

    python benchmarks/overhead.py                # 256 trials, 2 slots
    python benchmarks/overhead.py --trials 1000 --repeats 3

Three ways, each in a process and a Ray of its own, in turn:
  agrm-study   our executor with `NoopRunner`: plan order, heartbeat, records of every trial on disk
  bare         Ray Tune at its best: class trainable, `reuse_actors`, loggers off, as many pending trials as slots
  default      Ray Tune as it comes: class trainable, no reuse, its own loggers (few trials: it is slow)

Reported per trial: the time between the first and the last trial's end, divided by the trials in between; Ray's start
and end are not in it. Beside it the driver's processor time per trial, the whole run, and
the largest memory of the driver.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS = ("bare", "agrm-study", "default")


def measure_ours(trials: int, slots: int, folder: Path) -> dict[str, float]:
    """Our executor, records included."""
    from agrm_study.execution.events import TrialEvent
    from agrm_study.execution.interrupt import Interrupt
    from agrm_study.execution.ray_session import Resources
    from agrm_study.execution.ray_tune import RayTuneExecutor
    from agrm_study.execution.source import WorkSource
    from agrm_study.execution.work import NOOP_RUNNER, Work, WorkerSettings
    from agrm_study.plan.trial import TrialSpec
    from agrm_study.records.reader import Ledger
    from agrm_study.study.recipe import Recipe

    works = [
        Work(
            trial=TrialSpec(
                trial_id=f"{seed:016x}",
                config_id="0" * 16,
                study="overhead",
                phase="final",
                arm="noop",
                recipe=Recipe(seed=seed),
            )
        )
        for seed in range(trials)
    ]
    ends: list[tuple[float, float]] = []

    def on_event(event: TrialEvent) -> None:
        if event.kind == "finished":
            ends.append((time.perf_counter(), time.process_time()))

    began = time.perf_counter()
    RayTuneExecutor(resources=Resources(), slots=slots).run(
        WorkSource(works),
        WorkerSettings(results=str(folder), runner=NOOP_RUNNER),
        on_event=on_event,
        interrupt=Interrupt(),
        on_tick=lambda: None,
    )
    whole = time.perf_counter() - began
    recorded = len(Ledger(folder).finished_ids())
    if recorded != trials:
        raise SystemExit(f"{recorded} of {trials} trials were recorded")
    return _figures(ends, whole, trials)


def measure_tune(trials: int, slots: int, folder: Path, *, best: bool) -> dict[str, float]:
    """Ray Tune without us."""
    if best:
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
        os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "86400"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray
    from ray import tune

    class Noop(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            return None

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def step(self) -> dict[str, Any]:
            return {"score": 1.0, "done": True}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            return None

        def load_checkpoint(self, checkpoint: Any) -> None:
            return None

    class Clock(tune.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.ends: list[tuple[float, float]] = []

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            self.ends.append((time.perf_counter(), time.process_time()))

    clock = Clock()
    began = time.perf_counter()
    ray.init(
        address="local",
        num_cpus=slots,
        include_dashboard=False,
        object_store_memory=80 * 2**20,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    tuner = tune.Tuner(
        tune.with_resources(Noop, {"cpu": 1, "gpu": 0}),
        param_space={"seed": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(reuse_actors=best, max_concurrent_trials=slots if best else None),
        run_config=tune.RunConfig(
            name="bare",
            storage_path=str(folder),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[clock],
            verbose=0,
        ),
    )
    tuner.fit()
    ray.shutdown()
    return _figures(clock.ends, time.perf_counter() - began, trials)


def _figures(ends: list[tuple[float, float]], whole: float, trials: int) -> dict[str, float]:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    between = max(1, len(ends) - 1)
    return {
        "ms_per_trial": (ends[-1][0] - ends[0][0]) / between * 1e3,
        "driver_cpu_ms": (ends[-1][1] - ends[0][1]) / between * 1e3,
        "whole_s": whole,
        "driver_mib": memory,
        "trials": trials,
    }


def _measure(way: str, trials: int, slots: int) -> dict[str, float]:
    """One measurement, in a process of its own."""
    command = [sys.executable, __file__, "--measure", way, "--trials", str(trials), "--slots", str(slots)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stdout}\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def main() -> None:
    """Measures all ways in turn and prints a table; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=256)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--default-trials", type=int, default=8, help="trials of Tune as it comes; 0 leaves it out")
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        with tempfile.TemporaryDirectory(prefix="agrm-study-overhead-") as name:
            folder = Path(name)
            if options.measure == "agrm-study":
                figures = measure_ours(options.trials, options.slots, folder)
            else:
                figures = measure_tune(options.trials, options.slots, folder, best=options.measure == "bare")
        print(json.dumps(figures))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(options.repeats):
        for way in ("bare", "agrm-study"):
            found[way].append(_measure(way, options.trials, options.slots))
    if options.default_trials:
        found["default"].append(_measure("default", options.default_trials, options.slots))
    medians = {way: statistics.median(f["ms_per_trial"] for f in figures) for way, figures in found.items() if figures}
    print(f"{options.slots} slots, {options.repeats} × each; milliseconds a trial (median)")
    print(f"{'':12}{'trials':>8}{'ms/trial':>10}{'× bare':>8}{'driver CPU ms':>15}{'whole s':>9}{'driver MiB':>12}")
    for way, median in medians.items():
        last = found[way][-1]
        print(
            f"{way:12}{last['trials']:8.0f}{median:10.1f}{median / medians['bare']:8.2f}"
            f"{last['driver_cpu_ms']:15.1f}{last['whole_s']:9.1f}{last['driver_mib']:12.0f}"
        )
    print(json.dumps({"slots": options.slots, "found": found, "medians_ms": medians}))


if __name__ == "__main__":
    main()
