r"""Numbers of a study for a manuscript: ``numbers.tex``, which defines one value for each ``\agrm{key}``.

A key is ``study.arm.task.metric.statistic`` in ASCII, for example ``demo.agrm.three-class.macro-f1.mean``. The values
are formatted as in the tables, in percent or percentage points. The macro is expandable, so that it works in titles and
captions, and an unknown key is a LaTeX error.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agrm_study.report.external import external_results
from agrm_study.report.measure import TABLE_METRICS, Compared, Measured, Measurements
from agrm_study.report.renderers.latex import escape
from agrm_study.report.tables.comparing import MAX_ARMS, seeds_marks
from agrm_study.report.wording import MISSING, number, p_text, percent, points
from agrm_study.study.spec import has_metric

FILE: Final = "numbers.tex"
"""Name of the file in the results folder."""
TWO_CLASS_METRICS: Final = ("sensitivity", "specificity", "ppv", "npv", "roc_auc", "average_precision")

_MACRO: Final = r"""% Numbers of the study {study} by key: \input this file once, then write \agrm{{key}} anywhere.
% Written from the records; `agrm-study verify` compares it with them. Do not edit.
\providecommand*\agrm[1]{{\ifcsname agrm@#1\endcsname\csname agrm@#1\endcsname\else\agrmUnknownNumber{{#1}}\fi}}
\providecommand*\agrmdefine[2]{{\def\agrmvalue{{#2}}\ifcsname agrm@#1\endcsname
  \expandafter\ifx\csname agrm@#1\endcsname\agrmvalue\else\errmessage{{Two studies define the number #1}}\fi
  \else\expandafter\gdef\csname agrm@#1\endcsname{{#2}}\fi}}
"""


def numbers(m: Measurements) -> dict[str, str]:
    r"""Every number of a study for a manuscript, as LaTeX by key, marked k/n if only k of n planned seeds are present.

    A number that is missing, excluded or undefined has no key, so that a manuscript that uses it does not compile.
    """
    study = m.evidence.study
    arms = [a.name for a in study.arms][:MAX_ARMS]
    names = _segments([a.name for a in study.arms])
    first = segment(study.name)
    found = {
        f"{first}.trials.planned": f"{len({p.trial_id for p in m.evidence.planned}):,}",
        f"{first}.trials.finished": f"{m.evidence.finished:,}",
    }
    for task in study.tasks:
        there = [c for a in arms if (c := m.cell(a, task)) is not None]
        for cell in there:
            key = f"{first}.{names[cell.arm]}.{segment(task)}"
            found[f"{key}.seeds"] = f"{len(cell.seeds):,}"
            found[f"{key}.subjects"] = f"{cell.n_subjects:,}"
            metrics = dict.fromkeys((*TABLE_METRICS, study.primary_metric, *TWO_CLASS_METRICS))
            for metric in metrics:
                if not has_metric(cell.definition, metric):
                    continue
                x = m.metric(cell.arm, task, metric)
                if x is not None:
                    values = _of_metric(x)
                    found |= _marked(f"{key}.{segment(metric)}", values, cell.marks)
        for arm in arms:
            compared = m.compared().get((arm, task))
            if compared is not None and compared.difference is not None:
                key = f"{first}.{names[arm]}.{segment(task)}.{segment(study.primary_metric)}"
                planned = m.evidence.cells[arm, task].planned
                found |= _marked(key, _of_difference(compared), seeds_marks(compared.difference.n, planned))
    return found | _external(m, first, names)


def _external(m: Measurements, first: str, names: Mapping[str, str]) -> dict[str, str]:
    """Numbers on external sets: metrics, and the change in the primary metric from the internal test part."""
    primary, found = m.evidence.study.primary_metric, {}
    sets = _segments([each.about.name for each in m.external])
    for each in m.external:
        for result in external_results(m, each):
            if result.arm not in names:
                continue
            key = f"{first}.{names[result.arm]}.{segment(result.task)}.{sets[each.about.name]}"
            found[f"{key}.subjects"] = f"{result.cell.n_subjects:,}"
            for metric in dict.fromkeys(("accuracy", "macro_f1", primary)):
                if (x := result.metric(metric)) is not None:
                    found |= _marked(f"{key}.{segment(metric)}", _of_metric(x), result.cell.marks)
            if (change := result.change) is not None:
                values = {
                    "change": points(change.delta),
                    "change-low": percent(change.interval.low),
                    "change-high": percent(change.interval.high),
                }
                marks = seeds_marks(change.n, result.planned)
                found |= _marked(f"{key}.{segment(primary)}", values, marks)
    return found


def render(study: str, found: Mapping[str, str]) -> str:
    """The file ``numbers.tex`` of a study."""
    lines = [rf"\agrmdefine{{{key}}}{{{value}}}" for key, value in found.items()]
    return _MACRO.format(study=segment(study)) + "\n".join(lines) + "\n"


def parse(text: str) -> dict[str, str]:
    """The values of a file ``numbers.tex``, as LaTeX by key."""
    return dict(re.findall(r"^\\agrmdefine\{([^{}]*)\}\{(.*)\}\s*$", text, flags=re.MULTILINE))


def segment(name: str) -> str:
    """A name as one segment of a key: lower-case ASCII letters, digits and hyphens.

    Accents are removed and Greek letters are spelled out (``τ=0.9`` becomes ``tau-0-9``).
    """
    spelled = "".join(_spelled(c) for c in unicodedata.normalize("NFKD", name))
    return re.sub(r"[^a-z0-9]+", "-", spelled.lower()).strip("-") or f"x{_hash(name)}"


def _spelled(c: str) -> str:
    named = unicodedata.name(c, "")
    if named.startswith("GREEK ") and " LETTER " in named:
        return named.split(" LETTER ")[1].split()[0]
    return c if c.isascii() else "-" if not unicodedata.combining(c) else ""


def _segments(names: Sequence[str]) -> dict[str, str]:
    """A segment for each name; names with equal segments are distinguished by the first digits of their hash."""
    plain = [segment(name) for name in names]
    return {n: s if plain.count(s) == 1 else f"{s}-{_hash(n)}" for n, s in zip(names, plain, strict=True)}


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:4]


def _of_metric(x: Measured) -> dict[str, str]:
    found = {"mean": percent(x.summary.mean), "std": percent(x.summary.std)}
    if x.interval.defined:
        found |= {"low": percent(x.interval.low), "high": percent(x.interval.high)}
    return found


def _of_difference(c: Compared) -> dict[str, str]:
    d = c.difference
    if d is None:
        return {}
    found = {"delta": points(d.delta), "p": p_text(c.adjusted_p), "hedges-g": number(d.g)}
    if d.interval.defined:
        found |= {"delta-low": percent(d.interval.low), "delta-high": percent(d.interval.high)}
    return found


def _marked(key: str, values: Mapping[str, str], marks: Iterable[str]) -> dict[str, str]:
    raised = "".join(rf"\textsuperscript{{{escape(mark)}}}" for mark in marks)
    return {f"{key}.{name}": escape(value) + raised for name, value in values.items() if value != MISSING}
