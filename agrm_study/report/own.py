"""User-defined tables and figures: created if their code may be executed, otherwise read from their stored copies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from agrm_study.records.local_copy import KEPT_FIGURES, KEPT_TABLES
from agrm_study.report.figures import FIGURES, figure_kind
from agrm_study.report.figures.base import FigureKind
from agrm_study.report.measure import Measurements
from agrm_study.report.study_info import StudyInfo
from agrm_study.report.table import Column, Entry, Row, Table
from agrm_study.report.tables import TABLES, table_kind
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.parts.loaded import is_loaded
from agrm_study.study.parts.names import full_name, is_own, short_name
from agrm_study.study.parts.source import OwnPart

OF_EVALUATIONS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "table": {"external": ("external", "external_calibration"), "robustness": ("robustness",)},
    "figure": {"external": ("external",), "robustness": ("robustness",)},
}
"""Tables and figures of evaluations, by kind: created if the results contain that kind, even if the study lists other
tables and figures."""
KEPT = "a stored copy: its code ({}) is not executed here; `agrm-study report --parts` regenerates it"


DAMAGED = "its stored copy is damaged"


class NotMade(Exception):
    """Raised if a table or figure cannot be created for a study; the message states the reason as a clause."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure that can be drawn."""

    kind: FigureKind[Any]
    info: Any


@dataclass(frozen=True, slots=True)
class KeptFigure:
    """The stored copy of a user-defined figure; its caption states that it is a copy."""

    caption: str
    svg: bytes


def wanted_names(kind: str, given: Sequence[str] | None, study: StudyInfo, redraw: Sequence[OwnPart] = ()) -> list[str]:
    """Tables or figures to create: the given ones, the ones requested by the study, or all.

    Args:
        kind: ``table`` or ``figure``.
        given: Names as in a study file; None for the names in the study.
        study: The study and its arms.
        redraw: Parts whose code may be executed; they replace those recorded with the study.

    Returns:
        The names; user-defined parts have their full names.

    Raises:
        InputError: If a name does not exist.
    """
    shipped = TABLES if kind == "table" else FIGURES
    own = {p.name: full_name(p.name, p.source) for p in (*study.parts, *redraw) if p.kind == kind}
    asked = study.tables if kind == "table" else study.figures
    names = given if given is not None else _of_study(kind, asked, [*shipped, *own], study.evaluated)
    found = []
    for name in names:
        short = short_name(name)
        if short not in shipped and short not in own:
            known = [*shipped, *own]
            raise InputError(
                "does not exist", field=f"{kind}s", given=name, allowed=", ".join(known), hint=did_you_mean(name, known)
            )
        found.append(own.get(short, name))
    return list(dict.fromkeys(found))


def _of_study(kind: str, asked: Sequence[str], every: Sequence[str], evaluated: Sequence[str]) -> list[str]:
    """Names requested by a study, or all; names of evaluations only if there are evaluations."""
    of_kind = OF_EVALUATIONS[kind]
    there = [name for made, names in of_kind.items() if made in evaluated for name in names]
    absent = {name for made, names in of_kind.items() if made not in evaluated for name in names}
    return list(dict.fromkeys([*(asked or [name for name in every if name not in absent]), *there]))


def made_table(m: Measurements, name: str) -> Table:
    """Create a table; a user-defined table whose code is not executed is read from its stored copy.

    Args:
        m: Measurements of the study.
        name: A name from `wanted_names`.

    Raises:
        NotMade: If the table does not apply to this study.
    """
    if is_own(name) and not is_loaded(name):
        return _kept_table(m, name)
    kind = table_kind(name)
    reason = kind.unfit(m)
    if reason is not None:
        raise NotMade(reason)
    return replace(kind.build(m), name=short_name(name), study=m.evidence.study.name)


def drawing(m: Measurements, name: str) -> Drawing:
    """The class of a figure and the values to draw.

    Raises:
        NotMade: If the figure does not apply to this study, or its code is not executed.
    """
    if is_own(name) and not is_loaded(name):
        raise NotMade(f"its code ({_written(m, name)}) is not executed here")
    kind = figure_kind(name)
    info = kind.info(m)
    if info is None:
        raise NotMade(f"it requires {kind.needs}")
    return Drawing(kind, info)


def keep_table(results: Path, name: str, table: Table) -> list[Path]:
    """Store a user-defined table whose code was executed; returns its file, or an empty list for other tables."""
    return _keep(results / KEPT_TABLES, name, asdict(table)) if _made_here(name) else []


def keep_figure(results: Path, name: str, caption: str, svg: bytes) -> list[Path]:
    """Store a user-defined figure whose code was executed; returns its file, or an empty list for other figures."""
    return _keep(results / KEPT_FIGURES, name, {"caption": caption, "svg": svg.decode()}) if _made_here(name) else []


def _made_here(name: str) -> bool:
    """Whether the code of a user-defined table or figure is executed in this report."""
    return is_own(name) and is_loaded(name)


def _keep(folder: Path, name: str, value: Mapping[str, Any]) -> list[Path]:
    path = folder / f"{short_name(name)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
    return [path]


def _kept_table(m: Measurements, name: str) -> Table:
    note = KEPT.format(_written(m, name))
    try:
        table = _table(_kept(m, KEPT_TABLES, name))
    except (ValueError, KeyError, TypeError):
        raise NotMade(DAMAGED) from None
    return replace(table, notes=(*table.notes, f"This table is {note}."), study=m.evidence.study.name)


def kept_figure(m: Measurements, name: str) -> KeptFigure | None:
    """The stored copy of a user-defined figure whose code is not executed; None for any other figure.

    Raises:
        NotMade: If there is no stored copy, or it is damaged.
    """
    if not is_own(name) or is_loaded(name):
        return None
    try:
        value = _kept(m, KEPT_FIGURES, name)
        caption, svg = str(value["caption"]), str(value["svg"]).encode()
    except (ValueError, KeyError, TypeError):
        raise NotMade(DAMAGED) from None
    return KeptFigure(f"{caption} This figure is {KEPT.format(_written(m, name))}.", svg)


def _kept(m: Measurements, folder: str, name: str) -> Any:
    """The stored value of a user-defined table or figure.

    Raises:
        NotMade: If nothing is stored.
        ValueError: If it is damaged.
    """
    try:
        return json.loads((m.evidence.results / folder / f"{short_name(name)}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotMade(f"its code ({_written(m, name)}) is not executed here, and there is no stored copy") from None


def _table(value: Mapping[str, Any]) -> Table:
    rows = tuple(
        Row(
            entries=tuple(Entry(**entry | {"marks": tuple(entry["marks"])}) for entry in row["entries"]),
            heading=row["heading"],
        )
        for row in value["rows"]
    )
    columns = tuple(Column(**column) for column in value["columns"])
    return Table(**{**value, "rows": rows, "columns": columns, "notes": tuple(value["notes"])})


def _written(m: Measurements, name: str) -> str:
    named = (p.written for p in m.evidence.study.parts if full_name(p.name, p.source) == name)
    return next(named, "a part of this study")
