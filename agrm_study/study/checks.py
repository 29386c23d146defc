"""Checks that involve several keys of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agrm_study.study.counted import counted
from agrm_study.study.errors import did_you_mean
from agrm_study.study.loading import Loading
from agrm_study.study.merge import check_name
from agrm_study.study.optuna_samplers import NamedSampler, try_sampler
from agrm_study.study.recipe import Recipe
from agrm_study.study.search_space import Search
from agrm_study.study.section import MAX_SEED
from agrm_study.study.seeds import MAX_TRIALS, NEED_ALL_ARMS, RACED_BY, Race
from agrm_study.study.spec import BASE_ARM, METRICS, StudyFile, has_metric
from agrm_study.study.study import Arm
from agrm_study.study.tasks import MIN_CLASSES, Task
from agrm_study.study.translate import Rule

NEED_POSITIVE: Final = {
    "tables": ("screening", "discrimination", "predictive_values"),
    "figures": ("roc", "pr", "decision_curve"),
}
"""Tables and figures that require a task with a positive class."""


def check_study(spec: StudyFile, base: Recipe, arms: Sequence[Arm], loading: Loading) -> None:
    """Report conflicts between individually valid keys of a study."""
    known = [arm.name for arm in arms]
    _check_size(spec, len(arms), loading)
    _check_sampler(spec, loading)
    if spec.search is not None:
        _check_search(spec, spec.search, loading)
    elif spec.reference is not None and known and spec.reference not in known:
        _not_an_arm(("reference",), "must be the name of an arm", spec.reference, known, loading)
    if isinstance(spec.seeds, Race):
        _check_race(spec, arms, loading)
    _check_seed_offsets(spec, arms, loading)
    if not any(has_metric(task, spec.primary_metric) for task in loading.tasks):
        loading.note(
            ("primary_metric",),
            "is defined only for tasks with a positive class; the only such built-in task is two_class",
            given=spec.primary_metric,
            allowed=", ".join(m for m in METRICS if any(has_metric(task, m) for task in loading.tasks)),
            hint=_positive_hint(loading.tasks),
        )
    _check_screening(spec, loading)
    for family, members in spec.report.families.items():
        for member in members if spec.search is None else ():
            if member not in known:
                _not_an_arm(("report", "families", family), "must list arms", member, known, loading)
    for field, wanted in (("report.tables", spec.report.tables), ("report.figures", spec.report.figures)):
        for name in wanted if field in loading.names else ():
            check_name(field, name, loading.names[field], loading.places, loading.problems)
    if base.own_trainer and spec.resources.gpu == "auto":
        loading.note(
            ("resources", "gpu"), "supports `auto` only for the built-in trainer", given="auto", allowed="0, 1 or 1/k"
        )
    precisions = {arm.recipe.precision for arm in arms} or {base.precision}
    if spec.resources.gpu == 0 and (reduced := sorted(precisions - {"fp32", "bf16"})):
        loading.problems.add(
            loading.origins.find(("precision",)),
            "requires a GPU, but resources.gpu is 0",
            field="precision",
            given=reduced[0],
            hint="Request a GPU, or set precision to fp32, or to bf16 on a CPU that supports it.",
        )


def _check_screening(spec: StudyFile, loading: Loading) -> None:
    """Report requested screening tables and figures if a two-class task lacks the positive class that they need."""
    hint = _positive_hint(loading.tasks)
    if hint is None or any(task.positive is not None for task in loading.tasks):
        return
    for kind, wanted in (("tables", spec.report.tables), ("figures", spec.report.figures)):
        for name in wanted:
            if name in NEED_POSITIVE[kind]:
                loading.note(("report", kind), f"{name} requires a task with a positive class", hint=hint)


def _positive_hint(tasks: Sequence[Task]) -> str | None:
    """A hint for the first two-class task without a positive class; None if there is no such task."""
    task = next((task for task in tasks if task.n_classes == MIN_CLASSES and task.positive is None), None)
    return (
        None if task is None else f"Specify the class to detect: `positive: {task.classes[1]}` in the task {task.name}."
    )


def _not_an_arm(path: tuple[str, ...], rule: str, given: str, known: Sequence[str], loading: Loading) -> None:
    loading.note(path, rule, given=given, allowed=", ".join(known[:20]), hint=did_you_mean(given, known))


def _check_size(spec: StudyFile, arms: int, loading: Loading) -> None:
    """Reject a plan that is too large before it is expanded."""
    seeds = spec.seeds.most if isinstance(spec.seeds, Race) else len(spec.seeds)
    search = 0 if spec.search is None else spec.search.trials * spec.search.seeds
    search += 0 if spec.tune is None else spec.tune.trials * spec.tune.seeds * arms * len(spec.tasks)
    arms += 0 if spec.search is None else spec.search.promote
    splits = 1 if spec.splits is None else spec.splits.folds * spec.splits.repeats
    if (trials := search + arms * len(spec.tasks) * seeds * splits) > MAX_TRIALS:
        drawn = f"{counted(search, 'search trial')} + " if search else ""
        loading.note(
            ("seeds",),
            f"the study has {trials} trials ({drawn}{counted(arms, 'arm')} × {counted(len(spec.tasks), 'task')} × "
            f"{counted(seeds, 'seed')}{f' × {splits} folds' if splits > 1 else ''}), more than {MAX_TRIALS}",
            hint="Reduce the number of seeds or arms.",
        )


def _check_seed_offsets(spec: StudyFile, arms: Sequence[Arm], loading: Loading) -> None:
    """Report offsets that make an arm share some seeds with other arms, or that result in seeds that are too large."""
    for position, entry in enumerate(spec.arms or ()):
        path = ("arms", position, "seed_offset")
        if not entry.seed_offset:
            continue
        if isinstance(spec.seeds, Race):
            loading.note(path, "a race compares arms with the same seeds", given=entry.seed_offset)
            continue
        moved = {seed + entry.seed_offset for seed in spec.seeds}
        if max(moved) > MAX_SEED:
            loading.note(path, "results in a seed larger than 2^63 - 1", given=entry.seed_offset)
        offsets = {arm.seed_offset for arm in arms} - {entry.seed_offset} | {0}
        if any(moved & {seed + other for seed in spec.seeds} for other in offsets):
            rule = "must not result in seeds that other arms use: comparisons of an arm with an offset are unpaired"
            loading.note(path, rule, given=entry.seed_offset, hint="Use 1000.")


def _check_sampler(spec: StudyFile, loading: Loading) -> None:
    """Report an Optuna sampler that cannot be used; results of a search can be read without this check."""
    for key, settings in (("search", spec.search), ("tune", spec.tune)):
        if settings is not None and isinstance(settings.sampler, NamedSampler):
            try:
                try_sampler(settings.sampler, settings.directions)
            except Rule as broken:
                loading.note((key,), broken.rule, allowed=broken.allowed, hint=broken.hint)


def _check_search(spec: StudyFile, search: Search, loading: Loading) -> None:
    if len(spec.tasks) > 1:
        rule = "a search has one task: the best settings for one task need not be the best for another"
        loading.note(("tasks",), rule, given=list(spec.tasks), hint="Write one study per task.")
    if not isinstance(spec.seeds, Race) and set(search.training_seeds) & set(spec.seeds):
        rule = "must not be one of the study's seeds: the promoted arms require new seeds"
        loading.note(("search", "seed"), rule, given=search.seed)
    if spec.reference not in (None, BASE_ARM):
        rule = "must be `base` in a search: the base recipe is compared with the promoted arms"
        loading.note(("reference",), rule, given=spec.reference, allowed=BASE_ARM)


def _check_race(spec: StudyFile, arms: Sequence[Arm], loading: Loading) -> None:
    """Report settings that require the same seeds for all arms, which a race does not provide."""
    same_for_all = "Give every arm the same seeds, `seeds: 5`."
    if spec.search is not None:
        rule = (
            "a search cannot use a race: its pruner stops poor trials early, and promoted arms are reported with the "
            "same seeds"
        )
        loading.note(("seeds",), rule, hint=same_for_all)
    elif spec.tune is not None:
        rule = "tuned arms cannot race: a race would use the validation part that selected their settings"
        loading.note(("seeds",), rule, hint=same_for_all)
    elif len(arms) == 1:
        loading.note(("seeds",), "a race requires at least two arms", hint=same_for_all)
    for table in spec.report.tables:
        if table in NEED_ALL_ARMS:
            rule = f"the table {table} is not available for a race: {NEED_ALL_ARMS[table]}, but a race drops arms"
            loading.note(("seeds",), rule, at=("report", "tables"), hint=same_for_all)
    for family in spec.report.families:
        rule = (
            f"the family {family!r} cannot be tested in a race: its correction counts every arm in it with all "
            "planned seeds, but a race drops arms because of their results"
        )
        loading.note(("report", "families", family), rule, hint=same_for_all)
    if spec.primary_metric not in RACED_BY:
        rule = "is not recorded on validation data, which a race uses"
        loading.note(("primary_metric",), rule, given=spec.primary_metric, allowed=", ".join(RACED_BY))
