"""Table of the tuning of arms: budget, chosen settings and their validation score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from agrm_study.report.measure import Measurements
from agrm_study.report.notes import tuning_note
from agrm_study.report.table import Column, Entry, Row, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.thresholds import values_entry
from agrm_study.report.tuned import TriedSearch, space_of
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, MISSING, listing
from agrm_study.study.arm_names import symbols, value_text
from agrm_study.study.search_space import Dimension
from agrm_study.study.tasks import task_title

MISSING_ENTRY = Entry(text=MISSING)


class TunedTable(TableKind):
    """Tuning of each arm on validation data before its training with the reported seeds."""

    name: ClassVar[str] = "tuned"
    question: ClassVar[str] = "Were all arms tuned with the same budget, and to which settings?"

    def unfit(self, m: Measurements) -> str | None:
        return "the study does not tune its arms" if m.evidence.study.tune is None else None

    def build(self, m: Measurements) -> Table:
        e = m.evidence
        study, tune = e.study, e.study.tune
        assert tune is not None
        metric = tune.metric[0].removeprefix("val/")
        tried = {(search.arm, search.task): search for search in m.tried}
        spaces = {arm.name: space_of(e, arm.name) or {} for arm in study.arms}
        settings = list(dict.fromkeys(name for space in spaces.values() for name in space))
        titles = symbols(settings)
        rows = []
        for task in study.tasks:
            for number, arm in enumerate(study.arms):
                search = tried.get((arm.name, task), TriedSearch(arm=arm.name, task=task, points=()))
                chosen = arm.tuned.get(task)
                best = next((p.value for p in search.points if p.settings == chosen), None)
                score = MISSING_ENTRY if best is None else values_entry(np.array([best]), 1, percent=metric != "loss")
                values = [_value(chosen, name) for name in settings]
                heading = task_title(task) if number == 0 and len(study.tasks) > 1 else None
                entries = (words(task), words(arm.name), _budget(search, tune.trials), *values, score)
                rows.append(Row(entries=entries, heading=heading))
        rule = f" that satisfies {', '.join(map(str, tune.constraints))}" * bool(tune.constraints)
        per_point = f"the mean over {tune.seeds} seeds" if tune.seeds > 1 else "one trial"
        return Table(
            name=self.name,
            caption="Tuning of the arms on validation data: budget, chosen settings and their score.",
            columns=(
                Column(key="task", title="Task", align="left", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="points", title="Points"),
                *(Column(key=name, title=titles[name]) for name in settings),
                Column(key=f"best_val_{metric}", title=f"Best {METRIC_TITLES[metric]}"),
            ),
            rows=tuple(rows),
            notes=(
                *([note] if (note := tuning_note(e)) else []),
                *_space_notes(spaces, titles),
                f"Best {METRIC_TITLES[metric]}: {METRIC_NAMES[metric]} of the chosen point{rule} on validation data, "
                f"{per_point}; optimistic, as it was selected as the best. Tuning never uses the test part, and its "
                "seeds differ from the seeds of the reported trials.",
            ),
            partial=e.partial,
        )


def _space_notes(spaces: Mapping[str, Mapping[str, Dimension]], titles: Mapping[str, str]) -> list[str]:
    """Notes that describe the search space of each arm, one per distinct space."""
    alike: dict[str, list[str]] = {}
    for arm, space in spaces.items():
        text = ", ".join(
            f"{titles[name]} {range_text(its)}" + (f" [{name}]" if titles[name] != name else "")
            for name, its in space.items()
        )
        alike.setdefault(text, []).append(arm)
    if len(alike) == 1:
        return [f"Search space: {text}." for text in alike]
    return [f"Search space of {listing(arms)}: {text}." for text, arms in alike.items()]


def _value(chosen: Mapping[str, Any] | None, name: str) -> Entry:
    """A chosen setting, rounded to four digits; CSV has the full value."""
    if chosen is None or name not in chosen:
        return MISSING_ENTRY
    value = chosen[name]
    if isinstance(value, float):
        return Entry(text=f"{value:.4g}", value=value)
    return words(value_text(value))


def range_text(dimension: Dimension) -> str:
    """The values of a dimension in short form: ``0.9–0.999 (logit)``, ``{a, b}``."""
    if dimension.choices is not None:
        return "{" + ", ".join(label or value_text(value) for label, value in dimension.choices) + "}"
    low, high = dimension.bounds
    scale = "" if dimension.scale == "linear" else f" ({dimension.scale})"
    step = f" in steps of {dimension.step:g}" if dimension.step is not None else ""
    return f"{low:g}–{high:g}{step}{scale}"


def _budget(search: TriedSearch, planned: int) -> Entry:
    """Number of points, marked if fewer than planned; CSV also lists their final states."""
    count = len(search.points)
    ends = {end: search.ended(end) for end in ("finished", "dropped", "pruned", "failed")}
    entry = whole(count)
    parts = {**ends, "planned": planned}
    marks = (f"{count}/{planned}",) if count < planned else ()
    return Entry(text=entry.text, value=entry.value, parts=parts, marks=marks)
