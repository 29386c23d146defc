"""Layout of a block of arms (metrics, interval, Δ from the reference), shared by the tables that compare arms."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence

from agrm_study.report import notes
from agrm_study.report.evidence import Evidence
from agrm_study.report.idle import SAME
from agrm_study.report.marks import best_and_second
from agrm_study.report.measure import TABLE_METRICS, Compared, Measured, Measurements
from agrm_study.report.table import EMPTY, Column, Entry, Row, Style, whole, words
from agrm_study.report.wording import METRIC_TITLES, MISSING, bracket, mean_std, p_text, percent, points
from agrm_study.statistics.comparison import Difference
from agrm_study.study.counted import counted
from agrm_study.study.tasks import task_title, task_words

MAX_ARMS = 40
"""Maximum number of arms in a supplementary table; the tables that compare arms show all."""

Extra = Callable[[str, str], tuple[Entry, ...]]
"""(arm, task) → entries of the columns that a table adds after the name of the arm."""


def no_extra(arm: str, task: str) -> tuple[Entry, ...]:
    """No further columns."""
    return ()


def shown_metrics(m: Measurements) -> tuple[str, ...]:
    """The paper's four metrics, and the primary metric if it is not among them."""
    primary = m.evidence.study.primary_metric
    return TABLE_METRICS if primary in TABLE_METRICS else (*TABLE_METRICS, primary)


def columns(m: Measurements, extra: Sequence[Column] = (), *, arm_title: str = "Arm") -> tuple[Column, ...]:
    """Columns of a comparison table."""
    study = m.evidence.study
    primary = METRIC_TITLES[study.primary_metric]
    out = [Column(key="task", title="Task", align="left", shown=False)]
    out += [Column(key="arm", title=arm_title, align="left"), *extra]
    if study.race is not None:
        out.append(Column(key="seeds", title="n"))
    out += [Column(key=name, title=METRIC_TITLES[name]) for name in shown_metrics(m)]
    out.append(Column(key=f"{study.primary_metric}_interval", title=f"{primary} 95% CI"))
    if study.reference is not None:
        out.append(Column(key="delta", title=f"Δ{primary} [95% CI]"))
        out.append(Column(key="p", title="p"))
    return tuple(out)


def arm_entry(evidence: Evidence, arm: str) -> Entry:
    """The name of an arm, marked if it shares its training runs with another arm."""
    return words(arm).marked(SAME) if arm in evidence.shares_trials else words(arm)


def task_blocks(tasks: Collection[str], rows: Iterable[tuple[str, Iterable[Entry]]]) -> tuple[Row, ...]:
    """Rows from (task, entries) pairs that are grouped by task; with several tasks, each has a heading."""
    return headed((task_title(task) if len(tasks) > 1 else None, entries) for task, entries in rows)


def headed(rows: Iterable[tuple[str | None, Iterable[Entry]]]) -> tuple[Row, ...]:
    """Rows from (heading, entries) pairs; a heading is shown once above the consecutive rows that share it."""
    out: list[Row] = []
    above = None
    for heading, entries in rows:
        out.append(Row(entries=tuple(entries), heading=None if heading == above else heading))
        above = heading
    return tuple(out)


def block(m: Measurements, task: str, arms: Sequence[str], extra: Extra = no_extra) -> list[Row]:
    """The rows of one task: one per arm, in the given order."""
    metrics = shown_metrics(m)
    measured = {a: {k: m.metric(a, task, k) for k in metrics} for a in arms}
    styles: dict[str, Sequence[Style]] = {}
    stopped = m.evidence.race.by_cell if m.evidence.race is not None else {}
    ranked = m.same_test(arms, task) and not m.one_training(arms)
    for k in metrics:
        found = [None if not ranked or (a, task) in stopped else measured[a][k] for a in arms]
        means = [None if x is None else x.summary.mean for x in found]
        styles[k] = best_and_second(means, ["" if v is None else percent(v) for v in means])
    rows = []
    heading = task_title(task) if len(m.evidence.study.tasks) > 1 else None
    for i, arm in enumerate(arms):
        entries = [words(task), arm_entry(m.evidence, arm), *extra(arm, task)]
        if m.evidence.study.race is not None:
            entries.append(seeds_entry(m, arm, task))
        entries += [metric_entry(m, arm, task, measured[arm][k], styles[k][i]) for k in metrics]
        entries.append(interval_entry(measured[arm][m.evidence.study.primary_metric]))
        if m.evidence.study.reference is not None:
            entries += delta_entries(m, arm, task)
        rows.append(Row(entries=tuple(entries), heading=heading if i == 0 else None))
    return rows


def metric_entry(m: Measurements, arm: str, task: str, x: Measured | None, style: Style) -> Entry:
    """Mean ± standard deviation, with n if it differs from the plan, or the reason for a missing value."""
    cell = m.evidence.cells.get((arm, task))
    if x is None:
        return Entry(text="excluded" if m.evidence.is_refused(arm, task) else MISSING)
    text = mean_std(x.summary.mean, x.summary.std)
    marks = () if cell is None else cell.marks
    parts = {
        "std": x.summary.std,
        "n": x.summary.n,
        "planned": cell.planned if cell is not None else None,
        "seed_low": x.seeds.low,
        "seed_high": x.seeds.high,
        "low": x.interval.low,
        "high": x.interval.high,
    }
    return Entry(text=text, value=x.summary.mean, parts=parts, style=style, marks=marks)


def estimate_entry(x: Measured | None, marks: tuple[str, ...]) -> Entry:
    """Mean and headline interval in percent; CSV also has the standard deviation."""
    if x is None:
        return Entry(text=MISSING)
    text = percent(x.summary.mean)
    if x.interval.defined:
        text += f" {bracket(x.interval)}"
    return Entry(text=text, value=x.summary.mean, parts=estimate_parts(x), marks=marks)


def estimate_parts(x: Measured) -> dict[str, float]:
    """Numbers that CSV adds to a mean: standard deviation, number of seeds, and the endpoints of the headline
    interval.
    """
    return {"std": x.summary.std, "n": x.summary.n, "low": x.interval.low, "high": x.interval.high}


def seeds_entry(m: Measurements, arm: str, task: str) -> Entry:
    """Number of seeds of an arm in a race, marked if the race stopped it."""
    cell = m.evidence.cells.get((arm, task))
    if cell is None:
        return Entry(text=MISSING)
    entry = whole(len(cell.seeds))
    race = m.evidence.race
    return entry.marked("‡") if race is not None and (arm, task) in race.by_cell else entry


def interval_entry(x: Measured | None) -> Entry:
    """The headline interval."""
    if x is None or not x.interval.defined:
        return Entry(text=MISSING)
    return Entry(text=bracket(x.interval), parts={"low": x.interval.low, "high": x.interval.high})


def delta_entries(m: Measurements, arm: str, task: str) -> tuple[Entry, Entry]:
    """Δ with interval and dagger, and the adjusted p-value."""
    if arm == m.evidence.study.reference:
        return Entry(text="reference"), EMPTY
    c = m.compared().get((arm, task))
    if c is not None and c.same:
        return Entry(text=MISSING).marked(SAME), Entry(text=MISSING)
    if c is None or c.difference is None:
        return Entry(text="excluded" if c is not None and c.refused else MISSING), Entry(text=MISSING)
    cell = m.evidence.cells[arm, task]
    entry = difference_entry(c.difference, cell.planned)
    return (entry.marked("†") if c.dagger else entry), p_entry(c)


def seeds_marks(n: int, planned: int) -> tuple[str, ...]:
    """The mark k/n if a number is based on k of n planned seeds; empty otherwise."""
    return () if n >= planned else (f"{n}/{planned}",)


def p_entry(c: Compared) -> Entry:
    """The Holm-adjusted p-value; CSV also has the uncorrected p-value."""
    d = c.difference
    parts = {} if d is None else {"uncorrected": d.p}
    if math.isfinite(c.equivalence_p):
        parts["equivalence"] = c.equivalence_p
    return Entry(text=p_text(c.adjusted_p), value=c.adjusted_p, parts=parts)


def difference_entry(d: Difference, planned: int) -> Entry:
    """Δ [low, high] in percentage points, marked if based on fewer seeds than planned; CSV has further statistics."""
    text = points(d.delta)
    if d.interval.defined:
        text += f" {bracket(d.interval)}"
    parts = {
        "low": d.interval.low,
        "high": d.interval.high,
        "hedges_g": d.g,
        "n": d.n,
        "paired": int(d.paired),
        "df": math.nan if d.components is None else float(d.components.df),
    }
    return Entry(text=text, value=d.delta, parts=parts, marks=seeds_marks(d.n, planned))


def standard_notes(m: Measurements, arms: Sequence[str], tasks: Collection[str]) -> tuple[str, ...]:
    """Footnotes of all comparison tables; must be called after the rows are built."""
    found = [
        notes.replicates_note(m, arms, tasks),
        notes.interval_note(m, tasks),
        *notes.caution_notes(m, arms, tasks),
        *notes.race_notes(m.evidence, arms, tasks),
        notes.tuning_note(m.evidence),
        notes.comparison_note(m, tasks, arms),
        notes.equivalence_note(m, arms, tasks),
        notes.ranking_note(m, arms, tasks) if len(arms) > 1 and not m.one_training(arms) else None,
        *(difference_gaps(m, arms, tasks)),
        *notes.gap_notes(m.evidence, arms, tasks),
        notes.versions_note(m.evidence),
    ]
    return tuple(n for n in found if n)


def difference_gaps(m: Measurements, arms: Sequence[str], tasks: Collection[str]) -> tuple[str, ...]:
    """Notes on excluded and unpaired differences, and on differences based on fewer seeds than planned."""
    out = []
    study = m.evidence.study
    reference_offset = 0 if study.reference is None else study.arm(study.reference).seed_offset
    for (arm, task), c in m.compared().items():
        if arm not in arms or task not in tasks:
            continue
        if c.refused:
            out.append(f"Δ of {arm} ({task_words(task)}) excluded: {c.refused}.")
        if c.difference is not None and m.evidence.study.arm(arm).seed_offset != reference_offset:
            out.append(
                f"Δ of {arm} ({task_words(task)}) is unpaired, because its training seeds differ from the seeds of "
                f"{m.evidence.study.reference}."
            )
        cell = m.cell(arm, task)
        if c.difference is not None and cell is not None and c.difference.n < cell.planned:
            seeds = counted(c.difference.n, "common seed")
            if not c.difference.paired:
                seeds = f"{counted(c.difference.n, 'seed')} in the arm with fewer seeds"
            out.append(f"Δ of {arm} ({task_words(task)}) is based on {seeds}.")
    return tuple(out)


def shown_arms(m: Measurements, arms: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The arms shown in a supplementary table, reference first, and a note on the number of omitted arms."""
    order = sorted(arms, key=lambda a: a != m.evidence.study.reference)
    if len(order) <= MAX_ARMS:
        return list(arms), ()
    rest = f"{len(order) - MAX_ARMS} of {len(order)} arms are omitted: this table shows the first {MAX_ARMS}."
    return order[:MAX_ARMS], (rest,)
