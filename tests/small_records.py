"""A few rows of records, for tests of the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from agrm_study.records.writer import write_trial


def trial_row(trial_id: str, **values: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "study": "demo", "trial_id": trial_id, "config_id": "c" * 16, "phase": "final", "arm": "AGRM",
        "task": "two_class", "seed": 3, "split_seed": 0, "params": json.dumps({"ssl.ema.alpha": 0.99}),
        "status": "finished", "attempt": 1, "tau": 0.8, "wall_s": 1.5,
    }  # fmt: skip
    return row | values


def prediction_block(n: int = 4, k: int = 2, split: str = "test") -> dict[str, Any]:
    logits = np.arange(n * k, dtype=np.float32).reshape(n, k) / 7
    ids = [f"s{i}" for i in range(n)]
    return {
        "split": split, "network": "teacher", "epoch": 5, "subject_id": ids, "clip_id": [f"{i}#0" for i in ids],
        "label": np.arange(n) % k, "logits": logits,
    }  # fmt: skip


def write(root: Path, trial_id: str, **values: Any) -> None:
    write_trial(
        root,
        trial_row(trial_id, **values),
        epochs=[{"epoch": e, "split": "val", "network": "student", "macro_f1": e / 10} for e in (1, 2)],
        predictions=[prediction_block(), prediction_block(split="val")],
    )
