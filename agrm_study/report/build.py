"""Generation of the tables, figures and page of a results folder from its records alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agrm_study.report import numbers
from agrm_study.report.answer import answer
from agrm_study.report.checks.finding import Finding
from agrm_study.report.collect import collect
from agrm_study.report.figures.base import images, save
from agrm_study.report.figures.glyphs import glyph_note, missing_glyphs
from agrm_study.report.measure import Measurements
from agrm_study.report.own import NotMade, drawing, keep_figure, keep_table, kept_figure, made_table, wanted_names
from agrm_study.report.page import Picture
from agrm_study.report.page import render as render_page
from agrm_study.report.renderers import RENDERERS, available
from agrm_study.report.table import Table
from agrm_study.statistics.blas import one_blas_thread
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.parts.names import short_name
from agrm_study.study.parts.source import OwnPart

WORD_ROWS = 200
"""Maximum number of rows of a table that is written for Word by default."""
FIGURE_FORMATS = ("pdf", "svg", "png")


@dataclass(frozen=True, kw_only=True)
class ReportSummary:
    """Result of generating reports for one or more studies.

    Attributes:
        results: The results folders.
        tables: Tables by results folder and name.
        files: All files that were written.
        skipped: Tables and figures that cannot be created for a study, with the reason.
        notes: Flaws in the output, such as characters that no installed font can display.
        problems: Records that could not be used, with the reason.
        partial: Results folders whose study is incomplete, with a sentence that states what is missing.
        answers: The answer to each study's question, by results folder, if a page was written.
    """

    results: tuple[Path, ...]
    tables: Mapping[str, Mapping[str, Table]] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Finding, ...] = ()
    partial: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)


@one_blas_thread()
def make_report(
    results: Sequence[Path],
    *,
    tables: Sequence[str] | None = None,
    figures: Sequence[str] | None = None,
    formats: Sequence[str] | None = None,
    figure_formats: Sequence[str] = FIGURE_FORMATS,
    page: bool = True,
    allow: Collection[str] = (),
    parts: Sequence[OwnPart] = (),
    on_progress: Callable[[str], None] | None = None,
) -> ReportSummary:
    """Write the tables and figures for each results folder into that folder.

    Args:
        results: Results folders.
        tables: Names of `TABLES`; by default those that the study requests, or all applicable ones.
        figures: Names of `FIGURES`; by default selected in the same way as tables.
        formats: Suffixes of `RENDERERS`; by default all formats with installed dependencies.
        figure_formats: ``pdf``, ``svg``, ``png``.
        page: Whether to write ``report.html``.
        allow: Differences (``code``, ``data``, ``split``) that do not exclude a cell or a Δ.
        parts: User-defined tables and figures whose code was executed; they replace those recorded with the studies.
        on_progress: Callback that receives a short description of the current step.

    Raises:
        InputError: If a folder contains no results, or a name does not exist.
    """
    _known("formats", formats, RENDERERS)
    _known("figure_formats", figure_formats, dict.fromkeys(FIGURE_FORMATS))
    made: dict[str, dict[str, Table]] = {}
    files: list[Path] = []
    skipped: list[str] = []
    notes: list[str] = []
    problems: list[Finding] = []
    partial: dict[str, str] = {}
    answers: dict[str, str] = {}
    for folder in results:
        evidence = collect(Path(folder), allow=allow)
        study = evidence.study
        m = Measurements(evidence, families=study.families, allow=tuple(allow))
        if evidence.partial:
            partial[str(folder)] = evidence.partial
        own = made[str(folder)] = {}
        mine: list[str] = []
        pictures: list[Picture] = []
        missing: set[str] = set()
        names = wanted_names("table", tables, study, parts)
        figure_names = wanted_names("figure", figures, study, parts)
        for full in names:
            name = short_name(full)
            _tell(on_progress, f"{study.name}: table {name}")
            try:
                table = made_table(m, full)
            except NotMade as reason:
                mine.append(f"{study.name}: table {name}: {reason}")
                continue
            own[name] = table
            files += keep_table(Path(folder), full, table)
            files += [write_table(table, Path(folder) / "tables", suffix) for suffix in _fitting(formats, table)]
        for full in figure_names:
            name = short_name(full)
            _tell(on_progress, f"{study.name}: figure {name}")
            try:
                if (kept := kept_figure(m, full)) is not None:
                    pictures.append(Picture(name=name, caption=kept.caption, svg=kept.svg))
                    continue
                found = drawing(m, full)
            except NotMade as reason:
                mine.append(f"{study.name}: figure {name}: {reason}")
                continue
            kind, info = found.kind, found.info
            needs_svg = page or full != name  # the SVG of a user-defined figure is stored
            picture = kind.draw(info)
            drawn = images(picture, dict.fromkeys([*figure_formats, *(["svg"] if needs_svg else [])]))
            missing |= missing_glyphs(picture)
            if full != name:
                files += keep_figure(Path(folder), full, kind.caption(info), drawn["svg"])
            files += save({f: drawn[f] for f in figure_formats}, Path(folder) / "figures", name)
            warning = f"[{evidence.partial}] " if evidence.partial else ""
            said = f"{warning}{kind.caption(info)}"
            if page:
                pictures.append(Picture(name=name, caption=kind.caption(info), svg=drawn["svg"]))
            caption = Path(folder) / "figures" / f"{name}.txt"
            write_file(caption, f"{said}\n")
            files.append(caption)
        if note := glyph_note(missing):
            notes.append(f"{study.name}: {note}")
        if page:
            _tell(on_progress, f"{study.name}: report.html")
            write_file(Path(folder) / "report.html", render_page(m, own, pictures, mine))
            files.append(Path(folder) / "report.html")
            write_file(Path(folder) / numbers.FILE, numbers.render(study.name, numbers.numbers(m)))
            files.append(Path(folder) / numbers.FILE)
            answers[str(folder)] = answer(m)  # reuses the measurements of the page
        skipped += mine
        problems += evidence.problems
    return ReportSummary(
        results=tuple(Path(r) for r in results),
        tables=made,
        files=tuple(files),
        skipped=tuple(skipped),
        notes=tuple(notes),
        problems=tuple(problems),
        partial=partial,
        answers=answers,
    )


def _fitting(formats: Sequence[str] | None, table: Table) -> tuple[str, ...]:
    """The requested formats; by default all available ones, with Word only for tables of a readable length."""
    if formats is not None:
        return tuple(formats)
    return tuple(f for f in available() if f != "docx" or len(table.rows) <= WORD_ROWS)


def write_table(table: Table, folder: Path, suffix: str) -> Path:
    """Write a table in one format and return its path."""
    path = folder / f"{table.name}.{suffix}"
    write_file(path, RENDERERS[suffix](table))
    return path


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file atomically: a reader sees either the old or the new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    temporary.replace(path)


def _known(field_name: str, names: Sequence[str] | None, known: Mapping[str, object]) -> None:
    for name in names or ():
        if name not in known:
            raise InputError(
                "does not exist",
                field=field_name,
                given=name,
                allowed=", ".join(known),
                hint=did_you_mean(name, known),
            )


def _tell(on_progress: Callable[[str], None] | None, text: str) -> None:
    if on_progress is not None:
        on_progress(text)
