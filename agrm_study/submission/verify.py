"""Verification of a results folder: its tables, numbers and figures are regenerated from the records and compared."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agrm_study.records.evaluations import evaluation_folders
from agrm_study.records.reader import Ledger
from agrm_study.records.whole import check_results
from agrm_study.report import numbers
from agrm_study.report.build import FIGURE_FORMATS
from agrm_study.report.collect import collect
from agrm_study.report.figures.base import images
from agrm_study.report.measure import Measurements
from agrm_study.report.own import NotMade, drawing, made_table, wanted_names
from agrm_study.report.renderers import RENDERERS
from agrm_study.report.table import Table
from agrm_study.study.parts.names import short_name
from agrm_study.submission.grid import compare_grids
from agrm_study.submission.read_tables import READERS

UNREADABLE: Final = "cannot be read as an agrm-study table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Values computed from the records of one results folder.

    Attributes:
        folder: The results folder, as given by the user.
        measurements: Measurements of the study.
        tables: The tables by name.
        numbers: The numbers for a manuscript, as LaTeX by key.
    """

    folder: str
    measurements: Measurements
    tables: Mapping[str, Table]
    numbers: Mapping[str, str]

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.measurements.evidence.study.name


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of a verification.

    Attributes:
        differences: Contents that differ from the records or cannot be verified, one sentence each.
        remarks: Contents in which only the words or the selection differ, not the numbers.
        checked: Number of compared items, by kind.
    """

    differences: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all compared items agree with the records."""
        return not self.differences

    def count(self, kind: str, number: int = 1) -> None:
        """Increase the number of compared items."""
        self.checked[kind] = self.checked.get(kind, 0) + number


def verify_folder(
    folder: Path,
    out: Verification,
    *,
    named: str | None = None,
    weights: bool = True,
    on_progress: Callable[[str], None] | None = None,
) -> Made:
    """Regenerate all outputs from the records of a folder and compare them with its files.

    Records and stored weights are compared with their digests; tables cell by cell in every format; numbers by key;
    figures byte by byte.

    Args:
        folder: Results folder.
        out: Receives the differences and remarks.
        named: Name of the folder for messages; by default its path.
        weights: Whether the folder contains weights; a records bundle does not.
        on_progress: Callback that receives a short description of the current step.

    Raises:
        InputError: If the folder contains no results.
    """
    named = named or str(folder)
    say = on_progress or (lambda text: None)
    say("records and weights")
    evidence = collect(folder)
    out.differences.extend(f"{named}/{fault}" for fault in check_results(folder, weights=weights))
    out.differences.extend(f"{named}: {finding}" for finding in evidence.problems if finding.severity == "refuse")
    out.remarks.extend(f"{named}: {finding}" for finding in evidence.problems if finding.severity != "refuse")
    if evidence.partial:
        out.remarks.append(f"{named}: {evidence.partial}")
    out.count("trials", evidence.finished)
    m = Measurements(evidence, families=evidence.study.families)
    _verify_evaluations(m, folder, named, out)
    tables: dict[str, Table] = {}
    for full in wanted_names("table", None, evidence.study):
        with contextlib.suppress(NotMade):
            say(f"table {short_name(full)}")
            tables[short_name(full)] = made_table(m, full)
    _verify_tables(folder / "tables", tables, named, out)
    made = Made(folder=named, measurements=m, tables=tables, numbers=numbers.numbers(m))
    _verify_numbers(folder / numbers.FILE, made, out)
    _verify_figures(folder / "figures", m, named, out, say)
    return made


def _verify_evaluations(m: Measurements, folder: Path, named: str, out: Verification) -> None:
    """Check the records of evaluations on other data for consistency with their trials and data sets."""
    findings = [finding for each in m.external for finding in each.findings]
    findings += m.corrupted.findings if m.corrupted is not None else ()
    for finding in dict.fromkeys(findings):
        (out.differences if finding.severity == "refuse" else out.remarks).append(f"{named}: {finding}")
    for location in evaluation_folders(folder).values():
        out.count("evaluations", len(Ledger(location).finished_ids()))


def _verify_tables(place: Path, tables: Mapping[str, Table], named: str, out: Verification) -> None:
    present = {p.stem for p in _files(place)}
    for missing in sorted(set(tables) - present):
        out.remarks.append(f"{named}/tables: table `{missing}` was not written; `agrm-study report` writes it")
    for file in _files(place):
        suffix, table = file.suffix.removeprefix("."), tables.get(file.stem)
        if suffix not in READERS:
            continue
        if table is None:
            out.differences.append(f"{named}/tables/{file.name}: the records contain no table with this name")
            continue
        verify_table_file(file, table, f"{named}/tables/{file.name}", out)


def verify_table_file(file: Path, table: Table, named: str, out: Verification) -> None:
    """Compare a written table with the table generated from the records, cell by cell."""
    suffix = file.suffix.removeprefix(".")
    try:
        rendered = RENDERERS[suffix](table)
        content = rendered.encode() if isinstance(rendered, str) else rendered
        expected = READERS[suffix](content)
    except ImportError:
        out.remarks.append(f"{named}: not compared, since python-docx is not installed")
        return
    if file.read_bytes() == content:
        out.count("tables")
        return
    try:
        found = READERS[suffix](file.read_bytes())
    except Exception as error:  # the file may have any content, so a reader may raise any exception
        out.differences.append(f"{named}: {UNREADABLE} ({type(error).__name__})")
        return
    compared = compare_grids(found, expected, whole=True)
    out.differences.extend(f"{named}:{x.line}: table `{table.name}`, {x}" for x in compared.mismatches)
    out.remarks.extend(f"{named}: {remark}" for remark in compared.remarks)
    if not compared.mismatches and not compared.remarks:
        out.remarks.append(f"{named}: the numbers agree; the formatting differs")
    out.count("tables")


def _verify_numbers(file: Path, made: Made, out: Verification) -> None:
    if not file.exists():
        out.remarks.append(f"{made.folder}/{numbers.FILE} was not written; `agrm-study report` writes it")
        return
    found = numbers.parse(file.read_text(encoding="utf-8", errors="replace"))
    out.differences.extend(compare_numbers(found, made.numbers, f"{made.folder}/{numbers.FILE}"))
    missing = [key for key in made.numbers if key not in found]
    if missing:
        out.differences.append(
            f"{made.folder}/{numbers.FILE}: {len(missing)} numbers are missing; the first is `{missing[0]}`"
        )
    out.count("numbers", len(found))


def compare_numbers(
    found: Mapping[str, str],
    expected: Mapping[str, str],
    named: str,
    why_unknown: Callable[[str], str] = lambda key: "the records have no such number",
) -> list[str]:
    """Differences between the defined numbers and the records, one sentence each."""
    out = []
    for key, value in found.items():
        if key not in expected:
            out.append(f"{named}: number `{key}`: {why_unknown(key)}")
        elif expected[key] != value:
            out.append(f"{named}: number `{key}`: the file has `{value}`, the records give `{expected[key]}`")
    return out


def _verify_figures(place: Path, m: Measurements, named: str, out: Verification, say: Callable[[str], None]) -> None:
    files = {p.stem: [q for q in _files(place) if q.stem == p.stem] for p in _files(place)}
    for full in wanted_names("figure", None, m.evidence.study):
        name = short_name(full)
        here = [p for p in files.pop(name, []) if p.suffix.removeprefix(".") in FIGURE_FORMATS]
        if not here:
            continue
        say(f"figure {name}")
        try:
            found = drawing(m, full)
        except NotMade as reason:
            out.differences.append(f"{named}/figures/{name}: {reason}")
            continue
        drawn = images(found.kind.draw(found.info), FIGURE_FORMATS)
        for file in here:
            if file.read_bytes() != drawn[file.suffix.removeprefix(".")]:
                out.differences.append(
                    f"{named}/figures/{file.name}: differs from the figure regenerated from the records (a different "
                    "release of matplotlib or a different font also results in a different file)"
                )
            out.count("figures")
    out.differences.extend(
        f"{named}/figures/{p.name}: the records contain no figure with this name"
        for rest in files.values()
        for p in rest
        if p.suffix.removeprefix(".") in FIGURE_FORMATS
    )


def _files(place: Path) -> Sequence[Path]:
    return sorted(p for p in place.iterdir() if p.is_file() and not p.name.startswith(".")) if place.is_dir() else []
