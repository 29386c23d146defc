"""Utilisation of a cluster's slots during a study with trials of different duration.

    python benchmarks/utilisation.py                       # 3 nodes, 12 slots of a quarter GPU, 96 trials of 1 to 8 s
    python benchmarks/utilisation.py --nodes 3 --slots-each 1 --trials 9 --shortest 0.3

Ray nodes are started on the loopback interface of this machine, with logical GPUs, and the executor runs trials on them
that only sleep: one epoch each, lasting 1 to 8 times as long as the shortest, in mixed order. The benchmark measures
orchestration, not training.

Reported: the share of slot-seconds in which a trial was running, from the start of the first trial to the time when no
trial was left to start (after which slots become idle under any scheduler), and to the end of the last trial; also
the start-up time, from the start of the executor to the start of the first trial.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "cluster")]

from agrm_study.execution.resources.capacity import Placement, Resources  # noqa: E402
from agrm_study.execution.trial.events import TrialEvent  # noqa: E402
from agrm_study.execution.trial.runner import NoopRunner, RunnerContext  # noqa: E402
from agrm_study.execution.trial.work import Work, WorkerSettings  # noqa: E402
from agrm_study.plan.trial import TrialSpec  # noqa: E402
from agrm_study.study.recipe import Recipe  # noqa: E402
from agrm_study.training.outcome import EpochReport  # noqa: E402

LONGEST = 8
"""Ratio of the longest to the shortest duration of a trial."""


class SleepingRunner(NoopRunner):
    """A trial that sleeps for the time given by its arm, and records its start and end."""

    def start(self, work: Work, context: RunnerContext) -> int:
        self._work, self._results = work, Path(context.settings.results)
        self._began = time.time()
        return 0

    def run_epoch(self) -> EpochReport:
        time.sleep(float(self._work.trial.arm))
        span = json.dumps([self._began, time.time()])
        (self._results / "spans" / self._work.trial.trial_id).write_text(span)
        return super().run_epoch()


def measure(nodes: int, slots_each: int, trials: int, shortest_s: float, folder: Path) -> dict[str, float]:
    """Run the trials on a new cluster.

    Args:
        nodes: Number of Ray nodes, with one logical GPU each.
        slots_each: Number of trials that share the GPU of a node.
        trials: Total number of trials.
        shortest_s: Duration of the shortest trial, in seconds; the longest takes `LONGEST` times as long.
        folder: Results folder.

    Returns:
        Shares of busy slot-seconds, start-up and total time in seconds, and number of trials.
    """
    from nodes import cluster

    from agrm_study.execution.dispatch.work_source import WorkSource
    from agrm_study.execution.driver.ray_executor import RayExecutor
    from agrm_study.execution.interrupt import Interrupt

    (folder / "spans").mkdir(parents=True)
    lengths = itertools.cycle([1, 5, 3, 8, 2, 7, 4, 6])
    works = [
        Work(
            trial=TrialSpec(
                trial_id=f"{seed:016x}",
                config_id="0" * 16,
                study="utilisation",
                phase="final",
                arm=str(shortest_s * length),
                recipe=Recipe(seed=seed, epochs=100 * length),
            )
        )
        for seed, length in zip(range(trials), lengths, strict=False)
    ]
    failed: list[TrialEvent] = []

    def on_event(event: TrialEvent) -> None:
        if event.kind == "failed":
            failed.append(event)

    with cluster(environment={"PYTHONPATH": str(HERE)}) as started:
        for _ in range(nodes):
            started.start(cpus=slots_each, gpus=1)
        began = time.time()
        RayExecutor(Placement(resources=Resources(gpu=1 / slots_each), address=started.address)).run(
            WorkSource(works),
            WorkerSettings(results=str(folder), runner="utilisation:SleepingRunner"),
            on_event=on_event,
            interrupt=Interrupt(),
            on_tick=lambda: None,
        )
    if failed:
        raise SystemExit(f"{len(failed)} trials failed: {failed[0].error}")
    spans = sorted(tuple(json.loads(file.read_text())) for file in (folder / "spans").iterdir())
    return figures(spans, nodes * slots_each) | {"start_up_s": spans[0][0] - began, "trials": len(spans)}


def figures(spans: list[tuple[float, float]], slots: int) -> dict[str, float]:
    """Shares of slot-seconds in which a trial was running.

    Args:
        spans: Start and end of each trial, in seconds, sorted.
        slots: Number of trials that can run concurrently.
    """
    first, last_start, last_end = spans[0][0], spans[-1][0], max(end for _, end in spans)

    def busy(until: float) -> float:
        taken = sum(max(0.0, min(end, until) - begin) for begin, end in spans)
        return taken / (slots * (until - first)) if until > first else 1.0

    return {"busy": busy(last_start), "busy_to_the_end": busy(last_end), "whole_s": last_end - first, "slots": slots}


def main() -> None:
    """Measure and print the results; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--slots-each", type=int, default=4)
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--shortest", type=float, default=1.0, help="seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agrm-study-utilisation-") as name:
        found = measure(options.nodes, options.slots_each, options.trials, options.shortest, Path(name) / "results")
    print(
        f"{found['trials']:.0f} trials of {options.shortest:g} to {LONGEST * options.shortest:g} s on "
        f"{found['slots']:.0f} slots of {options.nodes} nodes: {found['busy']:.1%} busy while trials were waiting, "
        f"{found['busy_to_the_end']:.1%} to the end; first trial after {found['start_up_s']:.1f} s, "
        f"the rest in {found['whole_s']:.1f} s"
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
