"""Formatting of numbers, metric names and lists as text."""

from __future__ import annotations

import math
from collections.abc import Iterable

from agrm_study.statistics.estimators import Interval
from agrm_study.study.tasks import task_words

MISSING = "–"
"""Placeholder for a missing number."""

UNDECIDED = "no comparison meets the criterion (adjusted p < .05), which does not show equality"
"""Note for comparisons without a dagger."""

METRIC_TITLES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_precision": "Precision",
    "macro_recall": "Recall",
    "macro_f1": "F1",
    "average_precision": "PR-AUC",
    "roc_auc": "ROC-AUC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "loss": "Loss",
}
"""Column headings of the metrics."""

METRIC_NAMES = METRIC_TITLES | {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "average_precision": "average precision (PR-AUC)",
    "roc_auc": "area under the ROC curve",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
"""Names of the metrics, for use within a sentence."""


def number(x: float, digits: int = 2) -> str:
    """A plain number with a Unicode minus sign; a dash for NaN; never −0."""
    if not math.isfinite(x):
        return MISSING
    text = f"{abs(x):.{digits}f}"
    return f"−{text}" if x < 0 and float(text) != 0 else text


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction in percent, without the percent sign."""
    return number(100 * fraction, digits)


def mean_std(mean: float, std: float, digits: int = 1) -> str:
    """Mean ± standard deviation of fractions, in percent; the mean alone for a single replicate."""
    if not math.isfinite(mean):
        return MISSING
    return f"{percent(mean, digits)} ± {percent(std, digits)}" if math.isfinite(std) else percent(mean, digits)


def points(difference: float, digits: int = 1) -> str:
    """A difference of fractions in percentage points, always with a sign."""
    if not math.isfinite(difference):
        return MISSING
    text = percent(difference, digits)
    return text if text.startswith("−") else f"+{text}"


def bracket(interval: Interval, digits: int = 1) -> str:
    """An interval of fractions in percent; a dash if undefined."""
    if not interval.defined:
        return MISSING
    return f"[{percent(interval.low, digits)}, {percent(interval.high, digits)}]"


def p_text(p: float) -> str:
    """A p-value with three decimals; never 0, and without a statement of significance."""
    if not math.isfinite(p):
        return MISSING
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.9995 else "1.000"


def tasks_text(tasks: Iterable[str]) -> str:
    """Tasks, for use within a sentence: two-class and three-class."""
    return " and ".join(task_words(t) for t in tasks)


def sentence_case(text: str) -> str:
    """The text with its first letter in upper case and the rest unchanged."""
    return text[:1].upper() + text[1:]


def span(numbers: Iterable[int]) -> str:
    """Range of the given numbers, for use within a sentence: `3 to 5`, `3` if all are equal, `0` for none."""
    known = tuple(numbers) or (0,)
    low, high = min(known), max(known)
    return f"{low}" if low == high else f"{low} to {high}"


def listing(items: list[str] | tuple[str, ...]) -> str:
    """Items, for use within a sentence: a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
