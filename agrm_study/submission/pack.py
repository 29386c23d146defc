"""Submission pack: methods, participant flow, tables, figures, checklists and records bundle in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agrm_study.report import numbers
from agrm_study.report.build import FIGURE_FORMATS, make_report, write_file, write_table
from agrm_study.report.collect import collect
from agrm_study.report.figures.base import images, save
from agrm_study.report.measure import Measurements
from agrm_study.report.notes import SCREENING
from agrm_study.report.renderers import RENDERERS, available
from agrm_study.report.renderers.latex import escape
from agrm_study.submission.bundle import opened_bundle, write_bundle
from agrm_study.submission.checklists import CHECKLISTS
from agrm_study.submission.checklists.base import Checklist, answers, as_table
from agrm_study.submission.facts import Facts
from agrm_study.submission.grid import GridCell, GridComparison, compare_prose
from agrm_study.submission.manuscript import verify_manuscript
from agrm_study.submission.methods import as_latex, as_markdown, methods
from agrm_study.submission.participants import CAPTION, draw, flow
from agrm_study.submission.read_tables import READERS
from agrm_study.submission.verify import Made, Verification, verify_folder, verify_table_file

MAIN: Final = "submission.tex"
BUNDLE: Final = "records.zip"

_DOCUMENT: Final = r"""\documentclass[10pt]{{article}}
\usepackage[a4paper,margin=20mm]{{geometry}}
\usepackage{{booktabs,amssymb,graphicx,longtable,array}}
\input{{numbers.tex}}
\title{{{title}}}
\author{{}}
\date{{}}
\begin{{document}}
\maketitle
{question}

\section{{Methods}}
\input{{methods.tex}}
\begin{{figure}}[htbp]\centering\includegraphics[width=\linewidth]{{participants.pdf}}
\caption{{{flow}}}\end{{figure}}
\clearpage
\section{{Tables}}
{tables}
\section{{Figures}}
{figures}
\clearpage
{checklists}
\end{{document}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A written submission pack.

    Attributes:
        folder: Folder of the pack.
        files: All files in it.
        open_items: Number of items left to the authors and total number of items, by checklist.
    """

    folder: Path
    files: tuple[Path, ...]
    open_items: dict[str, tuple[int, int]]


def write_submission(
    results: Path,
    out: Path,
    checklists: Sequence[str],
    *,
    on_progress: Callable[[str], None] | None = None,
) -> Pack:
    """Write the submission pack of a study; its report is regenerated first, so that all parts are consistent.

    Args:
        results: Results folder.
        out: Folder of the pack; existing files of the pack are replaced.
        checklists: Names of checklists, as in `CHECKLISTS`.
        on_progress: Callback that receives a short description of the current step.

    Raises:
        InputError: If the folder contains no results.
        OSError: If the pack cannot be written.
    """
    say = on_progress or (lambda text: None)
    made = make_report([results], on_progress=on_progress)
    tables = made.tables[str(results)]
    evidence = collect(results)
    m = Measurements(evidence, families=evidence.study.families)
    facts = Facts(m)
    files: list[Path] = []

    def write(name: str, content: str | bytes) -> None:
        write_file(out / name, content)
        files.append(out / name)

    say("methods and checklists")
    for name, text in texts(facts, checklists).items():
        write(name, text)
    files += save(images(draw(flow(facts)), FIGURE_FORMATS), out, "participants")
    write("participants.txt", f"{CAPTION}\n")
    write(numbers.FILE, (results / numbers.FILE).read_bytes())
    say("tables and figures")
    for name, table in tables.items():
        for suffix in available():
            if (results / "tables" / f"{name}.{suffix}").exists():
                files.append(write_table(table, out / "tables", suffix))
    figures = [p for p in made.files if p.parent == results / "figures"]
    for figure in figures:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        files.append(Path(shutil.copyfile(figure, out / "figures" / figure.name)))
    open_items = {}
    for name in checklists:
        if "docx" in available():
            files.append(write_table(as_table(CHECKLISTS[name], facts), out / "checklists", "docx"))
        asked = list(answers(CHECKLISTS[name], facts))
        open_items[name] = (sum(not a.source for a in asked), len(asked))
    captions = {p.stem: p.read_text(encoding="utf-8").strip() for p in figures if p.suffix == ".txt"}
    study = evidence.study
    write(
        MAIN,
        _DOCUMENT.format(
            title=escape(study.name),
            question=escape(" ".join(f"{study.question} {evidence.partial or ''} {SCREENING}".split())),
            flow=escape(CAPTION),
            tables="\n".join(rf"\input{{tables/{name}.tex}}\clearpage" for name in tables),
            figures="\n".join(_figure(name, caption) for name, caption in captions.items()),
            checklists="\n".join(rf"\input{{checklists/{name}.tex}}\clearpage" for name in checklists),
        ),
    )
    say("records bundle")
    write_bundle(results, out / BUNDLE)
    files.append(out / BUNDLE)
    return Pack(folder=out, files=tuple(files), open_items=open_items)


def texts(facts: Facts, checklists: Sequence[str]) -> dict[str, str]:
    """Texts of the pack by file name: the methods, and the checklists as Markdown, CSV, HTML and LaTeX."""
    paragraphs = methods(facts)
    found = {"methods.md": as_markdown(paragraphs), "methods.tex": as_latex(paragraphs)}
    for name in checklists:
        table = as_table(CHECKLISTS[name], facts)
        for suffix in ("md", "csv", "html"):
            rendered = RENDERERS[suffix](table)
            found[f"checklists/{name}.{suffix}"] = rendered if isinstance(rendered, str) else rendered.decode()
        found[f"checklists/{name}.tex"] = checklist_latex(CHECKLISTS[name], facts)
    return found


def verify_submission(folder: Path, out: Verification) -> Made:
    """Verify a submission pack against its records bundle: texts, tables, numbers and the complete LaTeX document.

    Args:
        folder: Folder written by `write_submission`.
        out: Receives the differences and remarks.

    Returns:
        Values computed from the records of the pack, for the verification of manuscripts.

    Raises:
        InputError: If the bundle cannot be read.
    """
    with opened_bundle(folder / BUNDLE) as (results, faults):
        out.differences.extend(f"{folder / BUNDLE}: {fault}" for fault in faults)
        made = verify_folder(results, out, named=str(folder / BUNDLE), weights=False)
        verify_manuscript(folder / MAIN, [made], out)
        for file in sorted((folder / "tables").glob("*")):
            if file.suffix.removeprefix(".") in READERS and file.suffix != ".tex" and file.stem in made.tables:
                verify_table_file(file, made.tables[file.stem], str(file), out)
        facts = Facts(made.measurements)
        kept = [name for name in CHECKLISTS if (folder / "checklists" / f"{name}.tex").exists()]
        for name, text in texts(facts, kept).items():
            if (folder / name).exists():
                _compare_lines(folder / name, text, out)
        return made


def _compare_lines(file: Path, expected: str, out: Verification) -> None:
    """Compare the numbers in the lines of a text; changed words only produce a remark, since authors complete these
    texts."""
    found = GridComparison()
    compare_prose(
        [GridCell(line, n) for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)],
        [GridCell(line, n) for n, line in enumerate(expected.splitlines(), 1)],
        found,
    )
    out.differences.extend(f"{file}:{x.line}: {x}" for x in found.mismatches)
    out.remarks.extend(f"{file}: {remark}" for remark in found.remarks)
    out.count("texts")


def checklist_latex(checklist: Checklist, facts: Facts) -> str:
    """A checklist as a multi-page LaTeX table, for inclusion by \\input."""
    lines = [
        rf"\section*{{{escape(checklist.title)}}}",
        rf"{{\scriptsize {escape(checklist.citation)}. The items are paraphrased.\par}}",
        r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}",
        r"\begin{longtable}{@{}p{0.05\linewidth}>{\raggedright}p{0.2\linewidth}>{\raggedright}p{0.47\linewidth}"
        r">{\raggedright\arraybackslash}p{0.2\linewidth}@{}}",
        r"\toprule Item & Content & Answer & Source \\ \midrule \endhead",
    ]
    section = ""
    for answer in answers(checklist, facts):
        if answer.item.section != section:
            section = answer.item.section
            lines.append(rf"\multicolumn{{4}}{{@{{}}l}}{{\textit{{{escape(section)}}}}} \\*")
        cells = (answer.item.number, answer.item.asks, answer.text, answer.source)
        lines.append(" & ".join(escape(c) for c in cells) + r" \\")
    lines += [r"\bottomrule", r"\end{longtable}", r"\endgroup", ""]
    return "\n".join(lines)


def _figure(name: str, caption: str) -> str:
    return (
        rf"\begin{{figure}}[htbp]\centering\includegraphics[width=\linewidth,height=0.8\textheight,keepaspectratio]"
        rf"{{figures/{name}.pdf}}" + "\n" + rf"\caption{{{escape(caption)}}}\end{{figure}}"
    )
