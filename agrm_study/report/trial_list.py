"""List of trials on the report page: a table that can be sorted by clicking a heading."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from agrm_study.report.facts import VALIDATION, trial_facts
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import METRIC_TITLES

MAX_TRIALS: Final = 3000
"""Maximum number of rows; failed trials come first, and the records contain all trials."""
SCORE: Final = "best validation score"
COLUMNS: Final[Mapping[str, str]] = {
    "trial_id": "Trial",
    "arm": "Arm",
    "task": "Task",
    "seed": "Seed",
    "fold": "Fold",
    SCORE: "Best validation",
    "wall_s": "Duration",
    "status": "Status",
    "best_epoch": "Best epoch",
    "epochs": "Epochs",
    "failure": "Failure",
    "error": "Error",
    "phase": "Phase",
    "device": "Device",
    "host": "Host",
    "attempt": "Attempt",
    "code_version": "Code",
}
"""Headings by column; columns without any value are omitted."""
RIGHT: Final = ("seed", "fold", SCORE, "wall_s", "best_epoch", "epochs", "attempt")


def trial_list(m: Measurements) -> str:
    """HTML of all recorded trials of the study, including search trials; empty if there are none."""
    e = m.evidence
    trials = pd.concat([e.trials, e.searched]) if len(e.searched) else e.trials
    trials = trials.drop_duplicates("trial_id")
    if trials.empty:
        return ""
    metric = e.study.search_metric.removeprefix("val/") if e.study.search_metric else e.study.primary_metric
    metric = metric if metric in VALIDATION else "macro_f1"
    facts = trial_facts(e, trials)
    trials = trials.assign(**{SCORE: trials["trial_id"].map(facts[f"val_{metric}"])})
    ordered = trials.sort_values(["status", "arm", "task", "seed", "split_seed", "fold"], kind="stable")
    records = ordered.head(MAX_TRIALS)[list(COLUMNS)].to_dict("records")
    shown = [c for c in COLUMNS if c in (SCORE, "wall_s") or any(_text(c, record[c]) for record in records)]
    titles = {**COLUMNS, SCORE: f"Best validation {METRIC_TITLES[metric]}"}
    head = "".join(f'<th scope="col"{_side(c)}><button type="button">{titles[c]}</button></th>' for c in shown)
    rows = "\n".join(
        f'<tr class="{html.escape(str(record["status"]), quote=True)}">'
        f"{''.join(_cell(c, record[c]) for c in shown)}</tr>"
        for record in records
    )
    failed = int((trials["status"] == "failed").sum())
    counted = f"{len(trials):,} recorded: {len(trials) - failed:,} finished, {failed:,} failed; failed ones come first."
    rest = (
        f"<p>{len(ordered) - len(records)} more trials are in the records.</p>" if len(ordered) > len(records) else ""
    )
    return (
        f"<p>{counted} Click a heading to sort. Duration: hours, minutes and seconds of training.</p>"
        f'<div class="scroll" tabindex="0"><table id="trials"><thead><tr>{head}</tr></thead><tbody>\n{rows}\n'
        f"</tbody></table></div>{rest}"
    )


def _side(column: str) -> str:
    return ' class="right"' if column in RIGHT else ""


def _cell(column: str, value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    at = f' data-value="{float(value)!r}"' if number else ""
    side = ' class="error"' if column == "error" else _side(column)
    return f"<td{side}{at}>{html.escape(_text(column, value))}</td>"


def _text(column: str, value: Any) -> str:
    """A record's value on one line; empty for null."""
    if value is None or value != value:
        return ""
    if column == "wall_s":
        return f"{int(value) // 3600}:{int(value) % 3600 // 60:02d}:{int(value) % 60:02d}"
    if column == SCORE:
        return f"{value:.3f}"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).strip().splitlines()[0] if str(value).strip() else ""
