"""Report page of a study: one self-contained HTML file that needs no network access."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agrm_study import __version__
from agrm_study.report.answer import sentences
from agrm_study.report.main_table import details
from agrm_study.report.measure import Measurements
from agrm_study.report.notes import SCREENING, idle_notes, same_notes
from agrm_study.report.renderers import html as html_table
from agrm_study.report.table import Table
from agrm_study.report.trial_list import trial_list

MAX_WARNINGS = 8
MAGNIFIED = 1.75
"""Pixels per point of a figure, whose font sizes are chosen for print."""
STRETCHED = 1.4
"""Maximum magnification of a figure that is alone in its row."""

_STYLE = """
:root { color-scheme: light; --ink: #1c1f23; --soft: #5b6169; --rule: #dcdfe3; --blue: #0072b2; --red: #d55e00; }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink); background: #fff;
  margin: 0 auto; max-width: 110rem; padding: 2rem 1.5rem 3rem; overflow-wrap: break-word; }
header { border-bottom: 1px solid var(--rule); padding-bottom: 1.1rem; }
header .kind { color: var(--soft); font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; margin: 0; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: .15rem 0 .8rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .2rem; padding-top: .4rem; }
.answer { border-left: 4px solid var(--blue); padding: .6rem 1.1rem; background: #f1f7fb; }
.answer p { margin: .35rem 0; }
.warning { border-left: 4px solid var(--red); padding: .45rem 1.1rem; background: #fdf3ec; }
nav { position: sticky; top: 0; background: #fffffff2; padding: .55rem 0; border-bottom: 1px solid var(--rule);
  font-size: .9rem; z-index: 1; }
nav a { color: var(--blue); text-decoration: none; margin-right: 1.3rem; white-space: nowrap; }
nav a:hover { text-decoration: underline; }
h2, figure { scroll-margin-top: 3rem; }
figure { margin: 1.5rem 0 2.1rem; } figcaption { font-size: .95rem; margin-bottom: .5rem; }
figure.table figcaption { font-weight: 600; }
.partial { color: #fff; background: var(--red); border-radius: 3px; font-size: .72rem; font-weight: 600;
  padding: .1rem .4rem; margin-right: .35rem; vertical-align: .08em; }
figure.picture figcaption { margin-top: .5rem; color: var(--soft); font-size: .88rem; }
.figures { display: flex; flex-wrap: wrap; gap: 0 2.5rem; align-items: flex-start; }
figure.picture { min-width: 0; } figure.picture img { width: 100%; }
.scroll { overflow-x: auto; background: linear-gradient(to right, #fff 30%, #fff0) left / 3rem 100% local no-repeat,
  linear-gradient(to left, #fff 30%, #fff0) right / 3rem 100% local no-repeat,
  linear-gradient(to right, #1c1f2338, #1c1f2300) left / .9rem 100% scroll no-repeat,
  linear-gradient(to left, #1c1f2338, #1c1f2300) right / .9rem 100% scroll no-repeat; }
.scroll::-webkit-scrollbar { height: .6rem; background: #eef0f2; border-radius: .3rem; }
.scroll::-webkit-scrollbar-thumb { background: #a3a9b0; border-radius: .3rem; }
.scroll:focus-visible { outline: 2px solid var(--blue); }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
table.wide, #trials { min-width: 100%; }
thead th { border-top: 2px solid var(--ink); border-bottom: 1px solid var(--ink); vertical-align: bottom; }
tbody tr:last-child td { border-bottom: 2px solid var(--ink); }
tbody tr:hover td { background: #f6f8fa; }
th, td { padding: .24rem .5rem; white-space: nowrap; text-align: left; } sup { line-height: 0; font-size: .72em; }
td.right, th.right { text-align: right; } td.center, th.center { text-align: center; }
tr.block th { font-style: italic; font-weight: normal; border-top: 1px solid var(--rule); padding-top: .5rem; }
.notes { margin-top: .45rem; columns: 34rem; column-gap: 2.5rem; } .notes p { break-inside: avoid; }
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
@media (max-width: 40rem) {
  body { padding: 1.2rem .9rem 2rem; } h1 { font-size: 1.4rem; } .answer, .warning { padding: .45rem .75rem; }
  .scroll th:first-child, .scroll td:first-child { white-space: normal; min-width: 6.5rem; max-width: 40vw; }
}
@media print { nav { display: none; } figure { break-inside: avoid; } .scroll { overflow: visible; } }
"""

_SCRIPT = """
document.querySelectorAll('#trials th button').forEach((button) => button.addEventListener('click', () => {
  const th = button.closest('th'), body = document.querySelector('#trials tbody');
  const column = [...th.parentNode.children].indexOf(th);
  const up = th.getAttribute('aria-sort') !== 'ascending';
  document.querySelectorAll('#trials th').forEach((other) => other.removeAttribute('aria-sort'));
  th.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const rows = [...body.rows].map((row) => [row.cells[column].dataset.value ?? row.cells[column].textContent, row]);
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
    """A figure as displayed on the page."""

    name: str
    caption: str
    svg: bytes


def render(m: Measurements, tables: Mapping[str, Table], pictures: Sequence[Picture], skipped: Sequence[str]) -> str:
    """Render the page with question, answer, tables, figures, trials and provenance; all user input is escaped."""
    e = m.evidence
    name, text = html.escape(e.study.name), html.escape
    warnings = [f"{e.partial}."] if e.partial else []
    names = [a.name for a in e.study.arms]
    warnings += [*same_notes(e, names), *idle_notes(e, names, e.study.tasks)]
    warnings += [str(p) for p in e.problems]
    later = details(tables)
    provenance = text(json.dumps(e.provenance, indent=2, ensure_ascii=False)) if e.provenance else ""
    sections = {
        "Results": [html_table.render(t) for n, t in tables.items() if n not in later],
        "Figures": ['<div class="figures">', *(_picture(p) for p in pictures), "</div>"] if pictures else [],
        "Details": [
            *(html_table.render(t) for n, t in tables.items() if n in later),
            *(f'<p class="skipped">Not created: {text(s)}.</p>' for s in skipped),
        ],
        "Trials": [trial_list(m)],
        "Provenance": [f"<pre tabindex='0'>{provenance}</pre>"] if provenance else [],
    }
    sections = {title: content for title, content in sections.items() if any(content)}
    links = "".join(f'<a href="#{_anchor(title)}">{title}</a>' for title in sections)
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
            [f'<p class="warning">{len(warnings) - MAX_WARNINGS} more warnings: see the table of failures.</p>']
            if len(warnings) > MAX_WARNINGS
            else []
        ),
        "</header>",
        f"<nav>{links}</nav>" if links else "",
        *(_section(title, content) for title, content in sections.items()),
        f"<footer>{text(SCREENING)} Generated by agrm-study {__version__} from the records of this study only."
        "</footer>",
        f"<script>{_SCRIPT}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _section(title: str, content: Sequence[str]) -> str:
    return "\n".join([f'<h2 id="{_anchor(title)}">{title}</h2>', *content])


def _anchor(title: str) -> str:
    """Id of a section, distinct from the id ``trials`` of the trial table."""
    return "all-trials" if title == "Trials" else title.lower()


def _picture(p: Picture) -> str:
    data = base64.b64encode(p.svg).decode("ascii")
    caption = html.escape(p.caption)
    alt = html.escape(p.caption, quote=True)
    name = html.escape(p.name, quote=True)
    points = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', p.svg)
    pixels = MAGNIFIED * float(points[1]) if points else 0.0
    most = f"min(100%, {STRETCHED * pixels:.0f}px)"
    style = f' style="flex: 1 1 {pixels:.0f}px; max-width: {most}"' if points else ""
    return (
        f'<figure class="picture" id="figure-{name}"{style}><img alt="{alt}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
