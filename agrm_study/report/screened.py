"""Tasks with a positive class, for tables and figures on screening."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agrm_study.report.cells import Cell
from agrm_study.report.measure import Measurements
from agrm_study.report.study_info import StudyInfo
from agrm_study.report.table import Column, Entry, Row, words
from agrm_study.report.wording import listing, tasks_text
from agrm_study.study.tasks import Task, class_words, task_title, task_words

NEEDS_POSITIVE = "no task of the study has a positive class"


def screened(study: StudyInfo) -> tuple[Task, ...]:
    """The tasks with a positive class, in the order of the study."""
    return tuple(task for task in study.tasks.values() if task.positive is not None)


def names(tasks: Iterable[Task]) -> tuple[str, ...]:
    """Names of the tasks."""
    return tuple(task.name for task in tasks)


def task_columns(tasks: Sequence[Task]) -> tuple[Column, ...]:
    """The hidden column with the task, if there are several tasks."""
    return (Column(key="task", title="Task", shown=False),) if len(tasks) > 1 else ()


def task_row(tasks: Sequence[Task], task: Task, entries: Iterable[Entry], *, first: bool) -> Row:
    """A row of a task; with several tasks, the first row has a heading and all rows contain their task in the hidden
    column."""
    if len(tasks) == 1:
        return Row(entries=tuple(entries))
    title = task_title(task.name)
    return Row(entries=(words(title), *entries), heading=title if first else None)


def positive_words(task: Task) -> str:
    """The positive class, for use within a sentence."""
    return class_words(task.classes[1])


def pairs(tasks: Sequence[Task]) -> str:
    """The positive and the negative class of each task, for use within a sentence: `abnormal from normal`."""
    return listing([f"{class_words(task.classes[1])} from {class_words(task.classes[0])}" for task in tasks])


def what_is_positive(tasks: Sequence[Task]) -> str:
    """Clause on the positive classes: `abnormal is positive`, `abnormal and ill are positive`."""
    return f"{listing([positive_words(task) for task in tasks])} {'is' if len(tasks) == 1 else 'are'} positive"


def screened_cells(m: Measurements, arms: Iterable[str]) -> list[tuple[Task, str, Cell]]:
    """The cells of the tasks with a positive class, task by task, in the order of the arms."""
    found = [(task, arm, m.cell(arm, task.name)) for task in screened(m.evidence.study) for arm in arms]
    return [(task, arm, cell) for task, arm, cell in found if cell is not None]


def panel_titles(cells: Sequence[tuple[Task, str, Cell]]) -> list[str]:
    """Panel title of each cell: the arm, and the task if there are several."""
    several = len({task.name for task, _, _ in cells}) > 1
    return [f"{arm} ({task_words(task.name)})" if several else arm for task, arm, _ in cells]


def tasks_and_subjects(cells: Sequence[tuple[Task, str, Cell]]) -> str:
    """The tasks of the given cells and the numbers of their test subjects, for use within a sentence."""
    subjects = {task.name: cell.n_subjects for task, _, cell in reversed(cells)}
    named = list(dict.fromkeys(task.name for task, _, _ in cells))
    counts = listing([str(n) for n in dict.fromkeys(subjects[name] for name in named)])
    return f"{tasks_text(named)} task{'s' * (len(named) > 1)} on N = {counts} test subjects"


def positives_of(cells: Sequence[tuple[Task, str, Cell]]) -> str:
    """`what_is_positive` for the tasks of the given cells."""
    return what_is_positive(list(dict.fromkeys(task for task, _, _ in cells)))
