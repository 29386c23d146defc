"""Synthetic evaluations of the trials in a synthetic results folder, on an external set and on corrupted copies."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from agrm_study.conformance.made_records import SKILL
from agrm_study.records.evaluations import (
    EvaluatedSet,
    corrupted_part,
    external_folder,
    external_part,
    robustness_folder,
)
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.writer import write_subjects, write_trial
from agrm_study.study.labels import LABELS
from agrm_study.study.resolved import read_resolved
from agrm_study.study.tasks import Task

DATA: Final = "external-data"
SPLIT: Final = "external-split"


def write_external(
    root: Path,
    name: str = "clinic_b",
    *,
    subjects: int = 30,
    skill: float = 0.6,
    labels: Sequence[str] = LABELS,
    skip: Collection[str] = (),
    columns: Mapping[str, Any] | None = None,
) -> Path:
    """Write evaluations of all finished trials on an external set into a folder of `made_records.write_results`.

    Args:
        root: Results folder.
        name: Name of the set.
        subjects: Number of subjects in the set.
        skill: Factor by which the skill of the arms on the test part is multiplied.
        labels: Labels assigned to the subjects in rotation.
        skip: Ids of trials that are not evaluated.
        columns: Columns of the `trials` records to override.

    Returns:
        The folder of the set.
    """
    folder = external_folder(root, name)
    part = external_part(name)
    people = [(f"{name}-{i:03d}", labels[i % len(labels)]) for i in range(subjects)]
    about = EvaluatedSet(
        name=name, manifest="clinic.csv", data_fingerprint=DATA, clips=subjects, subjects=subjects, notes=[]
    )
    about.write(folder)
    rows = [{"subject_id": s, "split_seed": 0, "split": part, "label": label, "clips": 1} for s, label in people]
    write_subjects(folder, SPLIT, rows)
    changed = {"data_fingerprint": DATA, "split_fingerprint": SPLIT, **(columns or {})}
    tasks = read_resolved(root / "study.yaml").tasks
    for row in _finished(root):
        if row["trial_id"] not in skip:
            block = _block(tasks[str(row["task"])], row, part, people, skill)
            write_trial(folder, row | changed, predictions=[block] if len(block["label"]) else ())
    return Path(folder.path)


def write_robustness(
    root: Path, kinds: Sequence[str] = ("blur", "jitter"), severities: Sequence[int] = (1, 3, 5)
) -> Path:
    """Write evaluations of all finished trials on corrupted copies of their test part; returns their folder."""
    folder = robustness_folder(root)
    about = EvaluatedSet(name="robustness", manifest="", data_fingerprint="data-a", notes=[], definition=1)
    about.write(folder)
    subjects = Ledger(root).subjects()
    test = subjects[subjects["split"] == "test"]
    people = list(zip(test["subject_id"], test["label"], strict=True))
    tasks = read_resolved(root / "study.yaml").tasks
    for row in _finished(root):
        blocks = [
            _block(tasks[str(row["task"])], row, corrupted_part(kind, severity), people, 1 - 0.13 * severity)
            for kind in kinds
            for severity in severities
        ]
        write_trial(folder, row, predictions=blocks)
    return Path(folder.path)


def _finished(root: Path) -> list[dict[str, Any]]:
    rows = Ledger(Location.of(root)).table_of("trials").to_pylist()
    return [row for row in rows if row["status"] == "finished" and row["phase"] == "final"]


def _block(
    task: Task, row: Mapping[str, Any], part: str, people: Sequence[tuple[str, str]], skill: float
) -> dict[str, Any]:
    """Predictions of the reported network of a trial."""
    known = [(subject, index) for subject, label in people if (index := task.class_index(label)) is not None]
    labels = np.array([index for _, index in known], dtype=np.int64)
    rng = np.random.default_rng([int(row["seed"]), zlib.crc32(f"{row['arm']}/{part}".encode())])
    person = np.random.default_rng(5).normal(size=(len(known), task.n_classes))
    strength = skill * SKILL.get(str(row["arm"]), 1.2)
    logits = np.eye(task.n_classes)[labels] * strength * 1.6 + person + rng.normal(0, 0.8, person.shape)
    windows = 2
    return {
        "split": part,
        "network": "teacher" if row["method"] in ("agrm", "mean_teacher") else "student",
        "epoch": int(row["best_epoch"]),
        "subject_id": [subject for subject, _ in known] * windows,
        "clip_id": [f"{subject}#{w}" for w in range(windows) for subject, _ in known],
        "label": np.tile(labels, windows).astype(np.int8),
        "logits": (logits[None] + rng.normal(0, 0.3, (windows, *logits.shape))).reshape(-1, task.n_classes),
    }
