"""Cost of a trial that does nothing, compared with bare Ray Tune.

    python benchmarks/overhead.py                # 256 trials, 2 slots
    python benchmarks/overhead.py --trials 1000 --repeats 3
    python benchmarks/overhead.py --trials 1000 --large 10000 --default-trials 0

Three variants are measured in turn, each in a separate process with a separate Ray instance:
  agrm-study   our executor with `NoopRunner`: plan order, heartbeat, records of every trial on disk
  bare         Ray Tune in its fastest configuration: class trainable, `reuse_actors`, loggers off, as many pending
               trials as slots
  default      Ray Tune with its defaults: class trainable, no reuse, default loggers (few trials, because it is slow)
With --large N, agrm-study is measured again with N trials, to compare its cost per trial with the cost at --trials.
With --epochs E, agrm-study runs as many trials as slots with E empty epochs each, to measure the cost of an epoch
report.

Reported per trial: the time from the end of the first trial to the end of the last, divided by the number of trials in
between, excluding start and shutdown of Ray. Also reported: CPU time per trial of the run and its driver process, total
duration, and peak memory of the process of the run (of Tune for the other two). The cost of an epoch report is the time
between two consecutive reports of a worker. Targets: at 1,000 trials, at most 1.5 times bare Tune; at 10,000, at most
1.2 times the cost at 1,000 and less than 1 GB; per epoch report, at most 6 ms.
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

from agrm_study.execution.trial.runner import NoopRunner
from agrm_study.training.outcome import EpochReport

WAYS = ("bare", "agrm-study", "default", "epochs")


class EpochsRunner(NoopRunner):
    """A trial with empty epochs; their number is read from the environment."""

    def __init__(self) -> None:
        self._epoch = 0

    def run_epoch(self) -> EpochReport:
        self._epoch += 1
        return EpochReport(epoch=self._epoch, rows=(), done=self._epoch >= int(os.environ["OVERHEAD_EPOCHS"]))


def measure_ours(trials: int, slots: int, folder: Path, *, epochs: int = 0) -> dict[str, float]:
    """The agrm-study executor with the event handling of `run`, including records."""
    from agrm_study.execution.dispatch.work_source import WorkSource
    from agrm_study.execution.driver.ray_executor import RayExecutor
    from agrm_study.execution.interrupt import Interrupt
    from agrm_study.execution.progress.lines import LinesView
    from agrm_study.execution.progress.state import StudyProgress
    from agrm_study.execution.progress.trial_progress import TrialProgress
    from agrm_study.execution.resources.capacity import Placement
    from agrm_study.execution.results_folder.upkeep import Compacting
    from agrm_study.execution.trial.events import TrialEvent
    from agrm_study.execution.trial.work import NOOP_RUNNER, Work, WorkerSettings
    from agrm_study.plan.trial import TrialSpec
    from agrm_study.records.location import Location
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
    ids = [work.trial.trial_id for work in works]
    progress = StudyProgress(
        name="overhead",
        question="",
        metric="macro_f1",
        tasks=("three_class",),
        arms=("noop",),
        seeds=tuple(range(trials)),
        cells={("three_class", "noop", seed): trial_id for seed, trial_id in enumerate(ids)},
        trials={trial_id: TrialProgress(trial_id, "noop", "three_class", seed, 1) for seed, trial_id in enumerate(ids)},
    )
    source, compacting = WorkSource(works), Compacting(Location.of(folder))
    ends: list[tuple[float, float]] = []
    reports: list[float] = []
    if epochs:
        os.environ["OVERHEAD_EPOCHS"] = str(epochs)
        os.environ["PYTHONPATH"] = str(Path(__file__).parent)

    import psutil

    def cpu_s() -> float:
        """CPU time of this process and its driver."""
        here = psutil.Process()
        return sum(sum(each.cpu_times()[:2]) for each in [here, *here.children()])

    with Path(os.devnull).open("w") as nowhere:
        view = LinesView(nowhere)
        view.begin(progress)

        def on_event(event: TrialEvent) -> None:
            view.event(event, progress.apply(event))
            source.observe(event)
            if event.kind == "finished":
                compacting.finished()
                ends.append((time.perf_counter(), cpu_s() if len(ends) in (0, trials - 1) else 0.0))
            elif event.kind == "epoch":
                reports.append(time.perf_counter())

        began = time.perf_counter()
        RayExecutor(Placement(slots=slots)).run(
            source,
            WorkerSettings(results=str(folder), runner="overhead:EpochsRunner" if epochs else NOOP_RUNNER),
            on_event=on_event,
            interrupt=Interrupt(),
            on_tick=view.refresh,
        )
        compacting.close()
    whole = time.perf_counter() - began
    recorded = len(Ledger(folder).finished_ids())
    if recorded != trials:
        raise SystemExit(f"{recorded} of {trials} trials were recorded")
    figures = _figures(ends, whole, trials)
    if epochs:
        figures["ms_per_epoch"] = (reports[-1] - reports[0]) / (len(reports) - 1) * slots * 1e3
    return figures


def measure_tune(trials: int, slots: int, folder: Path, *, best: bool) -> dict[str, float]:
    """Ray Tune without agrm-study."""
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


def _measure(way: str, trials: int, slots: int, epochs: int = 0) -> dict[str, float]:
    """One measurement, in a separate process."""
    given = {"--measure": way, "--trials": trials, "--slots": slots, "--epochs": epochs}
    command = [sys.executable, __file__, *(str(word) for pair in given.items() for word in pair)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stdout}\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def main() -> None:
    """Measure all variants in turn and print a table; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=256)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--default-trials", type=int, default=8, help="number of trials of the variant `default`; 0 skips it"
    )
    parser.add_argument("--large", type=int, default=0, help="number of trials of a second, larger run; 0 skips it")
    parser.add_argument(
        "--epochs", type=int, default=200, help="number of empty epochs per trial; 0 skips this measurement"
    )
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        with tempfile.TemporaryDirectory(prefix="agrm-study-overhead-") as name:
            folder = Path(name)
            if options.measure == "agrm-study":
                figures = measure_ours(options.trials, options.slots, folder)
            elif options.measure == "epochs":
                figures = measure_ours(options.slots, options.slots, folder, epochs=options.epochs)
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
    if options.epochs:
        found["epochs"].append(_measure("epochs", options.slots, options.slots, options.epochs))
    large = _measure("agrm-study", options.large, options.slots) if options.large else None
    print(f"{options.slots} slots, {options.repeats} × each; milliseconds per trial (median)")
    print(f"{'':12}{'trials':>8}{'ms/trial':>10}{'× bare':>8}{'driver CPU ms':>15}{'whole s':>9}{'driver MiB':>12}")
    for way, median in medians.items():
        last = found[way][-1]
        print(
            f"{way:12}{last['trials']:8.0f}{median:10.1f}{median / medians['bare']:8.2f}"
            f"{last['driver_cpu_ms']:15.1f}{last['whole_s']:9.1f}{last['driver_mib']:12.0f}"
        )
    if large is not None:
        against = large["ms_per_trial"] / medians["agrm-study"]
        print(
            f"{options.large} trials: {large['ms_per_trial']:.1f} ms per trial, {against:.2f} × that at "
            f"{options.trials}; driver {large['driver_mib']:.0f} MiB"
        )
    if options.epochs:
        print(f"epoch report: {found['epochs'][-1]['ms_per_epoch']:.2f} ms")
    print(json.dumps({"slots": options.slots, "found": found, "large": large, "medians_ms": medians}))


if __name__ == "__main__":
    main()
