"""Do the parts of a study fit together?"""

from __future__ import annotations

from collections.abc import Sequence

from agrm_study.study.errors import did_you_mean
from agrm_study.study.merge import check_name
from agrm_study.study.problems import Names, Places, Problems
from agrm_study.study.recipe import Recipe
from agrm_study.study.search_space import Search
from agrm_study.study.seeds import MAX_TRIALS, NEED_ALL_ARMS, RACED_BY, Race
from agrm_study.study.spec import BASE_ARM, METRICS, StudyFile
from agrm_study.study.study import Arm


def check_study(
    spec: StudyFile,
    base: Recipe,
    arms: Sequence[Arm],
    places: Places,
    origins: Places,
    problems: Problems,
    names: Names,
) -> None:
    """Rules that tie keys of a study together."""
    known = [arm.name for arm in arms]
    _check_size(spec, len(arms), places, problems)
    if spec.search is not None:
        _check_search(spec, spec.search, places, problems)
    elif spec.reference is not None and known and spec.reference not in known:
        problems.add(
            places.find(("reference",)),
            "must be the name of an arm",
            field="reference",
            given=spec.reference,
            allowed=", ".join(known[:20]),
            hint=did_you_mean(spec.reference, known),
        )
    if isinstance(spec.seeds, Race):
        _check_race(spec, arms, places, problems)
    with_metric = METRICS[spec.primary_metric]
    if not any(task in with_metric for task in spec.tasks):
        problems.add(
            places.find(("primary_metric",)),
            f"is measured for the task {', '.join(with_metric)} only",
            field="primary_metric",
            given=spec.primary_metric,
            allowed=", ".join(m for m, tasks in METRICS.items() if any(t in tasks for t in spec.tasks)),
        )
    for family, members in spec.report.families.items():
        for member in members:
            if spec.search is None and member not in known:
                problems.add(
                    places.find(("report", "families", family)),
                    "must name arms",
                    field=f"report.families.{family}",
                    given=member,
                    allowed=", ".join(known[:20]),
                    hint=did_you_mean(member, known),
                )
    for field, wanted in (("report.tables", spec.report.tables), ("report.figures", spec.report.figures)):
        for name in wanted if field in names else ():
            check_name(field, name, names[field], places, problems)
    precisions = {arm.recipe.precision for arm in arms} or {base.precision}
    if spec.resources.gpu == 0 and (reduced := sorted(precisions - {"fp32"})):
        problems.add(
            origins.find(("precision",)),
            "needs a GPU, and resources.gpu is 0",
            field="precision",
            given=reduced[0],
            hint="Ask for a GPU, or set precision to fp32.",
        )


def _check_size(spec: StudyFile, arms: int, places: Places, problems: Problems) -> None:
    """Refuse a plan that is too large before it is expanded."""
    seeds = spec.seeds.most if isinstance(spec.seeds, Race) else len(spec.seeds)
    search = 0 if spec.search is None else spec.search.trials
    arms += 0 if spec.search is None else spec.search.promote
    if (trials := search + arms * len(spec.tasks) * seeds) > MAX_TRIALS:
        drawn = f"{search} search trials + " if search else ""
        problems.add(
            places.find(("seeds",)),
            f"the study has {trials} trials ({drawn}{arms} arms × {len(spec.tasks)} tasks × {seeds} seeds), more than "
            f"{MAX_TRIALS}",
            field="seeds",
            hint="Ask for fewer seeds or arms.",
        )


def _check_search(spec: StudyFile, search: Search, places: Places, problems: Problems) -> None:
    if len(spec.tasks) > 1:
        problems.add(
            places.find(("tasks",)),
            "a search has one task: what is best for one need not be for another",
            field="tasks",
            given=list(spec.tasks),
            hint="Make a study of each.",
        )
    if not isinstance(spec.seeds, Race) and search.seed in spec.seeds:
        problems.add(
            places.find(("search", "seed")),
            "must not be one of the study's seeds: the promoted arms need fresh ones",
            field="search.seed",
            given=search.seed,
        )
    if spec.reference not in (None, BASE_ARM):
        problems.add(
            places.find(("reference",)),
            "must be `base` in a search: the base recipe beside the promoted arms",
            field="reference",
            given=spec.reference,
            allowed=BASE_ARM,
        )


def _check_race(spec: StudyFile, arms: Sequence[Arm], places: Places, problems: Problems) -> None:
    """A race drops arms, so nothing that needs all of them at the same seeds may be asked of it."""
    same_for_all = "Give every arm the same seeds, `seeds: 5`."
    if spec.search is not None:
        problems.add(
            places.find(("seeds",)),
            "a search cannot race: its pruner ends bad trials early, and what it promotes is reported at equal seeds",
            field="seeds",
            hint=same_for_all,
        )
    elif len(arms) == 1:
        problems.add(places.find(("seeds",)), "a race needs at least two arms", field="seeds", hint=same_for_all)
    for table in spec.report.tables:
        if table in NEED_ALL_ARMS:
            problems.add(
                places.find(("report", "tables")),
                f"the table {table} cannot be made of a race: {NEED_ALL_ARMS[table]}, and a race drops arms",
                field="seeds",
                hint=same_for_all,
            )
    for family in spec.report.families:
        problems.add(
            places.find(("report", "families", family)),
            f"the family {family!r} cannot be tested in a race: its correction counts every arm in it at the planned "
            "seeds, and a race drops arms for what their seeds have shown",
            field=f"report.families.{family}",
            hint=same_for_all,
        )
    if spec.primary_metric not in RACED_BY:
        problems.add(
            places.find(("primary_metric",)),
            "is not recorded on validation, where a race decides",
            field="primary_metric",
            given=spec.primary_metric,
            allowed=", ".join(RACED_BY),
        )
