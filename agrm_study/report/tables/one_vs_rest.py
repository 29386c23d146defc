"""Table of areas under the ROC and precision–recall curves of each class against all others."""

from __future__ import annotations

from typing import ClassVar, Final

from agrm_study.report import notes
from agrm_study.report.cells import Cell
from agrm_study.report.measure import Measured, Measurements, measured
from agrm_study.report.table import Column, Entry, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry, estimate_entry, shown_arms, task_blocks
from agrm_study.report.wording import METRIC_TITLES
from agrm_study.statistics.influence import FEWEST_OF_CLASS, RANKING_INFLUENCE
from agrm_study.statistics.ranking import RANKING, at_each_seed
from agrm_study.study.tasks import MIN_CLASSES, Task, class_title

AREAS: Final = ("roc_auc", "average_precision")


def several_classes(m: Measurements) -> tuple[Task, ...]:
    """The tasks of the study with more than two classes."""
    return tuple(task for task in m.evidence.study.tasks.values() if task.n_classes > MIN_CLASSES)


def area(cell: Cell, k: int, metric: str) -> Measured:
    """An area under a curve of class ``k`` against all others."""
    positive_N, scores_SN = cell.labels_N == k, cell.probs_SNK[:, :, k]
    values_S = at_each_seed(RANKING[metric], positive_N, scores_SN)
    influence_SN = RANKING_INFLUENCE[metric](positive_N, scores_SN)
    return measured(cell.scored(values_S, influence_SN))


class OneVsRest(TableKind):
    """Areas under the curves of each class against the others, for tasks with more than two classes."""

    name: ClassVar[str] = "one_vs_rest"
    question: ClassVar[str] = "How well do the scores separate each class from all others?"

    def unfit(self, m: Measurements) -> str | None:
        return None if several_classes(m) else "no task of the study has more than two classes"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        tasks = several_classes(m)
        asked = [task.name for task in tasks]
        arms, rest = shown_arms(m, [a.name for a in study.arms])
        rows: list[tuple[str, list[Entry]]] = []
        for task in tasks:
            for arm in arms:
                cell = m.cell(arm, task.name)
                if cell is None:
                    continue
                for k, label in enumerate(cell.classes):
                    entries = [
                        words(task.name),
                        arm_entry(m.evidence, arm),
                        words(class_title(label)),
                        whole(int(cell.counts.support[:, k].max())),
                        *(estimate_entry(area(cell, k, metric), cell.marks) for metric in AREAS),
                    ]
                    rows.append((task.name, entries))
        return Table(
            name=self.name,
            caption="Separation of each class from all others by its probability; test part.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="class", title="Class", align="left"),
                Column(key="subjects", title="N"),
                *(Column(key=metric, title=f"{METRIC_TITLES[metric]} [95% CI]") for metric in AREAS),
            ),
            rows=task_blocks(asked, rows),
            notes=(
                "ROC-AUC: area under the ROC curve. PR-AUC: average precision without interpolation; its chance level "
                f"is the share of the class. A class with fewer than {FEWEST_OF_CLASS} test subjects has no interval.",
                *notes.closing_notes(m, arms, asked, rest),
            ),
            partial=m.evidence.partial,
        )
