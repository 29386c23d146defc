"""Footnotes needed to interpret the numbers of a table, worded identically in all tables."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from agrm_study import __version__
from agrm_study.report.checks.finding import Finding
from agrm_study.report.evidence import Evidence
from agrm_study.report.idle import SAME, NeverActed
from agrm_study.report.measure import Measurements
from agrm_study.report.rate_cuts import RateCut
from agrm_study.report.wording import METRIC_NAMES, listing, percent, span, tasks_text
from agrm_study.statistics.comparison import ALPHA
from agrm_study.statistics.influence import FEWEST_OF_CLASS
from agrm_study.statistics.two_way import FEWEST_SUBJECTS
from agrm_study.study.counted import counted
from agrm_study.study.seeds import Stopped
from agrm_study.study.tasks import task_words

MOST_STOPPED: Final = 8
"""Maximum number of stopped arms listed in a footnote; the table of the race lists all."""
MOST_NAMED: Final = 6
"""Maximum number of arms listed in a caution."""
FEW_SEEDS: Final = 5
FEW_SUBJECTS: Final = 20
FEW_SITE_FOLDS: Final = 4
"""Minimum number of site folds for which no caution is added: in simulations (benchmarks/sites.py), the coverage of
intervals from three folds was as low as 93 %."""
MOST_FINDINGS: Final = 3
"""Maximum number of findings listed in a footnote; the table of failures lists all."""
SCREENING = "For screening research only; not a diagnostic device."


def replicates_note(m: Measurements, arms: Iterable[str], tasks: Collection[str]) -> str:
    """Note on n, ddof, N and the network, for the cells shown."""
    cells = [c for a in arms for t in tasks if (c := m.evidence.cells.get((a, t))) is not None]
    if not cells:
        waits = m.evidence.study.splits is not None and m.evidence.finished
        return "No seed has all its folds finished." if waits else "No trial has finished."
    n = span(c.planned for c in cells)
    tests = {t: next(c.n_subjects for c in cells if c.task == t) for t in tasks if any(c.task == t for c in cells)}
    sizes = set(tests.values())
    test = (
        f"N = {sizes.pop()} subjects"
        if len(sizes) == 1
        else listing([f"N = {k} subjects ({task_words(t)})" for t, k in tests.items()])
    )
    networks = sorted({c.network for c in cells})
    averages = [name for name in ("teacher", "ema") if name in networks]
    others = f"{' or '.join(averages)} if there is one, else student"
    network = networks[0] if len(networks) == 1 else others if "student" in networks else " or ".join(averages)
    finished = "have finished"
    own = any(a.recipe.own_trainer for a in m.evidence.study.arms)  # has no teacher, and no windows per video
    networks_text = "" if own else f"; network: {network}; window probabilities are averaged per subject"
    over, splits = f"n = {counted(n, 'training seed')}", m.evidence.study.splits
    if splits is not None:
        each = "seed" if splits.repeats == 1 else "seed and repeat"
        over += "" if splits.repeats == 1 else f" × {splits.repeats} repeats in total"
        test += f", pooled over {splits.folds} folds, so that each is tested once per {each}"
        finished = "have all their folds"
    short = f" Superscript k/n: only k of n planned seeds {finished}." if any(not c.complete for c in cells) else ""
    return (
        f"Percent; mean ± sample standard deviation (ddof 1) over {over} on a test set of {test}{networks_text}.{short}"
    )


def means_note(m: Measurements, arms: Iterable[str], tasks: Collection[str]) -> str:
    """The note on replicates, for tables that show means without standard deviations."""
    return replicates_note(m, arms, tasks).replace("mean ± sample standard deviation (ddof 1)", "means")


def interval_note(m: Measurements, tasks: Collection[str]) -> str:
    """Definition of the intervals, and reasons for missing ones."""
    cells = [c for (_, t), c in m.evidence.cells.items() if t in tasks and not c.refused]
    if cells and all(len(c.seeds) < 2 for c in cells):
        return "One seed: no interval or p-value, as the variance between training runs cannot be estimated."
    text = (
        "Brackets: 95% intervals over seeds and subjects (two-way variance with Satterthwaite's t; score intervals for "
        "bounded metrics)"
    )
    if m.evidence.study.splits is not None:
        text += ", including the variance shared by the training runs of a fold"
        if m.evidence.study.splits.group == "site":
            text += f" and between its sites ({_sites(m)} sites in total), so that they also apply to similar sites"
    none = f"; none for one seed, for fewer than {FEWEST_SUBJECTS} subjects, or if the variance is zero"
    if any(len(c.classes) == 2 and np.bincount(c.labels_N, minlength=2).min() < FEWEST_OF_CLASS for c in cells):
        none += f"; none for areas under curves with fewer than {FEWEST_OF_CLASS} subjects of a class"
    return f"{text}{none}."


def _sites(m: Measurements) -> int:
    """Number of sites of the tested subjects."""
    people = m.evidence.subjects
    return int(people.loc[people["split"] == "test", "site"].nunique())


def _by_task(numbers: Mapping[str, int]) -> str:
    return listing([f"{n} on the {tasks_text((t,))} task" for t, n in numbers.items()])


def caution_notes(m: Measurements, arms: Iterable[str], tasks: Collection[str]) -> tuple[str, ...]:
    """Cautions about numbers based on few seeds, few subjects or unstable training runs."""
    arms = set(arms)
    cells = [c for (a, t), c in m.evidence.cells.items() if a in arms and t in tasks and not c.refused]
    out = []
    fewest = min((len(c.seeds) for c in cells), default=FEW_SEEDS)
    if fewest == 2:
        out.append(
            "Caution: 2 seeds; intervals are two to three times as wide as with many seeds, and differences may remain "
            "undetected."
        )
    elif fewest < FEW_SEEDS:
        out.append(f"Caution: {counted(fewest, 'seed')}; intervals are wide with fewer than {FEW_SEEDS}.")
    sizes = {t: n for t in tasks if (n := max((c.n_subjects for c in cells if c.task == t), default=0))}
    none = {t: n for t, n in sizes.items() if n < FEWEST_SUBJECTS}
    small = {t: n for t, n in sizes.items() if FEWEST_SUBJECTS <= n < FEW_SUBJECTS}
    if none:
        out.append(f"Fewer than {FEWEST_SUBJECTS} test subjects ({_by_task(none)}): no interval or p-value.")
    if small:
        out.append(
            f"Caution: fewer than {FEW_SUBJECTS} test subjects ({_by_task(small)}); few subjects determine the results."
        )
    splits = m.evidence.study.splits
    if splits is not None and splits.group == "site" and splits.folds < FEW_SITE_FOLDS:
        out.append(
            f"Caution: {splits.folds} folds of sites; with fewer than {FEW_SITE_FOLDS}, differences between sites are "
            "estimated poorly."
        )
    unstable = []
    for c in cells:
        x = m.metric(c.arm, c.task, m.evidence.study.primary_metric)
        if x is not None and x.components is not None and float(x.components.shares[0]) > 0.5:
            unstable.append(f"{c.arm} ({task_words(c.task)})" if len(tasks) > 1 else c.arm)
    if unstable:
        shown = listing(
            [*unstable[:MOST_NAMED], *([f"{len(unstable) - MOST_NAMED} more"] * (len(unstable) > MOST_NAMED))]
        )
        out.append(f"Caution: most of the variance is between seeds for {shown}: training is unstable.")
    return tuple(out)


def tuning_note(evidence: Evidence) -> str | None:
    """Note on the tuning of arms; None for a study without tuning."""
    tune = evidence.study.tune
    if tune is None:
        return None
    points = f"{tune.trials} points × {tune.seeds} seeds" if tune.seeds > 1 else f"{tune.trials} trials"
    sampler = tune.sampler if isinstance(tune.sampler, str) else tune.sampler.name
    tasks = " and task" if len(evidence.study.tasks) > 1 else ""
    apart = [a.name for a in evidence.study.arms if a.space is not None]
    own = f" {listing(apart)}: with {'its' if len(apart) == 1 else 'their'} own search space." if apart else ""
    untuned = [a.name for a in evidence.study.arms if not a.tuned]
    lacking = f" Not tuned yet, so no results are shown: {listing(untuned)}." if untuned else ""
    return (
        f"Each arm{tasks} was tuned with {points} on validation data ({sampler}, {METRIC_NAMES[tune.metric[0][4:]]}) "
        f"before it was trained with the reported seeds.{own}{lacking}"
    )


def race_notes(evidence: Evidence, arms: Iterable[str], tasks: Collection[str]) -> tuple[str, ...]:
    """Note on the allocation of seeds in a race, the stopped arms with reasons, and the effect on the numbers."""
    rules, race, arms = evidence.study.race, evidence.race, set(arms)
    if rules is None:
        return ()
    rounds = f"then {rules.step} at a time" if rules.step > 1 else "then one at a time"
    metric = METRIC_NAMES[evidence.study.primary_metric]
    how = (
        f"Race: {rules.first} seeds for every arm, {rounds} up to {rules.most}; after each round, an arm is stopped if "
        f"another is better in {metric} on validation data in a one-sided paired t-test over seeds. Probability "
        f"that the truly best arm of a task is stopped: at most {rules.level:g} (Bonferroni over rounds and competing "
        "arms)."
    )
    stopped = [s for s in race.stopped if s.arm in arms and s.task in tasks] if race is not None else []
    if not stopped:
        return (how,)
    reasons = [stop_reason(s, several_tasks=len(evidence.study.tasks) > 1) for s in stopped[:MOST_STOPPED]]
    more = f"; and {len(stopped) - MOST_STOPPED} more (table race)" if len(stopped) > MOST_STOPPED else ""
    return (
        how,
        f"‡ Stopped by the race: {'; '.join(reasons)}{more}. These arms are complete with the n shown. They were "
        "stopped because of their results for these seeds, so their means are biased low and the means of the "
        "remaining arms are biased high: stopped arms are not ranked, their means must not be read as estimates at "
        "equal n, and their Δ and p do not account for the stopping.",
    )


def stop_reason(s: Stopped, *, several_tasks: bool) -> str:
    """Reason why the race stopped an arm: the rival, the difference and the test."""
    arm = f"{s.arm} ({task_words(s.task)})" if several_tasks else s.arm
    return (
        f"{arm} after {s.n} seeds, behind {s.rival} by {percent(s.difference)} points on validation data "
        f"({s.pairs} pairs, p = {s.p:.2g} against {s.limit:.2g})"
    )


def comparison_note(m: Measurements, tasks: Collection[str], arms: Iterable[str]) -> str | None:
    """Definition of Δ, p and the dagger, with the family of the correction."""
    study = m.evidence.study
    if study.reference is None:
        return None
    arms = set(arms)
    metric = METRIC_NAMES[study.primary_metric]
    compared = {(a, t): c for (a, t), c in m.compared().items() if a in arms and t in tasks}
    known = [c for c in compared.values() if c.difference is not None and math.isfinite(c.difference.p)]
    parts = [f"Δ: difference in {metric} from {study.reference} in percentage points"]
    if known:
        paired = [t for t in tasks if m.paired(t)]
        how = {0: "as independent samples", len(tasks): "paired"}.get(
            len(paired), f"paired on {tasks_text(tuple(paired))}"
        )
        families = [
            f"the {counted(k, 'comparison')}{f' of family {f}' if f else ''} on the {tasks_text((t,))} task"
            for t in tasks
            for f, k in sorted(m.family_sizes(t).items())
        ]
        parts[0] += ", with its 95% interval, not adjusted for multiple comparisons"
        parts.append(
            f"p: two-sided t-test over seeds ({how}) and subjects (paired), Holm-adjusted over {listing(families)}"
        )
        parts.append("† p < .05")
    return "; ".join(parts) + "."


def equivalence_note(m: Measurements, arms: Iterable[str], tasks: Collection[str]) -> str | None:
    """Note on the arms that are equivalent to the reference within the study's margin; None if no margin is set."""
    margin = m.evidence.study.margin
    if margin is None or m.evidence.study.reference is None:
        return None
    arms = set(arms)
    equal = [
        f"{a} ({task_words(t)})" if len(tasks) > 1 else a
        for (a, t), c in m.compared().items()
        if a in arms and t in tasks and c.equivalence_p < ALPHA
    ]
    return (
        f"Equivalent to {m.evidence.study.reference} within ±{percent(margin)} points (two one-sided t-tests, "
        f"Holm-adjusted p < .05): {listing(equal) if equal else 'none'}."
    )


def ranking_note(m: Measurements, arms: Sequence[str], tasks: Collection[str]) -> str:
    """Meaning of bold and underlined values, and the tasks that are not ranked."""
    mixed = tuple(t for t in tasks if not m.same_test(arms, t))
    ranked = (
        "Bold: best, underlined: second, by task, ranked on unrounded means; ties at the precision shown share a rank."
    )
    unranked = f"Not ranked on the {tasks_text(mixed)} task: the arms are tested on different subjects."
    return ranked if not mixed else unranked if len(mixed) == len(tasks) else f"{ranked} {unranked}"


def versions_note(evidence: Evidence) -> str:
    """Version of the program, and records from which the numbers are computed."""
    finished = evidence.trials[evidence.trials["status"] == "finished"]

    def named(column: str) -> str:
        found = sorted({str(v)[:12] for v in finished[column].dropna().unique()})
        return ", ".join(found[:4]) + (", …" if len(found) > 4 else "") if found else "unknown"

    return (
        f"Study {evidence.study.name}, agrm-study {__version__}; code {named('code_version')}, "
        f"data {named('data_fingerprint')}, split {named('split_fingerprint')}. {SCREENING}"
    )


def same_notes(evidence: Evidence, arms: Iterable[str]) -> tuple[str, ...]:
    """Arms that share the same training runs, and the settings that have no effect on them."""
    arms = set(arms)
    return tuple(f"{SAME} {group.sentence.replace('`', '')}" for group in evidence.same if arms & set(group.arms))


def idle_notes(evidence: Evidence, arms: Iterable[str], tasks: Collection[str]) -> tuple[str, ...]:
    """Note on the arms for which semi-supervision had no effect, or had an effect only after the learning rate had been
    cut."""
    arms, several = set(arms), len(evidence.study.tasks) > 1
    every: tuple[NeverActed | RateCut, ...] = (*evidence.never_acted, *evidence.rate_cuts)
    found = [each for each in every if each.arm in arms and each.task in tasks]
    rest = (f"{len(found) - MOST_NAMED} more such cases are not listed.",) if len(found) > MOST_NAMED else ()
    return (*(each.sentence(several_tasks=several) for each in found[:MOST_NAMED]), *rest)


def gap_notes(
    evidence: Evidence, arms: Iterable[str], tasks: Collection[str], more: Iterable[Finding] = ()
) -> tuple[str, ...]:
    """Notes on shared training runs, ineffective semi-supervision, excluded cells and trials, and marked evidence.

    Args:
        evidence: The evidence of the study.
        arms: Arms of the table.
        tasks: Tasks of the table.
        more: Findings about other parts that are used only in this table.
    """
    arms = set(arms)
    out = [*same_notes(evidence, arms), *idle_notes(evidence, arms, tasks)]
    out += [
        f"Excluded: {c.arm} on the {tasks_text((c.task,))} task, {c.refused}."
        for (a, t), c in evidence.cells.items()
        if a in arms and t in tasks and c.refused
    ]
    mine = [
        f
        for f in (*evidence.problems, *more)
        if (f.arm is None or f.arm in arms) and (f.task is None or f.task in tasks)
    ]
    cells = {(a, t) for (a, t), c in evidence.cells.items() if c.refused}
    mine = [f for f in mine if f.severity == "mark" or f.trial_id is not None or (f.arm, f.task) not in cells]
    return (*out, *findings_notes(mine))


def findings_notes(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Notes on records that are omitted or marked."""
    out = []
    for title, severity in (("Left out", "refuse"), ("Marked", "mark")):
        found = list(dict.fromkeys(str(f) for f in findings if f.severity == severity))
        if found:
            rest = f"; and {len(found) - MOST_FINDINGS} more" if len(found) > MOST_FINDINGS else ""
            out.append(f"{title}: {'; '.join(found[:MOST_FINDINGS])}{rest}.")
    return tuple(out)


def closing_notes(
    m: Measurements, arms: Sequence[str], tasks: Collection[str], cautions: Iterable[str] = ()
) -> tuple[str, ...]:
    """The last notes of a table of means with intervals: replicates, intervals, cautions, gaps and versions."""
    return (
        means_note(m, arms, tasks),
        interval_note(m, tasks),
        *cautions,
        *gap_notes(m.evidence, arms, tasks),
        versions_note(m.evidence),
    )
