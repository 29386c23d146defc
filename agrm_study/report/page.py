"""How does a reader see a whole study at once? One self-contained HTML page that asks nothing of the network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from agrm_study.report.answer import answer
from agrm_study.report.measure import Measurements
from agrm_study.report.notes import SCREENING
from agrm_study.report.renderers import html as html_table
from agrm_study.report.table import Table

MAX_TRIALS = 3000
"""Rows of the trials table; failed ones come first, CSV and records have all."""

TRIAL_COLUMNS = {
    "arm": "Arm",
    "task": "Task",
    "seed": "Seed",
    "phase": "Phase",
    "status": "Status",
    "failure": "Failure",
    "error": "Error",
    "best_epoch": "Best epoch",
    "epochs": "Epochs",
    "wall_s": "Seconds",
    "device": "Device",
    "host": "Host",
    "attempt": "Attempt",
    "code_version": "Code",
    "trial_id": "Trial",
}

_STYLE = """
:root { color-scheme: light; --ink: #1a1a1a; --soft: #5c5c5c; --rule: #d9d9d9; --blue: #0072b2; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); margin: 0 auto; max-width: 70rem; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
.question { font-size: 1.1rem; color: var(--soft); margin: 0 0 1rem; }
.answer { border-left: 4px solid var(--blue); padding: .4rem 1rem; background: #f3f8fb; }
.warning { border-left: 4px solid #d55e00; padding: .4rem 1rem; background: #fdf3ec; }
figure { margin: 1.4rem 0; } figcaption { font-size: .92rem; margin-bottom: .5rem; }
figure.picture figcaption { margin-top: .5rem; color: var(--soft); }
figure.table, .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
thead th { border-top: 2px solid var(--ink); border-bottom: 1px solid var(--ink); }
tbody tr:last-child td { border-bottom: 2px solid var(--ink); }
th, td { padding: .22rem .6rem; white-space: nowrap; text-align: left; }
td.right, th.right { text-align: right; } td.center, th.center { text-align: center; }
tr.block th { font-style: italic; font-weight: normal; border-top: 1px solid var(--rule); }
.notes p { font-size: .78rem; color: var(--soft); margin: .2rem 0; }
img { max-width: 100%; height: auto; }
#trials th button { all: unset; cursor: pointer; } #trials th button:focus-visible { outline: 2px solid var(--blue); }
#trials td { white-space: normal; max-width: 26rem; } #trials tr.failed td { background: #fdf3ec; }
pre { font-size: .78rem; overflow-x: auto; background: #f6f6f6; padding: .8rem; }
nav a { margin-right: 1rem; } footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
"""

_SCRIPT = """
document.querySelectorAll('#trials th button').forEach((button) => button.addEventListener('click', () => {
  const th = button.closest('th'), body = document.querySelector('#trials tbody');
  const column = [...th.parentNode.children].indexOf(th);
  const up = th.getAttribute('aria-sort') !== 'ascending';
  document.querySelectorAll('#trials th').forEach((other) => other.removeAttribute('aria-sort'));
  th.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const value = (row) => row.children[column].textContent;
  const numeric = (a) => a !== '' && !isNaN(a);
  [...body.rows].sort((a, b) => {
    const x = value(a), y = value(b);
    const order = numeric(x) && numeric(y) ? x - y : x.localeCompare(y);
    return up ? order : -order;
  }).forEach((row) => body.appendChild(row));
}));
"""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as it stands on the page."""

    name: str
    caption: str
    svg: bytes


def render(m: Measurements, tables: Mapping[str, Table], pictures: Sequence[Picture], skipped: Sequence[str]) -> str:
    """The page: question, answer, tables, figures, trials, provenance; everything that a user wrote is escaped."""
    e = m.evidence
    name, text = html.escape(e.study.name), html.escape
    warnings = [e.partial] if e.partial else []
    warnings += [str(p) for p in e.problems]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">",
        f"<title>{name} – agrm-study</title><style>{_STYLE}</style></head><body>",
        f'<h1>{name}</h1><p class="question">{text(e.study.question)}</p>',
        f'<p class="answer">{text(answer(m))}</p>',
        *(f'<p class="warning">{text(w)}</p>' for w in warnings),
        '<nav><a href="#tables">Tables</a><a href="#figures">Figures</a><a href="#all-trials">Trials</a>'
        '<a href="#provenance">Provenance</a></nav>',
        '<h2 id="tables">Tables</h2>',
        *(html_table.render(t) for t in tables.values()),
        '<h2 id="figures">Figures</h2>',
        *(_picture(p) for p in pictures),
        *(f"<p><small>{text(s)}</small></p>" for s in skipped),
        '<h2 id="all-trials">Trials</h2>',
        _trials(pd.concat([e.trials, e.searched]) if len(e.searched) else e.trials),
        '<h2 id="provenance">Provenance</h2>',
        f"<pre>{text(json.dumps(e.provenance, indent=2, ensure_ascii=False)) or 'none'}</pre>",
        f"<footer>{text(SCREENING)}</footer>",
        f"<script>{_SCRIPT}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _picture(p: Picture) -> str:
    data = base64.b64encode(p.svg).decode("ascii")
    caption = html.escape(p.caption)
    alt = html.escape(p.caption, quote=True)
    name = html.escape(p.name, quote=True)
    return (
        f'<figure class="picture" id="figure-{name}"><img alt="{alt}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _trials(trials: pd.DataFrame) -> str:
    ordered = trials.sort_values(["status", "arm", "task", "seed"], kind="stable")
    shown = ordered.head(MAX_TRIALS)
    head = "".join(f'<th scope="col"><button type="button">{t}</button></th>' for t in TRIAL_COLUMNS.values())
    rows = []
    for record in shown[list(TRIAL_COLUMNS)].to_dict("records"):
        cells = "".join(f"<td>{html.escape(_text(record[c]))}</td>" for c in TRIAL_COLUMNS)
        rows.append(f'<tr class="{html.escape(str(record["status"]), quote=True)}">{cells}</tr>')
    rest = f"<p>{len(ordered) - len(shown)} more are in the records.</p>" if len(ordered) > len(shown) else ""
    return (
        f'<div class="scroll"><table id="trials"><thead><tr>{head}</tr></thead><tbody>\n'
        + "\n".join(rows)
        + f"\n</tbody></table></div>{rest}"
    )


def _text(value: object) -> str:
    """A record's value; nothing for null, one decimal for seconds."""
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value == int(value) else f"{value:.1f}"
    return str(value).strip().splitlines()[0] if str(value).strip() else ""
