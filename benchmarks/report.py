"""Time and memory of a report on 10,000 trials.

    python benchmarks/report.py --trials 10000 --subjects 860 --folder /tmp/report-benchmark

Writes simulated records of a study of trials / 5 arms (test part 20 % of the subjects, validation 16 %, training 64 %;
student and teacher; ten epochs) directly as compacted files, or with --loose as one file per trial, then generates all
tables, with intervals and tests, in a new process, and prints wall time, CPU time, peak memory, and the CPU time of
checking the evidence. With --loose, it also compacts the records and measures again. Targets: 15 s and 1 GB; checks
take at most 10 % of the total.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agrm_study.records.compaction import AT_ONCE, compact, compacted_bytes, compacted_name
from agrm_study.records.digests import block_digests, blocks_text, digests
from agrm_study.records.schemas import EPOCHS, PREDICTIONS, SUBJECTS, Kind, with_version
from agrm_study.records.writer import sealed_rows, table_bytes
from agrm_study.study.labels import LABELS
from agrm_study.study.load import load_study
from agrm_study.study.resolved import write_resolved

SEEDS = 5
PARTS = {"test": 0.20, "val": 0.16, "train": 0.64}
BLOCK = AT_ONCE
"""Number of trials written per block."""


def write_records(root: Path, trials: int, subjects: int, loose: bool = False) -> None:
    """Write a results folder with the given number of finished trials, in the state after compaction."""
    root.mkdir(parents=True)
    n_arms = trials // SEEDS
    arms = "\n".join(f"  - {{name: arm {i}, set: {{optimizer.lr: {1e-5 * (i + 1):.6g}}}}}" for i in range(n_arms))
    file = root / "given.yaml"
    file.write_text(
        f"name: large\ntasks: [three_class]\nseeds: {SEEDS}\ndata: {{synthetic: {{subjects: 60}}}}\narms:\n{arms}\n"
        "reference: arm 0\nprimary_metric: macro_f1\n",
        encoding="utf-8",
    )
    study = load_study(file)
    write_resolved(study, root / "study.yaml")
    rng = np.random.default_rng(0)
    labels = np.arange(subjects) % 3
    names = np.array([f"s{i:04d}" for i in range(subjects)])
    bounds = np.cumsum([0, *(round(subjects * share) for share in list(PARTS.values())[:-1]), 0])
    bounds[-1] = subjects
    split = np.repeat(list(PARTS), np.diff(bounds))
    cells = []
    for kind in ("trials", "epochs", "predictions", "subjects"):
        (root / "records" / kind).mkdir(parents=True)
    rows = []
    for start in range(0, n_arms * SEEDS, BLOCK):
        block = range(start, min(start + BLOCK, n_arms * SEEDS))
        ids = [f"{i:016x}" for i in block]
        for i, trial_id in zip(block, ids, strict=True):
            arm = f"arm {i // SEEDS}"
            cells.append({"arm": arm, "task": "three_class", "seed": i % SEEDS, "trial_id": trial_id})
            rows.append(trial_row(arm, i % SEEDS, trial_id))
        tables = {"predictions": predictions(rng, ids, names, split, labels), "epochs": epochs(rng, ids)}
        blocks, trained = block_digests(tables["predictions"]), digests(tables["epochs"], "epochs", "trial_id")
        for row in rows[-len(ids) :]:
            trial_id = str(row["trial_id"])
            row |= {"epochs_digest": trained[trial_id], "predictions_digest": blocks_text(blocks[trial_id])}
        tables["trials"] = sealed_rows(rows[-len(ids) :])
        put(root / "records", tables, ids, loose)
    people = [
        {"subject_id": str(n), "split_seed": 0, "split": str(p), "label": LABELS[y], "sex": "male", "age": 5.0}
        | {"source": "spwvd", "clips": 1, "split_fingerprint": "split"}
        for n, p, y in zip(names, split, labels, strict=True)
    ]
    subjects_table = pa.Table.from_pylist(people, schema=with_version(SUBJECTS))
    pq.write_table(subjects_table, root / "records" / "subjects" / "split.parquet")
    (root / "plan.json").write_text(json.dumps({"plan_version": 1, "study": "large", "cells": cells}))


def put(records: Path, tables: Mapping[Kind, pa.Table], ids: list[str], loose: bool) -> None:
    """Write a block of trials in the state after compaction, or as one file per trial as written by `run`."""
    for kind, table in tables.items():
        if not loose:
            (records / kind / compacted_name()).write_bytes(compacted_bytes(kind, [table]))
            continue
        each = table.num_rows // len(ids)
        for i, trial_id in enumerate(ids):
            (records / kind / f"{trial_id}.parquet").write_bytes(table_bytes(table.slice(i * each, each)))


def trial_row(arm: str, seed: int, trial_id: str) -> dict[str, object]:
    """Columns of the `trials` record."""
    return {
        **{"study": "large", "trial_id": trial_id, "config_id": arm, "phase": "final", "arm": arm},
        **{
            "task": "three_class",
            "seed": seed,
            "split_seed": 0,
            "params": "{}",
            "method": "agrm",
            "status": "finished",
        },
        **{"n_params": 33_000_000, "best_epoch": 8, "epochs": 10, "wall_s": 60.0, "attempt": 1, "device": "cpu"},
        **{"started_at": datetime(2026, 1, 1, tzinfo=UTC), "host": "node", "code_version": "c"},
        **{"data_fingerprint": "data", "split_fingerprint": "split"},
    }


def predictions(rng: np.random.Generator, ids: list[str], names: object, split: object, labels: object) -> pa.Table:
    """One row per trial, network and subject."""
    names, split, labels = np.asarray(names), np.asarray(split), np.asarray(labels)
    n, t = len(names), len(ids)
    logits = np.eye(3)[labels][None] * 2 + rng.normal(size=(2 * t, n, 3))
    flat = pa.array(logits.astype(np.float32).ravel())
    columns = {
        "trial_id": pa.array(np.repeat(ids, 2 * n)),
        "split": pa.array(np.tile(split, 2 * t)),
        "subject_id": pa.array(np.tile(names, 2 * t)),
        "clip_id": pa.array(np.tile(names, 2 * t)),
        "network": pa.array(np.tile(np.repeat(["student", "teacher"], n), t)),
        "epoch": pa.array(np.full(2 * t * n, 8, np.int32)),
        "label": pa.array(np.tile(labels, 2 * t).astype(np.int8)),
        "logits": pa.ListArray.from_arrays(pa.array(np.arange(2 * t * n + 1, dtype=np.int32) * 3), flat),
    }
    return pa.table(columns, schema=with_version(PREDICTIONS))


def epochs(rng: np.random.Generator, ids: list[str]) -> pa.Table:
    """Ten epochs per trial: training rows, and rows of both networks on validation data."""
    rows = []
    for trial_id in ids:
        for epoch in range(1, 11):
            score = float(rng.uniform(0.5, 0.9))
            train = {"trial_id": trial_id, "epoch": epoch, "split": "train", "network": "student", "loss": 0.5}
            rows.append(train | {"pseudo_coverage": 0.5, "pseudo_accuracy": 0.8, "threshold": 0.8})
            for network in ("student", "teacher"):
                val = {"trial_id": trial_id, "epoch": epoch, "split": "val", "network": network, "loss": 0.5}
                rows.append(val | {"accuracy": score, "balanced_accuracy": score, "macro_f1": score})
    return pa.Table.from_pylist(rows, schema=with_version(EPOCHS))


def measure(root: Path) -> dict[str, float]:
    """Duration and peak memory of generating all tables in a new process."""
    done = subprocess.run(
        [sys.executable, __file__, "--folder", str(root), "--report"], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(root: Path) -> None:
    """Entry point of the new process."""
    started = time.perf_counter()
    from agrm_study.report.build import make_report

    checking = timed_checks()
    make_report([root], figures=[], page=False)
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_gib": used.ru_maxrss / 2**20}
    found["checking_cpu_seconds"] = sum(checking)
    print(json.dumps({k: round(v, 2) for k, v in found.items()} | {"load": os.getloadavg()[0]}))


def timed_checks() -> list[float]:
    """Start recording the CPU time of each check of the evidence."""
    from agrm_study.report import collect, collect_cells

    took: list[float] = []

    def timed(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            began = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                took.append(time.process_time() - began)

        return call

    for name in ("broken_rows", "check_people", "check_trials", "check_plan", "check_epochs"):
        setattr(collect, name, timed(getattr(collect, name)))
    for name in ("broken_block", "check_predictions"):
        setattr(collect_cells, name, timed(getattr(collect_cells, name)))
    return took


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--subjects", type=int, default=860)
    parser.add_argument(
        "--folder", type=Path, help="results folder, created if it does not exist [default: a temporary one]"
    )
    parser.add_argument("--loose", action="store_true", help="one file per trial, as `run` writes them")
    parser.add_argument("--report", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.report:
        report(options.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        options.folder = options.folder or Path(temporary) / "records"
        run(options)


def run(options: argparse.Namespace) -> None:
    """Write the records if they do not exist, measure, and print the results."""
    if not options.folder.exists():
        started = time.perf_counter()
        write_records(options.folder, options.trials, options.subjects, options.loose)
        print(f"wrote {options.trials} trials in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    result = {"report": measure(options.folder)}
    if options.loose:
        started = time.perf_counter()
        compact(options.folder)
        result["compaction"] = {"seconds": round(time.perf_counter() - started, 1)}
        result["report_after"] = measure(options.folder)
    print(json.dumps({"trials": options.trials, "subjects": options.subjects, **result}, indent=1))


if __name__ == "__main__":
    main()
