"""Savings of shared stages on a shipped study, and a check that its results do not change.

    python benchmarks/sharing.py                       # thresholds, tiny, 2 slots
    python benchmarks/sharing.py --study ema_alpha --seeds 3 --slots 4

The study runs alternately with `sharing: true` and `sharing: false`, `--repeats` times, each in a separate process, Ray
instance and results folder, on the same clip store. All other settings are the same, including slots, checkpoints and
records.

Reported for each: number of trained epochs (the record of a trial counts all its epochs, including reused ones), wall
time of the whole command without the report, wall time from the start of the first trial to the end of the last, and
their ratios; whether the records (except times, hosts and attempts) and tables/<study>.md are identical byte for byte;
and the best arm of the study's table. Required: the same best arm and the same table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS = {"shared": "true", "alone": "false"}
NOT_COMPARED = ["wall_s", "started_at", "host", "attempt", "row_digest", "weights_digest"]


def measure(study: str, preset: str, seeds: int | None, slots: int, way: str, folder: Path) -> dict[str, Any]:
    """Result of one run of the study."""
    from agrm_study.execution.options import RunOptions
    from agrm_study.execution.progress.lines import LinesView
    from agrm_study.execution.progress.trial_progress import TrialProgress
    from agrm_study.execution.run import run_study
    from agrm_study.execution.trial.events import TrialEvent
    from agrm_study.study.load import load_study

    class Counter(LinesView):
        trained, first, last = 0, 0.0, 0.0

        def event(self, event: TrialEvent, trial: TrialProgress) -> None:
            super().event(event, trial)
            self.last = time.perf_counter()
            self.first = self.first or self.last
            if event.kind == "finished":
                self.trained += event.epoch - event.inherited

    asked = [f"sharing={WAYS[way]}", *([f"seeds={seeds}"] if seeds else [])]
    view = Counter(sys.stderr)
    began = time.perf_counter()
    summary = run_study(
        load_study(study, overrides=asked, preset=preset), RunOptions(results=folder, slots=slots), view=view
    )
    if summary.exit_code:
        raise SystemExit(f"the study did not finish: {summary.failed}")
    whole = time.perf_counter() - began
    return {"epochs": view.trained, "whole_s": whole, "trials_s": view.last - view.first, "trials": summary.total}


def in_process(options: argparse.Namespace, way: str, folder: Path, cache: Path) -> dict[str, Any]:
    """One run in a separate process."""
    words = [sys.executable, __file__, "--way", way, "--folder", str(folder), "--study", options.study]
    words += ["--preset", options.preset, "--slots", str(options.slots)]
    words += ["--seeds", str(options.seeds)] if options.seeds else []
    environment = {**os.environ, "AGRM_STUDY_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def records(folder: Path) -> dict[str, Any]:
    """Records of the trials in a results folder, without the values that may differ between equal runs."""
    from agrm_study.records.reader import Ledger

    ledger = Ledger(folder)
    return {
        "trials": ledger.trials().drop(columns=NOT_COMPARED),
        "epochs": ledger.epochs(),
        "predictions": ledger.predictions().assign(logits=lambda rows: rows["logits"].map(bytes)),
    }


def table(folder: Path, name: str) -> tuple[str, str]:
    """The table of the study as Markdown, and its best arm."""
    import pandas as pd

    from agrm_study.report.build import make_report

    make_report([folder], tables=[name], figures=(), formats=("md", "csv"), page=False)
    rows = pd.read_csv(folder / "tables" / f"{name}.csv").sort_values("macro_f1", ascending=False, kind="stable")
    return (folder / "tables" / f"{name}.md").read_text(encoding="utf-8"), str(rows["arm"].iloc[0])


def main() -> None:
    """Measure and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="thresholds")
    parser.add_argument("--table", default=None, help="table to compare [default: the study's name]")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--seeds", type=int, default=None)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        study = (options.study, options.preset, options.seeds, options.slots)
        print(json.dumps(measure(*study, options.way, options.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="agrm-study-sharing-") as temporary:
        compare(options, Path(temporary))


def compare(options: argparse.Namespace, root: Path) -> None:
    """Run both variants in turn, and print their costs and whether their results agree."""
    figures: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    build_data(options, root)
    for repeat in range(options.repeats):
        order = list(WAYS) if repeat % 2 == 0 else list(reversed(WAYS))
        for way in order:
            figures[way].append(in_process(options, way, root / f"{way}{repeat}", root / "cache"))
    print(f"{options.study}, preset {options.preset}, {options.slots} slots, {options.repeats} runs per variant\n")
    print(f"{'':10} {'trials':>7} {'epochs':>7} {'whole run s':>12} {'trials s':>10}")
    middle: dict[str, dict[str, float]] = {}
    for way, runs in figures.items():
        middle[way] = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        m = middle[way]
        print(f"{way:10} {m['trials']:7.0f} {m['epochs']:7.0f} {m['whole_s']:12.1f} {m['trials_s']:10.1f}")
    ratio = {name: middle["shared"][name] / middle["alone"][name] for name in ("epochs", "whole_s", "trials_s")}
    print(f"{'ratio':10} {'':7} {ratio['epochs']:7.2f} {ratio['whole_s']:12.2f} {ratio['trials_s']:10.2f}\n")
    shared, alone = root / "shared0", root / "alone0"
    mine, theirs = records(shared), records(alone)
    if set(mine["trials"]["code_version"]) != set(theirs["trials"]["code_version"]):
        raise SystemExit("the training code was edited during the benchmark: the results cannot be compared")
    same = {kind: rows.equals(theirs[kind]) for kind, rows in mine.items()}
    name = options.table or options.study
    (text, best), (other, other_best) = table(shared, name), table(alone, name)
    print(", ".join(f"{kind} {'the same' if equal else 'DIFFER'}" for kind, equal in same.items()))
    print(f"tables/{name}.md {'the same' if text == other else 'DIFFERS'}")
    print(f"best arm: {best} with sharing, {other_best} without")
    if not (all(same.values()) and text == other and best == other_best):
        raise SystemExit("sharing changed the outcome")


def build_data(options: argparse.Namespace, root: Path) -> None:
    """Prepare the videos and the clip store, which are excluded from the measurement."""
    from agrm_study.execution.data.prepare import prepare
    from agrm_study.study.load import load_study

    os.environ["AGRM_STUDY_CACHE"] = str(root / "cache")
    prepare(load_study(options.study, preset=options.preset), root / "results", build=True)


if __name__ == "__main__":
    main()
