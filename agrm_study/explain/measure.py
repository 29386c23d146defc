"""Occlusion and deletion measurements of one trial, per clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agrm_study.explain.gradcam import grad_cam
from agrm_study.explain.network import ReloadedTrial
from agrm_study.explain.occlusion import deletion_curve, region_effects
from agrm_study.explain.regions import BoxKind, person_boxes, region_masks, stored_boxes
from agrm_study.training.data.clip_record import Box
from agrm_study.training.generators import generator

Boxes = dict[str, tuple[Box, ...] | None]
"""Key boxes by clip, shared by all seeds so that each is estimated only once."""


def subjects_of_check(count: int, limit: int | None) -> list[int]:
    """Indices of the measured subjects: all `count` subjects, or `limit` evenly spaced ones."""
    if limit is None or limit >= count:
        return list(range(count))
    return sorted({int(place) for place in np.linspace(0, count - 1, limit) + 0.5})


def measure(
    reloaded: ReloadedTrial,
    *,
    kind: BoxKind,
    subjects: list[int],
    boxes: Boxes,
    on_clip: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Measure the middle window of each subject, with respect to the class predicted for the subject.

    Args:
        reloaded: Network and decisions.
        kind: Body part covered by the person's boxes.
        subjects: Indices of the subjects.
        boxes: Known boxes by clip id; boxes of further clips are added.
        on_clip: Called after each subject.

    Returns:
        One row per subject and measure, with columns trial_id, arm, task, seed, subject_id, clip_id, label, decided,
        region, measure and value. The measures of a region are area, drop, elsewhere, excess (drop − elsewhere) and
        changes (see `RegionEffect`); `deletion`, `deletion_random` and `deletion_gain` (random − map) have no region.
        Undefined measures have no row.
    """
    rows: list[dict[str, Any]] = []
    classes, windows, size = reloaded.recipe.classes, reloaded.windows, reloaded.recipe.clip.size
    hidden_1K: torch.Tensor | None = None
    for subject in subjects:
        window, target = int(reloaded.middle_S[subject]), int(reloaded.decided_S[subject])
        name, clip_id = windows.subjects[subject], windows.clips.clip_ids[window]
        clip_CTHW = reloaded.clip(subject)
        targets_B = torch.tensor([target], device=clip_CTHW.device)
        map_THW = grad_cam(reloaded.network, reloaded.loss.logits, clip_CTHW[None], targets_B)[0]
        logits_1K = reloaded.predict(clip_CTHW[None])
        if hidden_1K is None:  # the same for all clips
            hidden_1K = reloaded.predict(torch.zeros_like(clip_CTHW)[None])
        values: dict[tuple[str, str], float] = {}
        # Random positions depend on the subject, not on the trial's seed, so that all seeds and arms share them.
        rng = generator(0, f"explain/{name}")
        if clip_id not in boxes:
            boxes[clip_id] = person_boxes(reloaded.data.manifest.by_id[clip_id])
        if (keys := boxes[clip_id]) is not None:
            record = reloaded.data.manifest.by_id[clip_id]
            stored_T4 = stored_boxes(record, keys, reloaded.recipe.clip, int(windows.clips.lengths_N[window]))
            corner = np.array([windows.view.lefts_N[window], windows.view.tops_N[window], 0, 0])
            masks = region_masks(stored_T4[windows.view.frames_NT[window]] - corner, size, kind)
            for region, effect in region_effects(reloaded.predict, clip_CTHW, logits_1K[0], target, masks, rng).items():
                values[region, "area"] = effect.area
                values[region, "drop"] = effect.drop
                values[region, "elsewhere"] = effect.elsewhere
                values[region, "excess"] = effect.drop - effect.elsewhere
                values[region, "changes"] = effect.changes
        deletion = deletion_curve(reloaded.predict, clip_CTHW, torch.cat([logits_1K, hidden_1K]), target, map_THW, rng)
        if not deletion.flat:
            values["", "deletion"] = deletion.auc
            values["", "deletion_random"] = deletion.auc_random
            values["", "deletion_gain"] = deletion.auc_random - deletion.auc
        rows += [
            {
                "trial_id": reloaded.trial.trial_id,
                "arm": reloaded.trial.arm,
                "task": reloaded.trial.task,
                "seed": reloaded.trial.seed,
                "subject_id": name,
                "clip_id": clip_id,
                "label": classes[int(windows.labels_S[subject])],
                "decided": classes[target],
                "region": region,
                "measure": quantity,
                "value": value,
            }
            for (region, quantity), value in values.items()
            if np.isfinite(value)
        ]
        on_clip()
    return rows
