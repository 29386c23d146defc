"""Layout for a hand-written or existing table with a `path` column and any other columns of a manifest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from agrm_study.study.errors import InputError, did_you_mean, raise_together
from agrm_study.training.data.datasets.labels import Labels, read_labels
from agrm_study.training.data.datasets.layout import (
    Found,
    Layout,
    Options,
    Row,
    Survey,
    survey_of,
)
from agrm_study.training.data.datasets.person import HEADERS, SEX_CHOICES, read_age, read_sex, squeezed
from agrm_study.training.data.datasets.walk import name_of_video
from agrm_study.training.data.fields import Cell, parse_boxes
from agrm_study.training.data.manifest import COLUMNS, VIEWS, exists, read_name, read_rows
from agrm_study.training.data.names import nearest, resolve_name

T = TypeVar("T")
LABEL_COLUMNS = ("label", "hidden_label")


class ManifestLayout(Layout):
    """A CSV or Parquet file with a `path` column; metadata such as frame size and duration is read from the videos."""

    name = "manifest"
    describes = "a CSV or Parquet file with a column `path` and, optionally, other manifest columns"
    example = MappingProxyType({"manifest.csv": "path,label\n1.mp4,normal\n2.mp4,varus\n", "1.mp4": "", "2.mp4": ""})

    def survey(self, path: Path, options: Options) -> Survey:
        if path.is_dir():
            tables = (path / "manifest.parquet", path / "manifest.csv")
            path = next((table for table in tables if table.is_file()), tables[0])
        columns, rows = _understood(*read_rows(path))
        if "path" not in columns:
            hint = did_you_mean("path", columns)
            raise InputError("the column is missing", where=path, field="path", given=list(columns), hint=hint)
        for name in columns:
            if name not in COLUMNS:
                hint, allowed = did_you_mean(name, COLUMNS), ", ".join(COLUMNS)
                raise InputError("unknown column", where=path, field=name, allowed=allowed, hint=hint)
        written = (Cell(path, line, name, cells.get(name)) for line, cells in rows for name in LABEL_COLUMNS)
        labels = read_labels([cell.optional_text() or "" for cell in written], options.spellings)
        found, problems = [], []
        for line, cells in rows:
            try:
                found.append(self._found(path, line, cells, labels))
            except InputError as error:
                problems.append(error)
        raise_together(problems)
        if not found:
            raise InputError("the table has no rows", where=path)
        return survey_of(found, (), options, path, () if labels.note is None else (labels.note,))

    def _found(self, path: Path, line: int, cells: Mapping[str, Any], labels: Labels) -> Found:
        def cell(name: str) -> Cell:
            return Cell(path, line, name, cells.get(name))

        def label(name: str) -> str | None:
            return labels.of[cell(name).optional_text() or ""]

        def person(name: str, read: Callable[[str], T], allowed: str | None = None) -> T:
            try:
                return read(cell(name).optional_text() or "")
            except ValueError as error:
                cell(name).fail(str(error), allowed=allowed)

        video = path.parent / cell("path").text()
        if not exists(video) and (name := resolve_name(video.name, _names(video.parent))):
            video = video.parent / name
        if not exists(video):
            rule = f"the video file does not exist ({video})"
            cell("path").fail(rule, hint=nearest(video.name, _names(video.parent)))
        return Found(
            path=video,
            subject_id=cell("subject_id").optional_text() or name_of_video(video),
            clip_id=cell("clip_id").optional_text() or name_of_video(video),
            source=cell("source").optional_text() or self.name,
            label=label("label"),
            hidden_label=label("hidden_label"),
            view=cell("view").optional_integer(minimum=VIEWS[0], maximum=VIEWS[1]),
            condition=cell("condition").optional_text(),
            site=read_name(cell("site")),
            sex=person("sex", read_sex, SEX_CHOICES),
            age=person("age", read_age),
            boxes=parse_boxes(cell("boxes")),
            row=Row(table=path, line=line),
        )


def _names(folder: Path) -> list[str]:
    """Names of the files and folders in a folder; empty if there is no such folder."""
    return sorted(each.name for each in folder.iterdir()) if exists(folder) and folder.is_dir() else []


def _understood(
    columns: Sequence[str], rows: Sequence[tuple[int, Mapping[str, Any]]]
) -> tuple[list[str], list[tuple[int, dict[str, Any]]]]:
    """The table with recognised site, sex and age columns renamed, and without a trailing `.0` in subject numbers."""
    renamed = {name: name for name in columns}
    for meaning, spellings in HEADERS.items():
        matches = [name for name in columns if squeezed(name) in spellings]
        if meaning not in columns and len(matches) == 1:
            renamed[matches[0]] = meaning
    table = [(line, {renamed[name]: value for name, value in cells.items()}) for line, cells in rows]
    subjects = [str(cells.get("subject_id") or "") for _, cells in table]
    if any(subjects) and all(re.fullmatch(r"(\d+\.0+)?", subject) for subject in subjects):
        for (_, cells), subject in zip(table, subjects, strict=True):
            cells["subject_id"] = subject.partition(".")[0]
    return list(renamed.values()), table
