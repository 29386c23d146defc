"""Table of the calibration on external sets: as trained, with the internal temperature, and re-fitted."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agrm_study.report import notes
from agrm_study.report.calibrated import calibrate, present
from agrm_study.report.cells import Cell
from agrm_study.report.collect_cells import cells_of_part
from agrm_study.report.external import NOTHING, external_results
from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.calibration import plain_entry, spread
from agrm_study.report.tables.comparing import arm_entry, headed, shown_arms
from agrm_study.report.tables.external import heading_of, listing_of
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.calibration import brier, reliability
from agrm_study.statistics.cross_fitted import FOLDS, cross_fitted


class ExternalCalibration(TableKind):
    """Expected calibration error, Brier score, slope and intercept on external sets, before and after re-fitting."""

    name: ClassVar[str] = "external_calibration"
    question: ClassVar[str] = "Are the probabilities calibrated on external data, and does re-fitting help?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.external else NOTHING

    def build(self, m: Measurements) -> Table:
        arms, rest = shown_arms(m, [a.name for a in m.evidence.study.arms])
        validation = cells_of_part(m.evidence, "val", arms=arms)
        rows = []
        for found in m.external:
            for result in external_results(m, found):
                if result.arm not in arms:
                    continue
                cell = result.cell
                c = calibrate(cell, validation.cells.get((result.arm, result.task)))
                ece, score = refitted(cell)
                heading = heading_of(m, found.about.name, result.task)
                entries = (
                    words(found.about.name),
                    words(result.task),
                    arm_entry(m.evidence, result.arm),
                    plain_entry(c.ece, cell.marks),
                    plain_entry(c.ece_after, cell.marks, interval=False),
                    spread(ece, cell.marks),
                    plain_entry(c.brier, cell.marks),
                    plain_entry(c.brier_after, cell.marks, interval=False),
                    spread(score, cell.marks),
                    plain_entry(c.slope, cell.marks, 2, interval=False),
                    plain_entry(c.intercept, cell.marks, 2, interval=False),
                )
                rows.append((heading, entries))
        return Table(
            name=self.name,
            caption=f"{listing_of(m.external)}: calibration as trained, with the temperature of the study's validation "
            "part, and re-fitted on the set by cross-fitting.",
            columns=(
                Column(key="set", title="Set", shown=False),
                Column(key="task", title="Task", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="ece", title="ECE [95% CI]"),
                Column(key="ece_scaled", title="at T"),
                Column(key="ece_refitted", title="re-fitted"),
                Column(key="brier", title="Brier [95% CI]"),
                Column(key="brier_scaled", title="at T"),
                Column(key="brier_refitted", title="re-fitted"),
                Column(key="slope", title="Slope"),
                Column(key="intercept", title="Intercept"),
            ),
            rows=headed(rows),
            notes=(
                "ECE: expected calibration error of the top class, 15 bins. Brier: multi-class, 0 to 2. Slope (1 is "
                "perfect) and intercept (0 is perfect) of the probabilities as trained; two-class only, intervals in "
                "the CSV file. At T: with the temperature fitted on the study's own validation part; no data from "
                "the set are used.",
                f"Re-fitted: {FOLDS}-fold cross-fitting over the subjects of the set, for each seed. Two classes: "
                "logistic recalibration, logit p′ = a + b·logit p; more classes: a temperature. Each subject is "
                "evaluated with a fit on the other subjects: these values show the effect of re-fitting on this number "
                "of labelled subjects of the set, not the performance of the unchanged networks; their uncertainty is "
                f"not reported. Missing if a class has fewer than {FOLDS} subjects, or a fit does not exist. "
                "Fractions, not percent.",
                notes.interval_note(m, m.evidence.study.tasks),
                *rest,
                *(note for found in m.external for note in notes.findings_notes(found.findings)),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )


def refitted(cell: Cell) -> tuple[Floats | None, Floats | None]:
    """ECE and Brier score of each seed after cross-fitted recalibration; None unless it exists for every seed."""
    values = []
    for probs_NK in cell.probs_SNK:
        here = present(probs_NK)
        found = cross_fitted(probs_NK[here], cell.labels_N[here])
        if found is None:
            return None, None
        values.append((reliability(found, cell.labels_N[here]).ece, brier(found, cell.labels_N[here])))
    ece_S, brier_S = np.array(values).T
    return ece_S, brier_S
