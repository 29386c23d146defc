"""Execution of studies from Python, like `agrm-study run` but without its signal handlers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from agrm_study.api.notebook_view import NotebookView, in_notebook
from agrm_study.api.results import Results
from agrm_study.api.studies import load_study
from agrm_study.execution.dispatch.budget import read_limits
from agrm_study.execution.options import RunOptions
from agrm_study.execution.progress.lines import choose_view
from agrm_study.execution.progress.view import View
from agrm_study.execution.progress.wording import replicate_words
from agrm_study.execution.run import run_study
from agrm_study.execution.summary import RunSummary
from agrm_study.report.folders import report_on
from agrm_study.study.errors import InputError
from agrm_study.study.study import Study


class RunWarning(UserWarning):
    """Issued when a run ends with an incomplete study, because trials failed or were held back."""


def run(
    study: Study | str | Path | Mapping[str, Any],
    results: str | Path | None = None,
    *,
    slots: int | None = None,
    address: str | None = None,
    autoscale: bool = False,
    device: Literal["cpu", "cuda"] | None = None,
    retry_failed: bool = False,
    time_limit: str | None = None,
    gpu_hours: float | None = None,
    executor: Literal["ray", "inline"] = "ray",
    join: bool = False,
    report: bool = True,
    progress: bool = True,
) -> Results:
    """Run the missing trials of a study, and write its tables, figures and page.

    Finished trials are not run again. No signal handler is installed in this process: in a notebook, interrupting the
    cell stops the run immediately; the next run resumes its trials from their last checkpoints.

    Args:
        study: A study, or any argument accepted by `load_study`.
        results: Results folder, a path or URI; ``results/<name of the study>`` by default.
        slots: Maximum number of concurrent trials; by default as many as fit.
        address: Address of a Ray cluster; by default, Ray is started on this machine.
        autoscale: Whether the cluster's autoscaler adds nodes for waiting trials; requires ``slots``.
        device: Device for training; by default a GPU if the trial requests one.
        retry_failed: Whether to also run trials that failed deterministically.
        time_limit: Time limit of the run, e.g. ``7h30m``: trials that cannot finish within it are not started, and
            running trials are saved before it is reached.
        gpu_hours: Limit on the total GPU-hours of all runs in the results folder, including failed attempts.
        executor: ``ray``, or ``inline`` to run trials sequentially in this process, for debugging.
        join: Whether to share the study with other runs that join the same results folder; one of them writes the
            report.
        report: Whether to write the tables, figures and page to the results folder.
        progress: Whether to show a progress bar (notebook, terminal) or lines on stderr.

    Returns:
        The results; their `summary` attribute describes this run.

    Raises:
        InputError: If the study, its data, the results folder or the cluster is invalid.
        KeyboardInterrupt: If the run is interrupted; finished trials are kept.

    Warns:
        RunWarning: If the study is incomplete; the message lists the failed trials.

    Examples:
        >>> results = ags.run(study, results="results/ablation")  # doctest: +SKIP
        >>> results.table("ablation")  # doctest: +SKIP
    """
    asked = study if isinstance(study, Study) else load_study(study)
    folder = results if results is not None else Path("results") / asked.name
    options = RunOptions(
        results=folder,
        slots=slots,
        address=address,
        autoscale=autoscale,
        device=device,
        retry_failed=retry_failed,
        limits=read_limits(time_limit, gpu_hours),
        executor=executor,
        join=join,
    )
    summary = run_study(asked, options, view=_view() if progress else View())
    if report and summary.reports and summary.before + summary.finished:
        report_on([folder])
    if summary.interrupted:
        raise KeyboardInterrupt(summary.sentence)
    if summary.error:
        raise InputError(f"the run stopped early: {summary.error}", where=folder, hint=summary.sentence + ".")
    if summary.exit_code:
        warnings.warn(_incomplete(summary), RunWarning, stacklevel=2)
    return Results(folder, summary=summary)


def _view() -> View:
    return NotebookView() if in_notebook() else choose_view(sys.stderr)


def _incomplete(summary: RunSummary) -> str:
    failed = [f"{t.arm}, {t.task}, {replicate_words(t)}: {t.failure}: {t.error.splitlines()[0] if t.error else ''}"
              for t in summary.failed]  # fmt: skip
    return "\n".join([summary.sentence, *summary.messages, *failed])
