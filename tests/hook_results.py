"""A results folder with a search and its promoted arm, for tests of the hooks."""

from __future__ import annotations

import datetime
import json

import numpy as np
from synthetic_records import person_rows, write_one

from agrm_study.records.location import Location
from agrm_study.records.search_log import Proposal, SearchLog
from agrm_study.records.writer import write_trial
from agrm_study.study.load import load_study
from agrm_study.study.resolved import write_resolved

STUDY = """
name: sweep
question: Which threshold?
tasks: [two_class]
seeds: [0, 1]
data: {synthetic: {subjects: 60, unlabelled: 20}}
reference: base
search:
  sampler: random
  trials: 6
  metric: val/macro_f1
  space:
    ssl.threshold.tau: {float: [0.5, 0.95]}
    optimizer.lr: {float: [1.0e-5, 1.0e-3], scale: log}
    ssl.ramp.epochs: {int: [0, 30], step: 10}
    model.pooling.bins: {choice: [[[1, 1]], [[1, 1], [2, 2]]]}
  promote: 1
"""

POINTS = (
    {"ssl.threshold.tau": 0.6, "optimizer.lr": 1e-4, "ssl.ramp.epochs": 10, "model.pooling.bins": [[1, 1]]},
    {"ssl.threshold.tau": 0.7, "optimizer.lr": 2e-4, "ssl.ramp.epochs": 0, "model.pooling.bins": [[1, 1], [2, 2]]},
    {"ssl.threshold.tau": 0.8, "optimizer.lr": 3e-4, "ssl.ramp.epochs": 20, "model.pooling.bins": [[1, 1]]},
    {"ssl.threshold.tau": 0.9, "optimizer.lr": 4e-4, "ssl.ramp.epochs": 30, "model.pooling.bins": [[1, 1]]},
)
ENDS = ("epochs", "early_stop", "pruned", "failed")
"""How the search trials ended, in the order of the points."""


def search_id(k):
    return f"{k:016x}"


def score(k, epoch):
    """Validation macro-F1 of the teacher."""
    return 0.5 + k / 10 + epoch / 100


def write_hook_results(root, *, ended=4, failed=(("base", "two_class", 1),)):
    """The first `ended` search trials, and two final trials of the reference, one of which has failed."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "given.yaml").write_text(STUDY, encoding="utf-8")
    study = load_study(root / "given.yaml")
    write_resolved(study, root / "study.yaml")
    for seed in study.seeds:
        write_one(
            root, study, study.arms[0], "two_class", seed, person_rows(18), {}, 2, 4, failed, ("val", "test"), None
        )
    for k in range(ended):
        write_search_trial(root, k)
    proposals = tuple(
        Proposal(trial_id=search_id(k), arm=f"point {k}", settings=point) for k, point in enumerate(POINTS)
    )
    SearchLog(
        study="sweep", task="two_class", seed=1000, trials=6, metric=("val/macro_f1",), directions=("maximize",),
        to_promote=2, network="teacher", proposals=proposals,
    ).write(Location.of(root))  # fmt: skip
    return root


def write_search_trial(root, k, end=None):
    end = end or ENDS[k]
    trial = {
        "study": "sweep", "trial_id": search_id(k), "config_id": search_id(k), "phase": "search", "arm": f"point {k}",
        "task": "two_class", "seed": 1000, "split_seed": 0, "params": json.dumps(POINTS[k]), "method": "agrm",
        "backbone": "r3d_18", "pooling": "shpm", "tau": POINTS[k]["ssl.threshold.tau"], "status": "finished",
        "stop_reason": end, "best_epoch": 3, "epochs": 3, "wall_s": 30.0, "attempt": 1, "code_version": "abc",
        "started_at": datetime.datetime(2026, 3, 1, 10, k, tzinfo=datetime.UTC),
    }  # fmt: skip
    if end == "failed":
        trial |= {"status": "failed", "failure": "nan_loss", "error": "the loss is not a number", "stop_reason": None}
        trial["best_epoch"] = None
        write_trial(root, trial)
        return
    rows = [{"epoch": e, "split": "train", "network": "student", "loss": 1.0 / e, "lr": 1e-4} for e in (1, 2, 3)]
    rows += [
        {
            "epoch": e,
            "split": "val",
            "network": n,
            "loss": 0.9,
            "accuracy": 0.5,
            "macro_f1": score(k, e) - (n == "student"),
        }
        for e in (1, 2, 3)
        for n in ("student", "teacher")
    ]
    write_trial(root, trial, epochs=rows)


def test_accuracy(root, trial_id):
    """Of a trial's teacher on the test subjects, from the records, by hand."""
    from agrm_study.records.reader import Ledger

    rows = Ledger(root).predictions("test", "teacher", trial_ids=[trial_id])
    right = []
    for _, of_subject in rows.groupby("subject_id"):
        z = np.stack(of_subject["logits"].to_list()).astype(np.float64)
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        right.append((p.mean(axis=0)[1] >= 0.5) == of_subject["label"].iloc[0])
    return float(np.mean(right))


test_accuracy.__test__ = False
