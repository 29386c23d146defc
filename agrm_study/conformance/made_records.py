"""A results folder with synthetic predictions, for checks of tables and figures."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agrm_study.records.analysis_log import fix_analysis
from agrm_study.records.location import Location
from agrm_study.records.writer import write_subjects, write_trial
from agrm_study.study.analysis import analysis_settings
from agrm_study.study.labels import LABELS
from agrm_study.study.load import load_study
from agrm_study.study.recipe import Recipe
from agrm_study.study.resolved import write_resolved
from agrm_study.study.splits import Fold
from agrm_study.study.study import Arm, Study

Change = Callable[[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]], None]
"""Function that changes a trial's columns, prediction blocks and epoch rows before they are written."""

ABLATION = """
name: ablation
question: Which of the two modules improves the result?
tasks: [two_class, three_class]
seeds: [0, 1, 2, 3, 4]
data: {synthetic: {subjects: 60, unlabelled: 20}}
arms:
  - {name: AGRM}
  - {name: w/o MTM, set: {ssl.method: supervised}}
  - {name: w/o SHPM, set: {model.pooling.name: average}}
  - {name: w/o both, set: {ssl.method: supervised, model.pooling.name: average}}
reference: AGRM
primary_metric: macro_f1
resources: {cpu: 1, gpu: 0}
"""

SITES = 8
"""Number of sites in a study whose folds consist of whole sites."""
SKILL = {"AGRM": 1.5, "w/o MTM": 1.1, "w/o SHPM": 1.25, "w/o both": 0.9}


def trial_id(arm: str, task: str, *seed: object) -> str:
    """Synthetic trial id, composed of the arm, the task, the seed and the fold."""
    return hashlib.sha256("/".join(map(str, (arm, task, *seed))).encode()).hexdigest()[:16]


def write_results(
    root: Path,
    text: str = ABLATION,
    *,
    skill: Mapping[str, float] | None = None,
    subjects: int = 54,
    windows: int = 2,
    epochs: int = 14,
    skip: Collection[tuple[str | int, ...]] = (),
    failed: Collection[tuple[str, str, int]] = (),
    parts: Sequence[str] = ("test", "val"),
    change: Change | None = None,
    twins: Mapping[str, str] | None = None,
) -> Path:
    """Write study.yaml, plan.json, provenance.json and records; trials in `skip` are planned but absent.

    Args:
        skill: Arm → separation of its logits, which determines its performance.
        skip: (arm, task, seed), or with folds (arm, task, seed, repeat, fold), planned but not run.
        failed: (arm, task, seed), planned but failed.
        twins: Arm → arm with which it shares trials.
        change: Called with each trial's columns, prediction blocks and epoch rows before they are written.
    """
    root.mkdir(parents=True, exist_ok=True)
    file = root / "given.yaml"
    file.write_text(text, encoding="utf-8")
    study = load_study(file)
    write_resolved(study, root / "study.yaml")
    fix_analysis(Location.of(root), analysis_settings(study))
    grouped = study.splits is not None and study.splits.group == "site"
    people = person_rows(subjects, labels_of(study), SITES if grouped else 0)
    plan = []
    for task in study.tasks:
        for arm in study.arms:
            for seed, fold in itertools.product(arm.seeds(study.seeds), study.folds()):
                key = (arm.name, task, seed) if fold is None else (arm.name, task, seed, fold.repeat, fold.number)
                cell = {
                    "arm": arm.name,
                    "task": task,
                    "seed": seed,
                    "trial_id": trial_id((twins or {}).get(arm.name, arm.name), *key[1:]),
                }
                plan.append(cell if fold is None else cell | {"fold": fold.number, "repeat": fold.repeat})
                if key in skip or arm.name in (twins or {}):
                    continue
                write_one(
                    root, study, arm, task, seed, in_parts(people, study, fold), skill or SKILL, windows, epochs,
                    failed, parts, change, fold,
                )  # fmt: skip
    (root / "plan.json").write_text(
        json.dumps({"plan_version": 1, "study": study.name, "cells": plan}), encoding="utf-8"
    )
    for fold in study.folds():
        split_seed = study.split_seed + (0 if fold is None else fold.repeat)
        rows = [r | {"split_seed": split_seed, "clips": 1} for r in in_parts(people, study, fold)]
        write_subjects(root, split_of(fold), rows)
    provenance = {
        "agrm_study": "0.1.0",
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "packages": {"torch": "2.7.0", "ray": "2.50.0", "numpy": "2.4.0"},
        "hardware": {
            "host": "example",
            "platform": "Linux",
            "processor": "Example CPU",
            "cpus": 2,
            "memory_gib": 8.0,
            "gpus": [],
        },
        "python": "3.11.9",
    }
    (root / "provenance.json").write_text(json.dumps(provenance), encoding="utf-8")
    return root


def split_of(fold: Fold | None) -> str:
    """Synthetic fingerprint of a split."""
    return "split-a" if fold is None else f"split-{fold.repeat}-{fold.number}"


def in_parts(people: Sequence[dict[str, Any]], study: Study, fold: Fold | None) -> list[dict[str, Any]]:
    """The rows with their parts in a fold; the test part consists of whole sites if the study requests it. Unchanged
    for a single split."""
    if fold is None or study.splits is None:
        return list(people)
    labelled = [row for row in people if row["label"] is not None]
    order = np.random.default_rng(fold.repeat).permutation(len(labelled))
    out = [row for row in people if row["label"] is None]
    sites = sorted({row["site"] for row in labelled if row["site"] is not None})
    for place, i in enumerate(order.tolist()):
        unit = place if study.splits.group == "subject" else sites.index(labelled[i]["site"])
        turn = unit % study.splits.folds
        part = "test" if turn == fold.number else "val" if place % 5 == 0 else "train"
        out.append(labelled[i] | {"split": part})
    return out


def labels_of(study: Study) -> tuple[str, ...]:
    """The labels of the paper if all tasks use them, otherwise the labels of all tasks."""
    if all(task.has(label) for task in study.tasks.values() for label in LABELS):
        return LABELS
    return tuple(dict.fromkeys(label for task in study.tasks.values() for labels in task.labels for label in labels))


def person_rows(subjects: int, labels: Sequence[str] = LABELS, sites: int = 0) -> list[dict[str, Any]]:
    """Rows of the `subjects` record: `subjects` test subjects, with the sizes of other parts in proportion and labels
    assigned in rotation. If there are sites, each block of one subject per label is assigned to the next site."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for part, n in (("train", 3 * subjects), ("val", subjects // 2), ("test", subjects)):
        for i in range(n):
            rows.append(
                {
                    "subject_id": f"{part}{i:03d}",
                    "split": part,
                    "label": labels[i % len(labels)],
                    "sex": ["male", "female"][int(rng.integers(2))],
                    "age": float(5 + rng.integers(2)),
                    "source": "spwvd",
                    "site": f"site {i // len(labels) % sites}" if sites else None,
                }
            )
    for part, n in (("unlabelled_train", 12), ("unlabelled_val", 8)):
        for i in range(n):
            rows.append({"subject_id": f"c{part}{i}", "split": part, "label": None, "source": "casia_b"})
    return rows


def networks_of(recipe: Recipe) -> tuple[str, ...]:
    """The evaluated networks of a recipe."""
    return ("student", "teacher" if recipe.has_teacher else "ema") if recipe.has_average else ("student",)


def write_one(
    root: Path,
    study: Study,
    arm: Arm,
    task: str,
    seed: int,
    people: list[dict[str, Any]],
    skill: Mapping[str, float],
    windows: int,
    epochs: int,
    failed: Collection[tuple[str, str, int]],
    parts: Sequence[str],
    change: Change | None,
    fold: Fold | None = None,
) -> None:
    """Write the records of one trial."""
    recipe = arm.recipe
    place = () if fold is None else (fold.repeat, fold.number)
    own = seed * 1000 + len(arm.name) * 10 + len(task)
    rng = np.random.default_rng(own if fold is None else [own, fold.repeat, fold.number])
    trial: dict[str, Any] = {
        "study": study.name,
        "trial_id": trial_id(arm.name, task, seed, *place),
        "config_id": trial_id(arm.name, task, "all", *place[1:]),
        "phase": "final",
        "arm": arm.name,
        "task": task,
        "seed": seed,
        "split_seed": study.split_seed + (0 if fold is None else fold.repeat),
        "fold": None if fold is None else fold.number,
        "params": json.dumps(dict(arm.settings)),
        "backbone": recipe.model.backbone,
        "pooling": recipe.model.pooling.name,
        "method": recipe.ssl.method,
        "tau": recipe.ssl.threshold.tau if recipe.uses_unlabelled else None,
        "alpha": recipe.ssl.ema.alpha if recipe.has_average else None,
        "n_params": 33_167_811,
        "status": "finished",
        "stop_reason": "early_stop",
        "best_epoch": max(1, epochs - 3),
        "epochs": epochs,
        "wall_s": 61.5 + seed,
        "started_at": datetime.datetime(2026, 3, 1, 12, seed % 60, tzinfo=datetime.UTC),
        "device": "cpu",
        "host": "node-1",
        "code_version": "0123456789abcdef",
        "data_fingerprint": "data-a",
        "split_fingerprint": split_of(fold),
        "attempt": 1,
    }
    if (arm.name, task, seed) in failed:
        trial |= {"status": "failed", "failure": "OutOfMemory", "error": "needed <8 GB> & more", "stop_reason": None}
        write_trial(root, trial)
        return
    definition = study.tasks[task]
    k = definition.n_classes
    strength = skill.get(arm.name, 1.2)
    blocks: list[dict[str, Any]] = []
    for part in parts:
        chosen = [p for p in people if p["split"] == part and definition.has(p["label"])]
        labels = np.array([definition.class_of[p["label"]] for p in chosen])
        person = np.random.default_rng(77).normal(size=(len(chosen), k))  # difficulty, shared by all arms
        for network in networks_of(recipe):
            logits = np.eye(k)[labels] * strength * 1.6 + person + rng.normal(0, 0.8, (len(chosen), k))
            spread = rng.normal(0, 0.3, (windows, len(chosen), k))
            blocks.append(
                {
                    "split": part,
                    "network": network,
                    "epoch": max(1, epochs - 3),
                    "subject_id": [p["subject_id"] for p in chosen] * windows,
                    "clip_id": [f"{p['subject_id']}#{w}" for w in range(windows) for p in chosen],
                    "label": np.tile(labels, windows).astype(np.int8),
                    "logits": (logits[None] + spread).reshape(-1, k).astype(np.float32),
                }
            )
    rows = epoch_rows(recipe, rng, epochs, strength, k)
    if change is not None:
        change(trial, blocks, rows)
    write_trial(root, trial, epochs=rows, predictions=blocks)


def epoch_rows(recipe: Recipe, rng: np.random.Generator, epochs: int, strength: float, k: int) -> list[dict[str, Any]]:
    """Rows of the `epochs` record of a trial whose metrics improve."""
    rows: list[dict[str, Any]] = []
    for epoch in range(1, epochs + 1):
        grown = 1 - np.exp(-epoch / 5)
        train: dict[str, Any] = {"epoch": epoch, "split": "train", "network": "student", "loss": 1.1 - 0.8 * grown}
        train |= {"loss_supervised": 1.1 - 0.8 * grown, "lr": 1e-4}
        if recipe.uses_unlabelled:
            tau = recipe.ssl.threshold.tau
            coverage = np.clip(grown * (1.35 - tau) + rng.normal(0, 0.02), 0, 1)
            train |= {
                "loss_consistency": 0.2 * (1 - grown),
                "loss_pseudo": 0.3 * (1 - grown),
                "ramp_weight": min(1.0, epoch / 10),
                "threshold": tau,
                "pseudo_coverage": coverage,
                "pseudo_confidence": 0.6 + 0.3 * grown,
                "pseudo_accuracy": float(np.clip(0.45 + 0.35 * grown * tau + rng.normal(0, 0.02), 0, 1)),
                "pseudo_class_counts": [5] * k,
            }
        rows.append(train)
        for network in networks_of(recipe):
            score = float(np.clip(1 / k + (strength / 2 - 1 / k) * grown + rng.normal(0, 0.02), 0, 1))
            rows.append(
                {
                    "epoch": epoch,
                    "split": "val",
                    "network": network,
                    "loss": 1.1 - 0.6 * grown,
                    "accuracy": score,
                    "balanced_accuracy": score,
                    "macro_f1": score - 0.01,
                }
            )
    return rows
