"""Atomic writing of a synthetic data set."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.datasets.synthetic.cast import MOST_UNLABELLED, Role, labelled_roles, unlabelled_roles
from agrm_study.training.data.datasets.synthetic.classes import DIFFICULTIES
from agrm_study.training.data.datasets.synthetic.clip import key_boxes, render
from agrm_study.training.data.datasets.synthetic.encode import encode
from agrm_study.training.data.decoding.killable import Failure, KillablePool
from agrm_study.training.data.manifest import write_manifest

DRAWING_VERSION = 1
"""Increment if the pixels for the same arguments change."""
CARD = "synthetic.json"
"""File that records the arguments, in the data set's folder."""
FEWEST_SUBJECTS = 6


def write_synthetic(
    out: Path | str,
    *,
    subjects: int,
    unlabelled: int,
    seed: int,
    difficulty: str,
    on_progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
) -> Path:
    """Write a synthetic hybrid data set as real video files with a manifest.

    The folder is created atomically. If it already contains the same data set, nothing is written.

    Args:
        out: Folder of the data set; an existing folder must be empty or contain the same data set.
        subjects: Number of labelled children, one clip each; at least 6.
        unlabelled: Number of unlabelled clips of adults (see `cast`); 0 or more.
        seed: Seed of all random numbers.
        difficulty: ``easy``, ``medium`` or ``hard`` (see `classes`).
        on_progress: Called with the number of written clips and the total number of clips.
        workers: Number of rendering and encoding processes; does not affect the files.

    Returns:
        The path of ``manifest.parquet``.

    Raises:
        InputError: If an argument is invalid, or the folder has different content or cannot be written.
    """
    out = Path(out).absolute()
    _check(subjects, unlabelled, seed, difficulty, workers)
    card = {
        "drawing_version": DRAWING_VERSION,
        "subjects": subjects,
        "unlabelled": unlabelled,
        "seed": seed,
        "difficulty": difficulty,
    }
    if _is_there(out, card):
        return out / "manifest.parquet"
    roles = labelled_roles(subjects, seed, difficulty) + unlabelled_roles(unlabelled, seed, difficulty)
    partial = out.parent / f".{out.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        for part in ("spwvd", "casia_b"):
            (partial / part).mkdir(parents=True, exist_ok=True)
        clips: dict[str, ClipRecord] = {}
        for clip in _written(roles, partial, workers):
            clips[clip.clip_id] = clip
            if on_progress is not None:
                on_progress(len(clips), len(roles))
        _write_labels(partial / "spwvd" / "labels.csv", roles)
        write_manifest([clips[role.plan.clip_id] for role in roles], partial)
        (partial / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        _move(partial, out, card)
    except OSError as error:
        rule = f"the synthetic data set could not be written ({error})"
        raise InputError(rule, where=out, hint="Check the free disk space and your write permission.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out / "manifest.parquet"


def _check(subjects: int, unlabelled: int, seed: int, difficulty: str, workers: int) -> None:
    bounds = {
        "subjects": (subjects, FEWEST_SUBJECTS, 9999),
        "unlabelled": (unlabelled, 0, MOST_UNLABELLED),
        "seed": (seed, 0, 2**63 - 1),
        "workers": (workers, 1, 1024),
    }
    for field, (given, least, most) in bounds.items():
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            raise InputError("must be an integer in range", field=field, given=given, allowed=f"{least} to {most}")
    if difficulty not in DIFFICULTIES:
        known = ", ".join(DIFFICULTIES)
        hint = did_you_mean(str(difficulty), DIFFICULTIES)
        raise InputError("unknown difficulty", field="difficulty", given=difficulty, allowed=known, hint=hint)


def _is_there(out: Path, card: dict[str, object]) -> bool:
    """Whether the folder contains the same data set.

    Raises:
        InputError: If the folder has different content.
    """
    if not out.exists():
        return False
    if out.is_dir() and not any(out.iterdir()):
        return False
    with contextlib.suppress(OSError, ValueError):
        if (out / "manifest.parquet").is_file() and json.loads((out / CARD).read_text(encoding="utf-8")) == card:
            return True
    rule = "must be a folder that does not exist, is empty, or contains the same synthetic data set"
    raise InputError(rule, where=out, hint="Choose a different folder, or remove this one.")


def _move(partial: Path, out: Path, card: dict[str, object]) -> None:
    """Rename the finished folder to its final name, unless another process has already written the same data set."""
    try:
        partial.rename(out)
    except OSError:
        if not _is_there(out, card):
            raise


def _written(roles: Sequence[Role], folder: Path, workers: int) -> Iterator[ClipRecord]:
    if workers == 1:
        for role in roles:
            yield write_clip(role, folder)
        return
    with KillablePool(min(workers, len(roles))) as pool:
        for place, result in pool.map_unordered(_write_alone, [(role, folder) for role in roles]):
            if isinstance(result, Failure):
                if isinstance(result.error, OSError):
                    raise result.error
                raise RuntimeError(f"{roles[place].file} could not be generated: {result.message}")
            yield result


def _write_alone(role: Role, folder: Path) -> ClipRecord:
    """`write_clip` for a child process, restricted to one core."""
    cv2.setNumThreads(1)
    return write_clip(role, folder)


def planned_clips(*, subjects: int, unlabelled: int, seed: int, difficulty: str) -> list[ClipRecord]:
    """Manifest records of the clips that `write_synthetic` would write, without rendering.

    The checksums are placeholders.
    """
    _check(subjects, unlabelled, seed, difficulty, 1)
    roles = labelled_roles(subjects, seed, difficulty) + unlabelled_roles(unlabelled, seed, difficulty)
    return [planned_clip(role) for role in roles]


def planned_clip(role: Role) -> ClipRecord:
    """Manifest record of one clip before it is rendered, with a placeholder checksum."""
    return _record(role, Path(role.file), hashlib.sha256(role.file.encode()).hexdigest())


def write_clip(role: Role, folder: Path) -> ClipRecord:
    """Render and encode one clip."""
    plan, path = role.plan, folder / role.file
    encode(
        path,
        render(plan),
        fps=plan.fps,
        width=plan.width,
        height=plan.height,
        codec=role.codec,
        quality=plan.scene.quality,
    )
    return _record(role, path, hashlib.sha256(path.read_bytes()).hexdigest())


def _record(role: Role, path: Path, checksum: str) -> ClipRecord:
    plan = role.plan
    return ClipRecord(
        subject_id=role.subject,
        clip_id=plan.clip_id,
        path=path,
        label=None if role.hidden else role.label,
        hidden_label=role.label if role.hidden else None,
        view=plan.view,
        condition=role.condition,
        frames=plan.frames,
        fps=plan.fps,
        width=plan.width,
        height=plan.height,
        checksum=checksum,
        source="casia_b" if role.hidden else "spwvd",
        sex=plan.person.sex,
        age=plan.person.age,
        boxes=key_boxes(plan),
    )


def _write_labels(path: Path, roles: Sequence[Role]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["subject", "label3", "sex", "age"])
        for role in roles:
            if not role.hidden:
                table.writerow([role.subject, role.label, role.plan.person.sex, role.plan.person.age])
