"""Checks of a study's tasks against the labels of its data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agrm_study.execution.data.prepared import source_key, split_key
from agrm_study.study.errors import InputError, raise_together
from agrm_study.study.problems import Place, Places
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Study
from agrm_study.study.tasks import BUILT_IN, Task
from agrm_study.training.data.classes import ignored_labels, labels_text, missing_classes, unknown_labels
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import Split

MORE_SUBJECTS = (
    "Label more subjects of the class, merge classes (`tasks`), give the part a larger share (data.split), or use "
    "a different split_seed."
)
OTHER_SITES = (
    "A fold lacks a class if all its sites lack it: use fewer folds so that each has several sites, give small "
    "sites a common name in the column `site`, or merge classes (`tasks`)."
)


def check_tasks(
    study: Study, recipes: Iterable[Recipe], manifests: Mapping[str, Manifest], splits: Mapping[str, Split]
) -> tuple[str, ...]:
    """Check that the data contain the labels and the classes of every task.

    Args:
        manifests: Manifests by `source_key`.
        splits: Splits by `split_key`.

    Returns:
        Notes on subjects that a task ignores, one sentence each.

    Raises:
        InputError: If a label of a task is not in the manifest, or a part of a split has no subject of a class; all
            such problems are reported together.
    """
    problems: dict[str, InputError] = {}
    notes: dict[str, None] = {}
    pairs = {(source_key(recipe.data), split_key(recipe)): recipe.data for recipe in recipes}
    for (source, key), data in pairs.items():
        manifest, split = manifests[source], splits[key]
        hint = OTHER_SITES if data.folds and data.fold_group == "site" else MORE_SUBJECTS
        for task in study.tasks.values():
            found = _unknown(study, task, manifest) or _missing(study, task, manifest, split, hint)
            problems.update((str(problem), problem) for problem in found)
            if note := ignored_labels(manifest, split, task):
                notes[note] = None
    raise_together(list(problems.values()))
    return tuple(notes)


def _unknown(study: Study, task: Task, manifest: Manifest) -> list[InputError]:
    if task.name in BUILT_IN:
        return []  # its classes are checked instead; data may lack some of the labels of a class
    known = labels_text({clip.label for clip in manifest.labelled if clip.label is not None})
    return [
        _problem(
            study,
            ("tasks", task.name, "classes", name),
            f"the label {label} is not in the manifest {manifest.path.name}",
            allowed=known or "none: the manifest has no labels",
            hint=hint,
        )
        for name, label, hint in unknown_labels(manifest, task)
    ]


def _missing(study: Study, task: Task, manifest: Manifest, split: Split, hint: str) -> list[InputError]:
    rule = missing_classes(split, manifest, task)
    if rule is None:
        return []
    known = {clip.label for clip in manifest.labelled if clip.label is not None}
    if any(known.isdisjoint(labels) for labels in task.labels):
        hint = f"A class has no subjects. Define `tasks` with labels of the manifest: {labels_text(known)}."
    return [_problem(study, ("tasks", task.name), rule, hint=hint)]


def _problem(study: Study, path: tuple[str, ...], rule: str, **more: str | None) -> InputError:
    """An error with the location of an entry of `tasks` in the study file."""
    places = Places(study.task_places.get(("tasks",), Place(study.path)), dict(study.task_places))
    place = places.find(path)
    return InputError(rule, where=place.where, line=place.line, field=".".join(path), **more)
