"""How does a reader see a whole study at once? One self-contained HTML page that asks nothing of the network."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from agrm_study import __version__
from agrm_study.report.answer import sentences
from agrm_study.report.main_table import details
from agrm_study.report.measure import Measurements
from agrm_study.report.notes import SCREENING, idle_notes, same_notes
from agrm_study.report.renderers import html as html_table
from agrm_study.report.table import Table

MAX_TRIALS = 3000
"""Rows of the trials table; failed ones come first, CSV and records have all."""

MAX_WARNINGS = 8
MAGNIFIED = 1.75
"""Pixels a point of a figure: its type is set for paper."""

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
:root { color-scheme: light; --ink: #1c1f23; --soft: #5b6169; --rule: #dcdfe3; --blue: #0072b2; --red: #d55e00; }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink); background: #fff;
  margin: 0 auto; max-width: 84rem; padding: 2rem 1.5rem 3rem; }
header { border-bottom: 1px solid var(--rule); padding-bottom: 1.1rem; }
header .kind { color: var(--soft); font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; margin: 0; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: .15rem 0 .8rem; max-width: 52rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .2rem; padding-top: .4rem; }
.answer { border-left: 4px solid var(--blue); padding: .6rem 1.1rem; background: #f1f7fb; max-width: 62rem; }
.answer p { margin: .35rem 0; }
.warning { border-left: 4px solid var(--red); padding: .45rem 1.1rem; background: #fdf3ec; max-width: 62rem; }
nav { position: sticky; top: 0; background: #fffffff2; padding: .55rem 0; border-bottom: 1px solid var(--rule);
  font-size: .9rem; z-index: 1; }
nav a { color: var(--blue); text-decoration: none; margin-right: 1.3rem; } nav a:hover { text-decoration: underline; }
h2, figure { scroll-margin-top: 3rem; }
figure { margin: 1.5rem 0 2.1rem; } figcaption { font-size: .95rem; margin-bottom: .5rem; max-width: 62rem; }
figure.table figcaption { font-weight: 600; }
.partial { color: #fff; background: var(--red); border-radius: 3px; font-size: .72rem; font-weight: 600;
  padding: .1rem .4rem; margin-right: .35rem; vertical-align: .08em; }
figure.picture figcaption { margin-top: .5rem; color: var(--soft); font-size: .88rem; }
figure.table, .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
thead th { border-top: 2px solid var(--ink); border-bottom: 1px solid var(--ink); vertical-align: bottom; }
tbody tr:last-child td { border-bottom: 2px solid var(--ink); }
tbody tr:hover td { background: #f6f8fa; }
th, td { padding: .24rem .5rem; white-space: nowrap; text-align: left; } sup { line-height: 0; font-size: .72em; }
td.right, th.right { text-align: right; } td.center, th.center { text-align: center; }
tr.block th { font-style: italic; font-weight: normal; border-top: 1px solid var(--rule); padding-top: .5rem; }
.notes { max-width: 62rem; margin-top: .45rem; }
.notes p, .skipped { font-size: .78rem; color: var(--soft); margin: .15rem 0; }
img { display: block; max-width: 100%; height: auto; }
#trials th button { all: unset; cursor: pointer; } #trials th button:focus-visible { outline: 2px solid var(--blue); }
#trials th button::after { content: " \\2195"; color: #b3b8be; }
#trials th[aria-sort=ascending] button::after { content: " \\2191"; color: var(--blue); }
#trials th[aria-sort=descending] button::after { content: " \\2193"; color: var(--blue); }
#trials td.error { white-space: normal; min-width: 14rem; } #trials tr.failed td { background: #fdf3ec; }
pre { font-size: .78rem; overflow-x: auto; background: #f6f8fa; padding: .8rem; border-radius: 4px; }
footer { margin-top: 3rem; padding-top: .8rem; border-top: 1px solid var(--rule); color: var(--soft);
  font-size: .85rem; }
@media print { nav { display: none; } figure { break-inside: avoid; } .scroll { overflow: visible; } }
"""

_SCRIPT = """
document.querySelectorAll('#trials th button').forEach((button) => button.addEventListener('click', () => {
  const th = button.closest('th'), body = document.querySelector('#trials tbody');
  const column = [...th.parentNode.children].indexOf(th);
  const up = th.getAttribute('aria-sort') !== 'ascending';
  document.querySelectorAll('#trials th').forEach((other) => other.removeAttribute('aria-sort'));
  th.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const rows = [...body.rows].map((row) => [row.cells[column].textContent, row]);
  const numeric = (a) => !isNaN(a);
  rows.sort(([a], [b]) => {
    if (a === '' || b === '') return (a === '') - (b === '');
    const order = numeric(a) && numeric(b) ? a - b : a.localeCompare(b);
    return up ? order : -order;
  });
  body.append(...rows.map(([, row]) => row));
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
    warnings = [f"{e.partial}."] if e.partial else []
    names = [a.name for a in e.study.arms]
    warnings += [*same_notes(e, names), *idle_notes(e, names, e.study.tasks)]
    warnings += [str(p) for p in e.problems]
    later = details(tables)
    every = pd.concat([e.trials, e.searched]) if len(e.searched) else e.trials
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">",
        '<link rel="icon" href="data:image/svg+xml,">',
        f"<title>{name} – agrm-study</title><style>{_STYLE}</style></head><body>",
        f'<header><p class="kind">Study {name}</p><h1>{text(e.study.question) or name}</h1>',
        f'<div class="answer">{"".join(f"<p>{text(s)}</p>" for s in sentences(m))}</div>',
        *(f'<p class="warning">{text(w)}</p>' for w in warnings[:MAX_WARNINGS]),
        *(
            [f'<p class="warning">{len(warnings) - MAX_WARNINGS} more: see the table of failures.</p>']
            if len(warnings) > MAX_WARNINGS
            else []
        ),
        '</header><nav><a href="#results">Results</a><a href="#figures">Figures</a><a href="#details">Details</a>'
        '<a href="#all-trials">Trials</a><a href="#provenance">Provenance</a></nav>',
        '<h2 id="results">Results</h2>',
        *(html_table.render(t) for n, t in tables.items() if n not in later),
        '<h2 id="figures">Figures</h2>',
        *(_picture(p) for p in pictures),
        '<h2 id="details">Details</h2>',
        *(html_table.render(t) for n, t in tables.items() if n in later),
        *(f'<p class="skipped">Not made: {text(s)}.</p>' for s in skipped),
        '<h2 id="all-trials">Trials</h2>',
        _trials(every),
        '<h2 id="provenance">Provenance</h2>',
        f"<pre>{text(json.dumps(e.provenance, indent=2, ensure_ascii=False)) or 'none'}</pre>",
        f"<footer>{text(SCREENING)} Made by agrm-study {__version__} from the records of this study alone.</footer>",
        f"<script>{_SCRIPT}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _picture(p: Picture) -> str:
    data = base64.b64encode(p.svg).decode("ascii")
    caption = html.escape(p.caption)
    alt = html.escape(p.caption, quote=True)
    name = html.escape(p.name, quote=True)
    points = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', p.svg)
    width = f' width="{MAGNIFIED * float(points[1]):.0f}"' if points else ""
    return (
        f'<figure class="picture" id="figure-{name}"><img{width} alt="{alt}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _trials(trials: pd.DataFrame) -> str:
    ordered = trials.sort_values(["status", "arm", "task", "seed"], kind="stable")
    shown = ordered.head(MAX_TRIALS)
    head = "".join(f'<th scope="col"><button type="button">{t}</button></th>' for t in TRIAL_COLUMNS.values())
    rows = []
    for record in shown[list(TRIAL_COLUMNS)].to_dict("records"):
        cells = "".join(
            f"<td{' class=error' if c == 'error' else ''}>{html.escape(_text(record[c]))}</td>" for c in TRIAL_COLUMNS
        )
        rows.append(f'<tr class="{html.escape(str(record["status"]), quote=True)}">{cells}</tr>')
    rest = f"<p>{len(ordered) - len(shown)} more are in the records.</p>" if len(ordered) > len(shown) else ""
    failed = int((trials["status"] == "failed").sum())
    said = f"{len(trials):,} recorded: {len(trials) - failed:,} finished, {failed:,} failed; failed ones come first."
    return (
        f"<p>{said} A click on a heading sorts.</p>"
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
