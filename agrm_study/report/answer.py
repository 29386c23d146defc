"""Answer to the study's question, one sentence per task with its uncertainty."""

from __future__ import annotations

import math

from agrm_study.report.advice import differences, sentence
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import METRIC_NAMES, UNDECIDED, bracket, listing, p_text, percent, points
from agrm_study.study.counted import counted
from agrm_study.study.tasks import task_title

MAX_ARMS = 6
"""Maximum number of arms listed in the answer; the tables list all of them."""


def answer(m: Measurements) -> str:
    """The sentences of the answer, joined into one line."""
    return " ".join(sentences(m))


def sentences(m: Measurements) -> tuple[str, ...]:
    """One sentence per task: the reference (or the best arm), its interval, and the comparisons with the other arms."""
    said = [s for t in m.evidence.study.tasks if (s := _task(m, t))]
    if not said:
        if m.evidence.study.splits is not None and m.evidence.finished:
            return ("No seed has all its folds finished: there is no answer yet.",)
        return ("No trial has finished: there is no answer yet.",)
    if m.evidence.partial:
        said[0] = f"So far ({m.evidence.partial.removeprefix('PARTIAL: ')}): {said[0]}"
    return tuple(said)


def _task(m: Measurements, task: str) -> str | None:
    study = m.evidence.study
    metric = METRIC_NAMES[study.primary_metric]
    measured = {a.name: x for a in study.arms if (x := m.metric(a.name, task, study.primary_metric)) is not None}
    measured = {a: x for a, x in measured.items() if math.isfinite(x.summary.mean)}
    if not measured:
        return None
    if study.reference not in measured and not m.same_test(list(measured), task):
        return f"{task_title(task)}: {len(measured)} arms were tested on different subjects and are not ranked."
    subject = study.reference if study.reference in measured else max(measured, key=lambda a: measured[a].summary.mean)
    x = measured[subject]
    n = counted(x.summary.n, "seed")
    interval = f", 95% interval {bracket(x.interval)}" if x.interval.defined else ""
    head = f"{task_title(task)}: {subject} reaches {percent(x.summary.mean)}% {metric} ({n}{interval})"
    if study.reference is None:
        trainings = len({m.training(arm) for arm in measured})
        of = f"{trainings} arms" if trainings == len(measured) else f"{trainings} different training runs"
        unranked = f", the highest mean of {of}; the study has no reference arm, so no difference is tested"
        return f"{head}{unranked if trainings > 1 else ''}."
    compared = {a: c for (a, t), c in m.compared().items() if t == task and c.difference is not None}
    parts = []
    for arm, c in compared.items():
        d = c.difference
        if d is None:
            continue
        p = f", p = {p_text(c.adjusted_p)}".replace("= <", "< ") if math.isfinite(c.adjusted_p) else ""
        text = f"{arm} {points(d.delta)} {bracket(d.interval)}{p}" if d.interval.defined else f"{arm} {points(d.delta)}"
        parts.append(text + ("†" if c.dagger else ""))
    same = [a for (a, t), c in m.compared().items() if t == task and c.same]
    untested = f" {listing(_first(same))}: same training as {study.reference}, not compared." if same else ""
    if not parts:
        left = len(measured) - 1 - len([a for a in same if a in measured])
        waits = "; no other arm can be compared yet" if left or not same else ""
        return f"{head}{waits}.{untested}"
    both = [a for a, c in compared.items() if c.dagger]
    verdict = UNDECIDED
    if both:
        verdict = f"a difference is found for {listing(_first(both))} (adjusted p < .05)"
    undecided = {a: o for a, o in differences(m, task).items() if a not in both}
    outlook = sentence(undecided)
    return (
        f"{head}; difference in points: {'; '.join(_first(parts))}. By the study's rule {verdict}."
        f"{f' {outlook}.' if outlook else ''}{untested}"
    )


def _first(items: list[str]) -> list[str]:
    """The first `MAX_ARMS` items, followed by the number of remaining items."""
    return items if len(items) <= MAX_ARMS else [*items[:MAX_ARMS], f"{len(items) - MAX_ARMS} more in the tables"]
