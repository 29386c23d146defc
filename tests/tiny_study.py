"""A study for disturbance tests: real training runs on real files, a few seconds each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Digests of a row cover its times; those of weights a header that safetensors writes in random order
NOT_COMPARED = ["wall_s", "clips_per_s", "started_at", "host", "attempt", "row_digest", "weights_digest"]
"""Columns of the records in which two equal runs may differ."""


def tiny_study(
    name: str,
    arms: Mapping[str, Mapping[str, Any]],
    *,
    epochs: int,
    seeds: Sequence[int] = (0, 1),
    gpu: int = 0,
) -> dict[str, Any]:
    """The content of a study file; the first arm is the reference, and no trial ends before its last epoch."""
    return {
        "name": name,
        "question": "Does a study come out the same, whatever happens around it?",
        "tasks": ["three_class"],
        "seeds": list(seeds),
        "data": {
            "synthetic": {"subjects": 18, "unlabelled": 8, "seed": 0, "difficulty": "easy"},
            "unlabelled_train": 6,
            "unlabelled_val": 2,
        },
        "set": {
            "epochs": epochs,
            "clip": {"frames": 4, "fps": 4.1667, "crop": "person_box", "resize": 20, "size": 16},
            "model": {"width": 4, "depth": 10},
            "ssl.pretrain_epochs": 3,
            "ssl.ramp.epochs": 3,
            "batch": {"labelled": 4, "unlabelled": 4},
            "early_stop.patience": 1000,
            "evaluate.clips": 2,
        },
        "arms": [{"name": arm, "set": dict(settings)} for arm, settings in arms.items()],
        "reference": next(iter(arms)),
        "primary_metric": "macro_f1",
        "resources": {"cpu": 1, "gpu": gpu},
        "report": {"tables": ["ablation"], "figures": []},
    }


WITHOUT_MTM: Mapping[str, Any] = {"ssl.method": "supervised"}
WITHOUT_SHPM: Mapping[str, Any] = {"model.pooling.name": "average"}
