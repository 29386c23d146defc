"""Results of a study: its records as data frames, its tables, figures, comparisons and status."""

from __future__ import annotations

import math
import weakref
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agrm_study.api.notebook_figures import show_figures
from agrm_study.api.result_table import ResultTable
from agrm_study.execution.progress.status import StudyStatus, status
from agrm_study.execution.summary import RunSummary
from agrm_study.records.local_copy import local_copy
from agrm_study.records.reader import Ledger
from agrm_study.report.answer import answer
from agrm_study.report.collect import collect
from agrm_study.report.evidence import Evidence
from agrm_study.report.measure import Measurements
from agrm_study.report.own import NotMade, drawing, made_table, wanted_names
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.spec import METRICS, has_metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Results:
    """Results of a study, read only from its results folder.

    Records are read on first access and cached; `refresh` rereads them. `status` is never cached.

    Args:
        path: Results folder, a local path or a URI.
        allow: Differences between records that are accepted: ``code``, ``data``, ``split``.
        summary: Summary of the run that produced the results.

    Raises:
        InputError: If the folder contains no results.

    Examples:
        >>> results = ags.open_results("results/ablation")
        >>> results
        Results('results/ablation'): ablation, 40 of 40 trials finished
        >>> results.trials[["arm", "task", "seed", "status"]].head(2).shape
        (2, 4)
        >>> frame = results.compare("w/o MTM", "AGRM", metric="macro_f1")
        >>> list(frame["task"])
        ['two_class', 'three_class']
        >>> results.status().finished
        40
    """

    def __init__(
        self,
        path: str | Path,
        *,
        allow: tuple[str, ...] = (),
        summary: RunSummary | None = None,
    ) -> None:
        self.path = path
        self.summary = summary
        self._allow = allow
        self._copies = ExitStack()
        weakref.finalize(self, self._copies.close)
        self._folder = self._copies.enter_context(local_copy(path))
        self._evidence = collect(self._folder, allow=allow)

    def refresh(self) -> None:
        """Read the records again, for example while a study is running."""
        self._copies.close()
        self._folder = self._copies.enter_context(local_copy(self.path))
        self._evidence = collect(self._folder, allow=self._allow)
        for name in ("trials", "epochs", "predictions", "subjects", "_measurements"):
            self.__dict__.pop(name, None)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per recorded trial, including trials of a search (docs/records.md, "trials")."""
        return Ledger(self._folder).trials()

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row per finished trial, epoch, part and network (docs/records.md, "epochs")."""
        return Ledger(self._folder).epochs()

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per finished trial, evaluated window and network; ``logits`` is an array of shape (K,)."""
        return Ledger(self._folder).predictions()

    @cached_property
    def subjects(self) -> pd.DataFrame:
        """One row per subject and part of a split (docs/records.md, "subjects")."""
        return Ledger(self._folder).subjects()

    @cached_property
    def _measurements(self) -> Measurements:
        return self._measure(self._evidence)

    def _measure(self, evidence: Evidence) -> Measurements:
        return Measurements(evidence, families=evidence.study.families, allow=self._allow)

    @property
    def answer(self) -> str:
        """The answer to the study's question: one sentence per task, with the uncertainty."""
        return answer(self._measurements)

    @property
    def problems(self) -> tuple[str, ...]:
        """Descriptions of unusable records, and notes on other records."""
        return tuple(map(str, self._evidence.problems))

    def table(self, name: str) -> ResultTable:
        """A table of the report.

        Args:
            name: Name of the table, as given under ``report.tables`` in a study file (``ablation``).

        Raises:
            InputError: If the table does not exist, or is not available for this study.
        """
        [full] = wanted_names("table", [name], self._evidence.study)
        try:
            return ResultTable(made_table(self._measurements, full))
        except NotMade as reason:
            raise InputError(
                f"the table is not available for this study: {reason}", where=str(self.path), given=name
            ) from None

    def figure(self, name: str) -> Figure:
        """A figure of the report, as a matplotlib figure that can be changed and saved.

        Args:
            name: Name of the figure, as given under ``report.figures`` in a study file (``forest``).

        Raises:
            InputError: If the figure does not exist, or is not available for this study.
        """
        [full] = wanted_names("figure", [name], self._evidence.study)
        try:
            found = drawing(self._measurements, full)
        except NotMade as reason:
            raise InputError(
                f"the figure is not available for this study: {reason}", where=str(self.path), given=name
            ) from None
        show_figures()
        return found.kind.draw(found.info)

    def compare(self, arm: str, reference: str | None = None, *, metric: str | None = None) -> pd.DataFrame:
        """Compare two arms on the test part, one row per task.

        Args:
            arm: Name of the arm.
            reference: Name of the reference arm; by default the study's reference.
            metric: One of the metrics of a study file; by default the study's primary metric.

        Returns:
            A data frame with ``task``, ``arm``, ``reference``, ``metric``, the difference ``delta`` = arm − reference
            of the means over seeds, its interval ``low`` to ``high`` (95 %) and ``p`` over seeds and subjects
            (docs/statistics.md; ``p`` is not corrected for multiple comparisons), Hedges' ``g``, the number of
            ``seeds``, and the shares of the variance ``from_seeds``, ``from_subjects`` and ``from_both`` (their
            interaction). Tasks for which the metric is not defined are omitted.

        Raises:
            InputError: If an arm or the metric does not exist, or the arms cannot be compared (no finished trial, or
                different code, data or split).
        """
        import pandas as pd

        study = self._evidence.study
        names = {a.name: a for a in study.arms}
        against = reference if reference is not None else study.reference
        if against is None:
            raise InputError("the study has no reference: specify one", field="reference", allowed=", ".join(names))
        for field, name in (("arm", arm), ("reference", against)):
            _known(field, name, names)
        if arm == against:
            raise InputError("must be two different arms", field="arm", given=arm)
        wanted = metric or study.primary_metric
        _known("metric", wanted, METRICS)
        m = self._measurements
        if against != study.reference:
            m = self._measure(replace(self._evidence, study=replace(study, reference=against)))
        rows: list[dict[str, Any]] = []
        for task in study.tasks:
            cell = m.cell(arm, task) or m.cell(against, task)
            if cell is not None and not has_metric(cell.definition, wanted):
                continue
            found = m.compared(wanted)[arm, task]
            d = found.difference
            if d is None:
                reason = found.refused or "one of them has no usable test predictions"
                raise InputError(f"{arm} and {against} cannot be compared on {task}: {reason}", where=str(self.path))
            shares = (math.nan,) * 3 if d.components is None else tuple(map(float, d.components.shares))
            rows.append(
                {
                    "task": task, "arm": arm, "reference": against, "metric": wanted, "delta": d.delta,
                    "low": d.interval.low, "high": d.interval.high, "p": d.p, "g": d.g, "seeds": d.n,
                    "from_seeds": shares[0], "from_subjects": shares[1], "from_both": shares[2],
                }
            )  # fmt: skip
        if not rows:
            raise InputError("is not defined on the study's tasks", field="metric", given=wanted)
        return pd.DataFrame(rows)

    def status(self) -> StudyStatus:
        """Current numbers of finished, running, failed and waiting trials, as printed by `agrm-study status --json`."""
        return status(self.path)

    def __repr__(self) -> str:
        asked = len({planned.trial_id for planned in self._evidence.planned})
        name = self._evidence.study.name
        return f"Results({str(self.path)!r}): {name}, {self._evidence.finished} of {asked} trials finished"

    def _repr_html_(self) -> str:
        study = self._evidence.study
        question = f"<p>{escape(study.question)}</p>" if study.question else ""
        return f"<p><b>{escape(repr(self))}</b></p>{question}<p>{escape(self.answer)}</p>"


def open_results(path: str | Path, *, allow: tuple[str, ...] = ()) -> Results:
    """Open the results of a finished or running study.

    Args:
        path: Results folder, a local path or a URI.
        allow: Differences between records that are accepted: ``code``, ``data``, ``split``.

    Raises:
        InputError: If the folder contains no results.

    Examples:
        >>> results = ags.open_results("results/ablation")
        >>> results.table("ablation").to_frame().shape[0]
        10
    """
    return Results(path, allow=allow)


def _known(field: str, name: str, known: Any) -> None:
    if name not in known:
        raise InputError(
            "does not exist", field=field, given=name, allowed=", ".join(known), hint=did_you_mean(name, known)
        )
