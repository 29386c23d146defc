"""Explains a finished trial with figures, videos and a table of occlusion measurements."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from agrm_study.explain.choice import RULE, Choice, choose
from agrm_study.explain.gradcam import grad_cam, to_clip
from agrm_study.explain.measure import Boxes, measure, subjects_of_check
from agrm_study.explain.movie import write_movie
from agrm_study.explain.network import Data, ReloadedTrial, reload_trial
from agrm_study.explain.panels import Explained, draw_grid, draw_panel
from agrm_study.explain.regions import BoxKind
from agrm_study.explain.summary import write_raw, write_summary
from agrm_study.explain.trials import FinishedTrial, FinishedTrials
from agrm_study.study.errors import InputError
from agrm_study.study.tasks import task_words

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options for explaining a trial.

    Attributes:
        out: Output folder.
        clips: Number of clips shown per true class.
        subjects: Number of test subjects for the occlusion measurements; None for all, 0 to skip them.
        boxes: Body part covered by the person's boxes.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    out: Path
    clips: int = 3
    subjects: int | None = None
    boxes: BoxKind = "person"
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Result of explaining a trial.

    Attributes:
        pictures: Folder of the figures and videos of the trial.
        shown: The clips shown.
        table: Path of ``occlusion.md``; None if measurements were skipped.
        notes: Notes for the user.
    """

    pictures: Path
    shown: tuple[Explained, ...]
    table: Path | None
    notes: tuple[str, ...]


def explain(
    trials: FinishedTrials, trial: FinishedTrial, data: Data, options: Options, on_progress: OnProgress | None = None
) -> Explanation:
    """Draw figures of one trial, and measure occlusion for all seeds of its arm.

    Args:
        trials: The finished trials of the results folder.
        trial: The trial to show.
        data: Input data of the trial's arm.
        options: Options.
        on_progress: Called with the number of measured clips and the total number of clips.

    Raises:
        InputError: If weights are missing, or data, weights or logits differ from the records.
    """
    own = reload_trial(trial, data, _recorded(trials, trial), options.device)
    folder = options.out / trial.trial_id
    shown = explained_clips(own, choose(own.windows.labels_S, own.decided_S, own.probs_SK.max(axis=1), options.clips))
    write_pictures(shown, own, folder)
    notes: list[str] = []
    if options.subjects == 0:
        return Explanation(pictures=folder, shown=tuple(shown), table=None, notes=())

    seeds = []
    for each in trials.replicates(trial):
        if each.weights.is_file():
            seeds.append(each)
        else:
            notes.append(f"{each.arm}, seed {each.seed} is omitted: {each.why_without_weights}")
    subjects = subjects_of_check(len(own.windows.subjects), options.subjects)
    if len(subjects) < len(own.windows.subjects):
        notes.append(f"Measured on {len(subjects)} of {len(own.windows.subjects)} test subjects.")
    total, done = len(seeds) * len(subjects), 0

    def step() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, total)

    boxes: Boxes = {}
    for each in seeds:
        replicate = (
            own
            if each.trial_id == trial.trial_id
            else reload_trial(each, data, _recorded(trials, each), options.device)
        )
        rows = measure(replicate, kind=options.boxes, subjects=subjects, boxes=boxes, on_clip=step)
        write_raw(options.out, each.trial_id, rows)
    notes += _about_boxes(boxes, data)
    _, page = write_summary(options.out, options.boxes, notes)
    return Explanation(pictures=folder, shown=tuple(shown), table=page, notes=tuple(notes))


def explained_clips(own: ReloadedTrial, choices: Iterable[Choice]) -> list[Explained]:
    """Middle windows of the selected subjects, with maps for the class predicted for the subject."""
    recipe, windows, found = own.recipe, own.windows, []
    for choice in choices:
        subject, window = choice.subject, int(own.middle_S[choice.subject])
        target = int(own.decided_S[subject])
        clip_CTHW = own.clip(subject)
        targets_B = torch.tensor([target], device=clip_CTHW.device)
        maps_BTHW = grad_cam(own.network, own.loss.logits, clip_CTHW[None], targets_B)
        found.append(
            Explained(
                subject_id=windows.subjects[subject],
                clip_id=windows.clips.clip_ids[window],
                label=recipe.classes[int(windows.labels_S[subject])],
                decided=recipe.classes[target],
                probability=float(own.probs_SK[subject, target]),
                reason=choice.reason,
                frames_THWC=own.frames(subject),
                map_THW=to_clip(maps_BTHW, recipe.clip.frames, recipe.clip.size)[0].cpu().numpy().astype(np.float32),
                seconds_T=windows.view.frames_NT[window] / recipe.clip.fps,
            )
        )
    return found


def write_pictures(shown: list[Explained], own: ReloadedTrial, folder: Path) -> None:
    """Write a panel and a video per clip, a grid of all clips, the list of clips and the selection rule.

    Replaces the folder written by an earlier call.
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    rows = []
    for number, each in enumerate(shown, start=1):
        name = f"{number:02d}-{_plain(each.label)}-{_plain(each.reason)}-{_plain(each.subject_id)}"
        draw_panel(each, folder / f"{name}.png")
        write_movie(each, folder / f"{name}.mp4", own.recipe.clip.fps)
        rows.append(
            {
                "file": name,
                "subject_id": each.subject_id,
                "clip_id": each.clip_id,
                "label": each.label,
                "decided": each.decided,
                "probability": each.probability,
                "reason": each.reason,
                "first_s": float(each.seconds_T[0]),
                "last_s": float(each.seconds_T[-1]),
            }
        )
    title = f"{own.trial.arm}, {task_words(own.trial.task)}, seed {own.trial.seed} ({own.name})"
    for suffix in ("png", "pdf"):
        draw_grid(shown, title, folder / f"grid.{suffix}")
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
    (folder / "rule.txt").write_text(
        f"Clips shown {RULE}.\nEach subject is represented by its middle test window. The maps explain the logit of "
        "the class predicted for the subject.\n",
        encoding="utf-8",
    )


def _recorded(trials: FinishedTrials, trial: FinishedTrial) -> pd.DataFrame:
    recorded = trials.ledger.predictions("test", trial_ids=[trial.trial_id])
    if recorded.empty:
        raise InputError("the test predictions of this trial are not in the ledger", where=trial.trial_id)
    return recorded


def _about_boxes(boxes: Boxes, data: Data) -> list[str]:
    without = [clip_id for clip_id, keys in boxes.items() if keys is None]
    guessed = [clip_id for clip_id, keys in boxes.items() if keys and not data.manifest.by_id[clip_id].boxes]
    notes = []
    if without:
        notes.append(
            f"{len(without)} of {len(boxes)} clips have no person boxes in the manifest, and none were detected in "
            "their videos: their regions are not measured"
        )
    if guessed:
        notes.append(f"the boxes of {len(guessed)} of {len(boxes)} clips were estimated from motion in the video")
    return notes


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower() or "clip"
