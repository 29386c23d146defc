"""Layout for a hand-written or existing table: a `path` column and any other columns of a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.training.data.datasets.layout import (
    LABEL_CHOICES,
    LABEL_HINT,
    Found,
    Layout,
    OLDEST,
    Options,
    Row,
    keep_views,
    read_label,
)
from agrm_study.training.data.fields import Cell, parse_boxes
from agrm_study.training.data.manifest import COLUMNS, VIEWS, read_rows


class ManifestLayout(Layout):
    """A CSV or Parquet file with a `path` column; metadata such as size and length is read from the videos again."""

    name = "manifest"
    describes = "a CSV or Parquet file with a column `path` and any other columns of a manifest"
    example = MappingProxyType({"manifest.csv": "path,label\n1.mp4,normal\n2.mp4,varus\n", "1.mp4": "", "2.mp4": ""})

    def find(self, path: Path, options: Options) -> list[Found]:
        if path.is_dir():
            tables = (path / "manifest.parquet", path / "manifest.csv")
            path = next((table for table in tables if table.is_file()), tables[0])
        columns, rows = read_rows(path)
        if "path" not in columns:
            hint = did_you_mean("path", columns)
            raise InputError("the column is missing", where=path, field="path", given=list(columns), hint=hint)
        for name in columns:
            if name not in COLUMNS:
                hint, allowed = did_you_mean(name, COLUMNS), ", ".join(COLUMNS)
                raise InputError("unknown column", where=path, field=name, allowed=allowed, hint=hint)
        found = [self._found(path, line, cells, options) for line, cells in rows]
        if not found:
            raise InputError("the table has no rows", where=path)
        return sorted(keep_views(found, options, path), key=lambda each: each.clip_id)

    def _found(self, path: Path, line: int, cells: Mapping[str, Any], options: Options) -> Found:
        def cell(name: str) -> Cell:
            return Cell(path, line, name, cells.get(name))

        def label(name: str) -> str | None:
            try:
                return read_label(cell(name).optional_text() or "", options.spellings)
            except ValueError:
                cell(name).fail("unknown label", allowed=LABEL_CHOICES, hint=LABEL_HINT)

        video = path.parent / cell("path").text()
        if not video.is_file():
            cell("path").fail(f"the video file does not exist ({video})")
        return Found(
            path=video,
            subject_id=cell("subject_id").optional_text() or video.stem,
            clip_id=cell("clip_id").optional_text() or video.stem,
            source=cell("source").optional_text() or self.name,
            label=label("label"),
            hidden_label=label("hidden_label"),
            view=cell("view").optional_integer(minimum=VIEWS[0], maximum=VIEWS[1]),
            condition=cell("condition").optional_text(),
            sex=cell("sex").optional_choice(("male", "female")),
            age=cell("age").optional_number(minimum=0, maximum=OLDEST),
            boxes=parse_boxes(cell("boxes")),
            row=Row(table=path, line=line),
        )
