"""Utilisation of a cluster's slots during a study of uneven trials.

    python benchmarks/utilisation.py                       # 3 nodes, 12 slots of a quarter GPU, 96 trials of 1 to 8 s
    python benchmarks/utilisation.py --nodes 3 --slots-each 1 --trials 9 --shortest 0.3

Ray nodes are started on the loopback interface of this machine, with logical GPUs, and our executor runs trials on
them that sleep: one epoch each, lasting 1 to 8 times the shortest, in a mixed order. This measures the
orchestration, not training.

Reported: the share of slot-seconds in which a trial was running, from the first trial's start to the moment from which
on there was nothing left to start (then slots fall idle under any scheduler), and to the last trial's end; also the
start-up, from the executor's start to the first trial's.
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

from agrm_study.execution.resources.capacity import Resources  # noqa: E402
from agrm_study.execution.trial.events import TrialEvent  # noqa: E402
from agrm_study.execution.trial.runner import NoopRunner, RunnerContext  # noqa: E402
from agrm_study.execution.trial.work import Work, WorkerSettings  # noqa: E402
from agrm_study.plan.trial import TrialSpec  # noqa: E402
from agrm_study.study.recipe import Recipe  # noqa: E402
from agrm_study.training.outcome import EpochReport  # noqa: E402

LONGEST = 8
"""Times the shortest trial that the longest one takes."""


class SleepingRunner(NoopRunner):
    """A trial that does nothing for as long as its arm says, and notes when."""

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
    """Runs the trials on a cluster of its own.

    Args:
        nodes: Ray nodes, of one logical GPU each.
        slots_each: Trials that share a node's GPU.
        trials: Trials in all.
        shortest_s: Seconds of the shortest; the longest takes `LONGEST` times as long.
        folder: Results folder.

    Returns:
        Shares of busy slot-seconds, seconds of start-up and of the whole, and how many trials there were.
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
        RayExecutor(resources=Resources(gpu=1 / slots_each), address=started.address).run(
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
    """Shares of slot-seconds in which a trial ran.

    Args:
        spans: Beginning and end of each trial, in seconds, sorted.
        slots: How many can run at once.
    """
    first, last_start, last_end = spans[0][0], spans[-1][0], max(end for _, end in spans)

    def busy(until: float) -> float:
        taken = sum(max(0.0, min(end, until) - begin) for begin, end in spans)
        return taken / (slots * (until - first)) if until > first else 1.0

    return {"busy": busy(last_start), "busy_to_the_end": busy(last_end), "whole_s": last_end - first, "slots": slots}


def main() -> None:
    """Measures and prints; the last line is JSON."""
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
