"""Comparison of the arms of several studies along one setting."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from agrm_study.report.build import write_table
from agrm_study.report.cells import Cell
from agrm_study.report.checks.people import merged_people
from agrm_study.report.collect import collect
from agrm_study.report.collect_cells import VERSIONS
from agrm_study.report.evidence import Evidence
from agrm_study.report.measure import Measurements
from agrm_study.report.renderers import available
from agrm_study.report.study_info import ArmInfo, Planned, StudyInfo
from agrm_study.report.table import Column, Entry, Row, Table, words
from agrm_study.report.tables.comparing import block, columns, standard_notes
from agrm_study.report.tables.factor_response import level_of, level_text
from agrm_study.statistics.blas import one_blas_thread
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.settings import known_settings


@one_blas_thread()
def compare(
    results: Sequence[Path],
    by: str,
    *,
    allow: Collection[str] = (),
    out: Path | None = None,
    formats: Sequence[str] | None = None,
) -> Table:
    """Compare the arms of all studies in one table, ordered by a setting.

    Args:
        results: Results folders.
        by: Dotted name of the setting (``ssl.threshold.tau``).
        allow: Differences accepted between the studies: ``code``, ``data``, ``split``.
        out: Folder for the output files ``compare.<format>``; if None, nothing is written.
        formats: Suffixes of `RENDERERS`; by default all available ones.

    Returns:
        The table; Δ is relative to the reference of the first study that has one.

    Raises:
        InputError: If the setting is unknown, a folder has no results, or code, data or split differ between studies.
    """
    if by not in known_settings():
        hint = (
            did_you_mean(by, known_settings())
            or "Settings are named as in a study file, for example ssl.threshold.tau."
        )
        raise InputError("is not a setting", field="--by", given=by, hint=hint)
    if not results:
        raise InputError("requires at least one results folder", field="RESULTS")
    merged = merge([collect(Path(r), allow=allow) for r in results], by, allow)
    m = Measurements(merged, allow=tuple(allow))
    table = comparison_table(m, by)
    if out is not None:
        for suffix in formats or available():
            write_table(table, out, suffix)
    return table


def merge(found: Sequence[Evidence], by: str, allow: Collection[str]) -> Evidence:
    """Merge the evidence of several studies into one, with arms ordered by the setting.

    Raises:
        InputError: If the records differ in a way that is not allowed, or the primary metrics differ.
    """
    labels = folder_labels(found)
    for kind, column in VERSIONS.items():
        named = [sorted(set(e.trials.loc[e.trials["status"] == "finished", column].dropna())) for e in found]
        if kind not in allow and len({tuple(v) for v in named if v}) > 1:
            said = "; ".join(f"{label}: {', '.join(v)}" for label, v in zip(labels, named, strict=True))
            raise InputError(
                f"the studies differ in {kind} and are not compared ({said})",
                hint=f"Use `--allow {kind}` to compare them anyway.",
            )
    metrics = {e.study.primary_metric for e in found}
    if len(metrics) > 1:
        raise InputError("the studies must have the same primary metric", given=sorted(metrics))
    several = len(found) > 1
    names = [a.name for e in found for a in e.study.arms]
    arms: list[tuple[ArmInfo, int]] = []
    rename: dict[tuple[int, str], str] = {}
    for k, e in enumerate(found):
        for a in e.study.arms:
            unique = names.count(a.name) == 1 or not several
            rename[k, a.name] = a.name if unique else f"{a.name} ({labels[k]})"
            arms.append((replace(a, name=rename[k, a.name]), k))
    order = sorted(arms, key=lambda pair: _sort_key(level_of(pair[0], by)))
    tasks = {name: task for name, task in found[0].study.tasks.items() if all(name in e.study.tasks for e in found)}
    for name, task in tasks.items():
        if not all(task.same_as(e.study.tasks[name]) for e in found):
            raise InputError(
                f"the studies define the task {name} with different classes and are not compared",
                field=f"tasks.{name}",
                hint="Give the tasks different names, or the same classes.",
            )
    reference = next((rename[k, e.study.reference] for k, e in enumerate(found) if e.study.reference is not None), None)
    cells = {
        (rename[k, a], t): replace(c, arm=rename[k, a])
        for k, e in enumerate(found)
        for (a, t), c in e.cells.items()
        if t in tasks
    }
    study = StudyInfo(
        name=" + ".join(labels),
        question=f"How does {by} affect the results across studies?",
        tasks=tasks,
        seeds=tuple(sorted({s for e in found for s in e.study.seeds})),
        arms=tuple(a for a, _ in order),
        reference=reference,
        primary_metric=found[0].study.primary_metric,
        splits=found[0].study.splits if len({e.study.splits for e in found}) == 1 else None,
    )
    planned: list[Planned] = [
        replace(p, arm=rename[k, p.arm]) for k, e in enumerate(found) for p in e.planned if (k, p.arm) in rename
    ]
    return replace(
        found[0],
        study=study,
        planned=tuple(planned),
        trials=pd.concat([e.trials for e in found]).drop_duplicates("trial_id").reset_index(drop=True),
        cells={key: c for t in tasks for key, c in aligned({k: c for k, c in cells.items() if k[1] == t}).items()},
        people=merged_people([e.people for e in found]),
        problems=tuple(
            p if p.arm is None else replace(p, arm=rename.get((k, p.arm), p.arm))
            for k, e in enumerate(found)
            for p in e.problems
        ),
    )


def folder_labels(found: Sequence[Evidence]) -> list[str]:
    """Label of each study: its name if unique, otherwise the shortest unique suffix of its folder's path.

    Raises:
        InputError: If a folder is listed twice.
    """
    names = [e.study.name for e in found]
    paths = [e.results.resolve() for e in found]
    if len(set(paths)) < len(paths):
        raise InputError(
            "each results folder must be given only once", field="RESULTS", given=[str(e.results) for e in found]
        )
    labels = []
    for name, path in zip(names, paths, strict=True):
        others = [other for other in paths if other != path]
        n = 1
        while any(other.parts[-n:] == path.parts[-n:] for other in others):
            n += 1
        labels.append(name if names.count(name) == 1 else "/".join(path.parts[-n:]))
    return labels


def aligned(cells: dict[tuple[str, str], Cell]) -> dict[tuple[str, str], Cell]:
    """Align the cells of a task on a common list of subjects, with NaN for missing subjects.

    Raises:
        InputError: If two studies label a subject differently.
    """
    label: dict[str, int] = {}
    for c in cells.values():
        for subject, y in zip(c.subjects, c.labels_N, strict=True):
            if label.setdefault(subject, int(y)) != int(y):
                raise InputError("a subject must have the same label in all studies", given=subject)
    subjects = tuple(sorted(label))
    position = {s: i for i, s in enumerate(subjects)}
    labels = np.array([label[s] for s in subjects], dtype=np.int64)
    out = {}
    for key, c in cells.items():
        probs = np.full((len(c.seeds), len(subjects), len(c.classes)), np.nan)
        at = [position[s] for s in c.subjects]
        probs[:, at] = c.probs_SNK
        fold_SN = None
        if c.fold_SN is not None:
            fold_SN = np.full((len(c.seeds), len(subjects)), -1, dtype=np.int64)
            fold_SN[:, at] = c.fold_SN
        out[key] = replace(c, subjects=subjects, labels_N=labels, probs_SNK=probs, fold_SN=fold_SN)
    return out


def comparison_table(m: Measurements, by: str) -> Table:
    """Table of the arms of a merged study, with the value of the setting for each arm."""
    study = m.evidence.study
    arms = [a.name for a in study.arms]

    def extra(arm: str, task: str) -> tuple[Entry, ...]:
        return (words(level_text(level_of(study.arm(arm), by))),)

    rows: list[Row] = []
    for task in study.tasks:
        rows += block(m, task, arms, extra)
    return Table(
        name="compare",
        caption=f"Arms of {study.name} by {by}; test part.",
        columns=columns(m, (Column(key="setting", title=by, align="left"),)),
        rows=tuple(rows),
        notes=standard_notes(m, arms, study.tasks),
        partial=m.evidence.partial,
    )


def _sort_key(value: object) -> tuple[int, float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, float(value), ""
    return 1, 0.0, level_text(value)
