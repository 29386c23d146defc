"""Content of a first study file, derived from the user's data and machine."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agrm_study.cli.first_tasks import FEW, built_in_lines, line, own_task, paper_tasks, quoted
from agrm_study.study.counted import counted
from agrm_study.study.data_settings import Data
from agrm_study.study.labels import LABELS
from agrm_study.study.recipe import Clip
from agrm_study.study.tasks import BUILT_IN

ABOVE_SETTINGS: Final = "\n# Settings of every arm, by dotted name or nested."
SMALL: Final = """\
  epochs: 40
  clip: {frames: 4, fps: 4.1667, crop: person_box, resize: 46, size: 40}
  model: {width: 8, depth: 10}
  augment.labelled: weak
  ssl.pretrain_epochs: 10
  ssl.ramp.epochs: 10
  batch: {labelled: 8, unlabelled: 8}
  optimizer.lr: 2e-3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """Facts about a data set that a study file depends on.

    Attributes:
        data: Lines of the `data` section.
        tasks: Lines of the `tasks` section, for the tasks that the labels allow.
        unlabelled: Number of unlabelled clips available for training.
        boxes: Whether every clip has a bounding box of the person.
        seconds: Length of the shortest clip that can be read.
        summary: One line for the user.
        remarks: Notes for the user, one line each.
    """

    data: tuple[str, ...]
    tasks: tuple[str, ...]
    unlabelled: int
    boxes: bool
    seconds: float
    summary: str
    remarks: tuple[str, ...] = ()
    synthetic: bool = False


def synthetic_facts() -> DataFacts:
    """A small synthetic data set, generated on the first run."""
    return DataFacts(
        data=("  synthetic: {subjects: 120, unlabelled: 60, seed: 0, difficulty: easy}\n", *_unlabelled_lines(60)),
        tasks=built_in_lines(("three_class",)),
        unlabelled=60,
        boxes=True,
        seconds=10.0,
        summary="Synthetic walking figures: 120 labelled and 60 unlabelled clips, generated on the first run.",
        remarks=("Results on synthetic figures do not apply to children.",),
        synthetic=True,
    )


def facts_of(manifest: Path, study_file: Path) -> DataFacts:
    """Read the facts that a first study needs from a manifest.

    Raises:
        InputError: If the manifest cannot be read, or its labels allow no task.
    """
    from agrm_study.training.data.manifest import read_manifest

    read = read_manifest(manifest)
    label_of = {clip.subject_id: clip.label for clip in read.clips if clip.label is not None}
    counts = Counter(label_of.values())
    views = _views(sorted({clip.view for clip in read.unlabelled if clip.view is not None}))
    kept = views if views is not None else Data().views
    unlabelled = sum(clip.view is None or clip.view in kept for clip in read.unlabelled)
    lines = [
        f"  manifest: {json.dumps(_relative(read.path, study_file), ensure_ascii=False)}\n",
        *_unlabelled_lines(unlabelled),
    ]
    if views is not None:
        lines.append(
            line(f"  views: {list(views)}", "of the unlabelled clips; the paper's views, 0° and 180°, are absent")
        )
    paper = all(BUILT_IN["two_class"].has(label) for label in counts)
    labels = tuple(dict.fromkeys((*LABELS, *counts))) if paper else sorted(counts)
    by_label = ", ".join(f"{counts[label]} {label.replace('_', ' ')}" for label in labels)
    used = [clip for clip in (*read.labelled, *read.unlabelled) if clip.frames]
    tasks, more = paper_tasks(counts, read.path) if paper else own_task(counts, read.path)
    remarks = [
        *(
            f"Few subjects with {label.replace('_', ' ')}: intervals will be wide."
            for label in labels
            if 0 < counts[label] < FEW
        ),
        *more,
    ]
    if broken := len(read.clips) - len(used):
        remarks.append(
            f"{counted(broken, 'clip')} cannot be read: `agrm-study data check` gives the reasons, and data.exclude "
            "excludes subjects."
        )
    return DataFacts(
        data=tuple(lines),
        tasks=tasks,
        unlabelled=unlabelled,
        boxes=bool(used) and all(clip.boxes is not None for clip in used),
        seconds=min((clip.seconds for clip in used), default=0.0),
        summary=f"{len(label_of)} labelled subjects ({by_label}), {unlabelled} unlabelled clips to sample from.",
        remarks=tuple(remarks),
    )


def first_study(name: str, facts: DataFacts, *, cpus: int, gpus: int) -> str:
    """The text of a study file.

    Args:
        name: Name of the study and of its results folder.
        facts: Facts about the data set.
        cpus: Number of CPU cores of this machine.
        gpus: Number of GPUs of this machine.
    """
    ssl = facts.unlabelled > 0
    question = "Does semi-supervised training beat supervised training on these data?"
    if not ssl:
        question = "Does spatial hierarchical pooling beat average pooling on these data?"
    remarks = "".join(f"# {line}\n" for line in (facts.summary, *facts.remarks))
    return "".join(
        (
            f"# {question}\n#\n{remarks}#\n",
            "# Plan  agrm-study plan THIS_FILE\n# Run   agrm-study run THIS_FILE\n",
            "# Every setting and its meaning: agrm-study schema, or completion in your editor (docs/editor.md).\n\n",
            line(f"name: {quoted(name)}", "also the name of its results folder"),
            f"question: {question}\n",
            line("base: agrm", "the protocol of Song et al. 2026; this file contains only the differences"),
            *facts.tasks,
            line("seeds: [0, 1, 2, 3, 4]", "replicates of every arm, for the ± in the tables"),
            "\ndata:\n",
            *facts.data,
            _settings(facts, gpus),
            "\n# Rows of the tables: each has a name, and settings that differ from the settings above.\n"
            "# Instead of `arms`, `grid` crosses values (grid: {ssl.threshold.tau: [0.7, 0.8, 0.9]}).\n",
            *_arms(ssl),
            line("primary_metric: macro_f1", "the metric that is tested; the other metrics are reported too"),
            _resources(cpus, gpus),
        )
    )


def _settings(facts: DataFacts, gpus: int) -> str:
    """The `set` section: active for synthetic data, otherwise commented out."""
    if facts.synthetic:
        return f"{ABOVE_SETTINGS} Small enough for two CPU cores.\nset:\n{SMALL}"
    head = "# set:\n"
    if not facts.unlabelled:
        head = "set:\n" + line("  ssl.method: supervised", "there are no unlabelled clips")
    if not gpus:
        small = SMALL if facts.boxes else SMALL.replace("crop: person_box, ", "")
        return (
            f"{ABOVE_SETTINGS} No GPU was found here, and the protocol's network\n"
            "# (3D ResNet-18 on 16 × 224 × 224 pixels) takes weeks without one. Uncomment these lines for a small\n"
            f"# network, with which you can check within hours that everything works.\n{head}"
            + "".join(f"# {line}\n" for line in small.splitlines())
        )
    clip = Clip()
    wanted = clip.frames / clip.fps
    lines = [line("#   epochs: 60", "the protocol uses at most 100, with early stopping")]
    if facts.boxes:
        lines.append(line("#   clip.crop: person_box", "the manifest has person boxes; the paper uses the whole frame"))
    if facts.seconds < wanted:
        frames = max(2, int(facts.seconds * clip.fps))
        comment = f"your shortest clip is {facts.seconds:.1f} s long, the protocol's window {wanted:.1f} s"
        lines.append(line(f"#   clip.frames: {frames}", comment))
    return f"{ABOVE_SETTINGS} Uncomment lines as needed.\n{head}{''.join(lines)}"


def _arms(ssl: bool) -> tuple[str, ...]:
    if ssl:
        return (
            "arms:\n",
            line("  - {name: AGRM}", "Mean Teacher and pseudo-labels, with hierarchical pooling"),
            line("  - {name: supervised, set: {ssl.method: supervised}}", "labelled clips only"),
            line("  - {name: FixMatch, set: {ssl.method: fixmatch}}", "pseudo-labels without a teacher"),
            line("reference: AGRM", "the arm that the other arms are compared with"),
        )
    return (
        "arms:\n",
        line("  - {name: SHPM}", "spatial hierarchical pooling, as in the paper"),
        line("  - {name: average pooling, set: {model.pooling.name: average}}", "a plain mean"),
        line("reference: SHPM", "the arm that the other arms are compared with"),
    )


def _resources(cpus: int, gpus: int) -> str:
    share = max(1, min(4, cpus // max(1, gpus)))
    text = f"resources: {{cpu: {share}, gpu: 1}}" if gpus else "resources: {cpu: 1, gpu: 0}"
    here = f"{counted(cpus, 'processor')} and {counted(gpus, 'GPU') if gpus else 'no GPU'}"
    more = "; gpu: 0.5 runs two trials on one GPU" if gpus else ""
    return line(text, f"of one trial; this machine has {here}{more}")


def _unlabelled_lines(clips: int) -> tuple[str, ...]:
    """Number of unlabelled clips to sample: the paper's numbers if there are enough clips, otherwise four fifths of the
    clips."""
    default = Data()
    train, val = default.unlabelled_train, default.unlabelled_val
    if clips < train + val:
        train = round(0.8 * clips)
        val = clips - train
    return (
        line(f"  unlabelled_train: {train}", "unlabelled clips for training, at most"),
        line(f"  unlabelled_val: {val}", "unlabelled clips for monitoring pseudo-labels; never used in a result"),
    )


def _views(found: list[int]) -> tuple[int, ...] | None:
    """Views to keep; None if the data contain the protocol's views or the manifest has no views."""
    return None if not found or set(found) & set(Data().views) else tuple(found)


def _relative(manifest: Path, study_file: Path) -> str:
    """Path of the manifest as written in the study file; relative if the manifest is nearby."""
    near = os.path.relpath(manifest, study_file.absolute().parent)
    return str(manifest) if near.startswith(os.path.join("..", "..", "..")) else Path(near).as_posix()  # noqa: PTH118
