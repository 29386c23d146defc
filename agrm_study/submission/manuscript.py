r"""Verification of a manuscript: its agrm-study tables, every ``\agrm{key}`` and every defined number."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from agrm_study.report import numbers
from agrm_study.report.renderers import latex
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.submission.grid import compare_grids
from agrm_study.submission.read_latex import FoundTable, find_tables, find_uses, grid_of, without_comments
from agrm_study.submission.verify import Made, Verification, compare_numbers

_INPUT: Final = re.compile(r"\\(?:input|include|subfile|subfileinclude)\s*\{([^{}]+)\}")
MOST_FILES: Final = 1000
"""Maximum number of files per manuscript."""


@dataclass(frozen=True, slots=True)
class Source:
    """One LaTeX file of a manuscript: its path as given or included, and its text."""

    path: Path
    text: str


def read_manuscript(path: Path) -> tuple[list[Source], list[str]]:
    r"""A LaTeX file, the files that it includes by ``\input``, ``\include`` and ``\subfile``, and the missing files.

    Raises:
        InputError: If the main file cannot be read.
    """
    waiting, seen = [path], set[Path]()
    sources: list[Source] = []
    missing: list[str] = []
    while waiting and len(sources) < MOST_FILES:
        file = waiting.pop(0)
        if file.resolve() in seen:
            continue
        seen.add(file.resolve())
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            if file == path:
                raise InputError("the manuscript cannot be read", where=path, given=error.strerror) from None
            missing.append(f"{file}: is included, but cannot be read: {str(error.strerror).lower()}")
            continue
        sources.append(Source(file, text))
        for name in _INPUT.findall(without_comments(text)):
            asked = path.parent / name.strip()
            waiting.append(asked if asked.suffix == ".tex" or asked.is_file() else asked.with_name(f"{asked.name}.tex"))
    return sources, missing


def verify_manuscript(path: Path, made: Sequence[Made], out: Verification) -> None:
    """Compare every agrm-study table and every number in a manuscript with the records.

    Args:
        path: LaTeX file of the manuscript.
        made: Tables and numbers computed from the records of each results folder.
        out: Receives the differences and remarks.

    Raises:
        InputError: If the manuscript cannot be read, or two folders contain studies with the same name.
    """
    by_study = {numbers.segment(x.study): x for x in made}
    if len(by_study) < len(made):
        raise InputError(
            "two results folders contain studies with the same name, so a manuscript's tables are ambiguous",
            given=", ".join(x.folder for x in made),
        )
    values = {key: value for x in made for key, value in x.numbers.items()}
    why_unknown = partial(_why_unknown, values=values, by_study=by_study)
    sources, missing = read_manuscript(path)
    out.differences.extend(missing)
    for source in sources:
        defined = numbers.parse(without_comments(source.text))
        out.differences.extend(compare_numbers(defined, values, str(source.path), why_unknown))
        out.count("numbers", len(defined))
        for use in find_uses(source.text):
            out.count("uses of a number")
            if use.key not in values:
                where = f"{source.path}:{use.line}"
                out.differences.append(f"{where}: \\agrm{{{use.key}}}: {why_unknown(use.key)}")
        for table in find_tables(source.text):
            _verify_table(source, table, by_study, values.get, out)
    if not out.checked.get("tables in the manuscript") and not out.checked.get("uses of a number"):
        out.differences.append(
            f"{path}: contains neither an agrm-study table nor a number \\agrm{{key}}; nothing can be verified"
        )


def _why_unknown(key: str, values: Mapping[str, str], by_study: Mapping[str, Made]) -> str:
    study = key.partition(".")[0]
    if study not in by_study:
        return f"not verified, since no results folder for study `{study}` was given"
    return f"the records have no such number. {did_you_mean(key, values) or ''}".strip()


def _verify_table(
    source: Source,
    table: FoundTable,
    by_study: Mapping[str, Made],
    value: Callable[[str], str | None],
    out: Verification,
) -> None:
    where, named = f"{source.path}:{table.line}", f"table `{table.study}/{table.name}`"
    made = by_study.get(numbers.segment(table.study))
    if made is None:
        out.differences.append(f"{where}: {named}: not verified, since no results folder for this study was given")
        return
    if table.name not in made.tables:
        out.differences.append(f"{where}: {named}: the records contain no table with this name")
        return
    if table.body[0] == table.body[1]:
        out.differences.append(f"{where}: {named}: no tabular environment follows its comment")
        return
    [again] = find_tables(latex.render(made.tables[table.name]))
    compared = compare_grids(grid_of(table, value), grid_of(again), whole=False)
    out.differences.extend(f"{source.path}:{x.line}: {named}, {x}" for x in compared.mismatches)
    out.remarks.extend(f"{where}: {named}: {remark}" for remark in compared.remarks)
    out.count("tables in the manuscript")
