"""The manifest of a data set: clip records, validation, reading and writing.

A manifest has one row per clip and is written twice: as `manifest.parquet` for programs, and as `manifest.csv` in the
same folder for people. Paths are relative to this folder, so that a data set can be moved as a whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.labels import label_problem, plain_label
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.csv_file import read_csv
from agrm_study.training.data.fields import Cell, parse_boxes
from agrm_study.training.data.row_rules import RowRules
from agrm_study.training.data.workbook import WORKBOOKS

COLUMNS: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(ClipRecord))
REQUIRED: tuple[str, ...] = (
    "subject_id", "clip_id", "path", "label", "frames", "fps", "width", "height", "checksum", "source",
)  # fmt: skip
PANDAS_INDEX = "__index_level_0__"
"""Column of row numbers that pandas adds to Parquet files."""
VIEWS = (-360, 360)
"""Smallest and largest camera angle, in degrees."""

_TEXT = pa.string()
_SCHEMA = pa.schema(
    [
        pa.field(name, {"frames": pa.int64(), "width": pa.int32(), "height": pa.int32(), "view": pa.int32(),
                        "rotation": pa.int32(), "fps": pa.float64(), "age": pa.float64()}.get(name, _TEXT))
        for name in COLUMNS
    ],
    metadata={b"schema_version": b"1"},
)  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """The clips of a data set in file order."""

    path: Path
    clips: tuple[ClipRecord, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every clip's content and attributes, independent of file locations and row order."""
        rows = sorted(json.dumps(_content(clip), sort_keys=True) for clip in self.clips)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]

    @cached_property
    def labelled(self) -> tuple[ClipRecord, ...]:
        """Clips with a label."""
        return tuple(clip for clip in self.clips if clip.label is not None)

    @cached_property
    def unlabelled(self) -> tuple[ClipRecord, ...]:
        """Clips without a label."""
        return tuple(clip for clip in self.clips if clip.label is None)

    @cached_property
    def site_of(self) -> Mapping[str, str]:
        """Site of each subject with a known site."""
        return {clip.subject_id: clip.site for clip in self.clips if clip.site is not None}

    @cached_property
    def by_id(self) -> Mapping[str, ClipRecord]:
        """Clips by clip_id."""
        return {clip.clip_id: clip for clip in self.clips}

    def select(self, clip_ids: Iterable[str]) -> Manifest:
        """A manifest restricted to the given clips, in file order."""
        wanted = set(clip_ids)
        return Manifest(self.path, tuple(clip for clip in self.clips if clip.clip_id in wanted))


def read_manifest(path: Path | str, *, require_files: bool = True) -> Manifest:
    """Read and validate a manifest (.parquet or .csv).

    Args:
        path: The manifest, or a folder that contains `manifest.parquet`.
        require_files: Whether a missing video is an error.

    Raises:
        InputError: If a column is missing or unknown, a value cannot be parsed, rows violate a rule of `RowRules`, a
            video does not exist, or the manifest has no clips.
    """
    path = Path(path)
    path = path / "manifest.parquet" if path.is_dir() else path
    return _validated(path, *read_rows(path), require_files=require_files)


def _validated(
    path: Path, columns: Sequence[str], rows: Iterable[tuple[int, Mapping[str, Any]]], *, require_files: bool
) -> Manifest:
    _check_columns(path, columns)
    clips: list[ClipRecord] = []
    rules = RowRules(path)
    for line, cells in rows:
        clip = _clip(path, line, cells, require_files=require_files)
        rules.check(clip, line)
        clips.append(clip)
    if not clips:
        raise InputError("the manifest has no clips", where=path)
    return Manifest(path.absolute(), tuple(clips))


def write_manifest(clips: Iterable[ClipRecord], folder: Path | str) -> Path:
    """Write `manifest.parquet` and `manifest.csv`, and return the path of the Parquet file.

    Paths of videos inside the folder are written relative to it, others as absolute paths. The new files are validated
    against the rules of `read_manifest` before they replace the old ones; each file is replaced atomically.

    Raises:
        InputError: If the rows violate a rule of `read_manifest`; the old files are unchanged.
    """
    folder, clips = absolute_path(Path(folder)), list(clips)
    for clip in clips:
        if not _encodable(clip):
            raise InputError("a file name must be valid UTF-8", where=printable(clip.path), field="path")
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([_cells(clip, folder) for clip in clips], schema=_SCHEMA)
    parquet, text = folder / "manifest.parquet", folder / "manifest.csv"
    temporary = folder / f".manifest.{os.getpid()}.parquet"
    temporary_csv = folder / f".manifest.{os.getpid()}.csv"
    try:
        pq.write_table(table, temporary, compression="zstd")
        table.to_pandas(integer_object_nulls=True).to_csv(temporary_csv, index=False)
        for written in (temporary, temporary_csv):
            _check_written(parquet, written, clips)
        temporary_csv.replace(text)
        temporary.replace(parquet)
    finally:
        temporary.unlink(missing_ok=True)
        temporary_csv.unlink(missing_ok=True)
    return parquet


def _check_written(parquet: Path, written: Path, clips: Sequence[ClipRecord]) -> None:
    """Validate a temporary file as if it were the manifest; errors report the video of the invalid row."""
    columns, rows = read_rows(written)
    numbered = [(number, cells) for number, (_, cells) in enumerate(rows, start=1)]
    try:
        _validated(parquet, columns, numbered, require_files=False)
    except InputError as error:
        where = parquet if error.line is None else clips[error.line - 1].path
        raise InputError(
            error.rule, where=where, field=error.field, given=error.given, allowed=error.allowed, hint=error.hint
        ) from None


def _encodable(clip: ClipRecord) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in f"{clip.path}{clip.clip_id}{clip.subject_id}")


def printable(path: Path | str) -> str:
    """A path as text that can be printed and written as JSON; bytes that are not UTF-8 are escaped as `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_rows(path: Path) -> tuple[Sequence[str], list[tuple[int, Mapping[str, Any]]]]:
    """Column names, and rows with their line number in a CSV file or 1-based row number in a Parquet file.

    Raises:
        InputError: If the file is missing or is not a readable table.
    """
    if not path.exists():
        raise InputError("the file does not exist", where=path, hint="`agrm-study data index` writes manifests.")
    if path.suffix.lower() == ".csv" or path.suffix.lower() in WORKBOOKS:
        file = read_csv(path)
        return file.columns, [(row.line, row.cells) for row in file.rows]
    if path.suffix != ".parquet":
        raise InputError("a manifest must be a .parquet, .csv or .xlsx file", where=path)
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"not a readable Parquet file ({error})", where=path) from None
    if PANDAS_INDEX in table.column_names:
        table = table.drop_columns([PANDAS_INDEX])
    return table.column_names, list(enumerate(table.to_pylist(), start=1))


def exists(path: Path) -> bool:
    """Whether a file or folder exists; False for an invalid file name (too long, or containing a null byte)."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def absolute_path(path: Path) -> Path:
    """Absolute path without `..`; symbolic links are not resolved, so that a linked data set keeps its file names."""
    return Path(os.path.normpath(path.absolute()))


def _content(clip: ClipRecord) -> dict[str, Any]:
    """Attributes that identify a clip; an unknown site is omitted, so that manifests without sites keep their hash."""
    return {name: getattr(clip, name) for name in COLUMNS if name != "path" and (name, clip.site) != ("site", None)}


def _cells(clip: ClipRecord, folder: Path) -> dict[str, Any]:
    cells = {name: getattr(clip, name) for name in COLUMNS}
    path = absolute_path(clip.path)
    cells["path"] = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
    cells["boxes"] = None if clip.boxes is None else json.dumps([list(box) for box in clip.boxes])
    return cells


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    for name in REQUIRED:
        if name not in columns:
            close = did_you_mean(name, [column for column in columns if column not in COLUMNS])
            hint = close or "`agrm-study data index --layout manifest` fills in what can be read from the videos."
            rule = "the column is missing"
            raise InputError(rule, where=path, field=name, given=list(columns), allowed=", ".join(COLUMNS), hint=hint)
    for name in columns:
        if name not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise InputError("unknown column", where=path, field=name, allowed=known, hint=did_you_mean(name, COLUMNS))


def read_name(cell: Cell) -> str | None:
    """Read a label or the name of a site; None for a blank cell."""
    if (text := cell.optional_text()) is None:
        return None
    if problem := label_problem(text):
        cell.fail(problem)
    return plain_label(text)


def _clip(path: Path, line: int, cells: Mapping[str, Any], *, require_files: bool) -> ClipRecord:
    def cell(name: str) -> Cell:
        return Cell(path, line, name, cells.get(name))

    frames = cell("frames").integer(minimum=0)
    video = absolute_path(path.parent / cell("path").text())
    if require_files and not exists(video):
        raise InputError("the video file does not exist", where=path, line=line, field="path", given=str(video))
    return ClipRecord(
        subject_id=cell("subject_id").text(),
        clip_id=cell("clip_id").text(),
        path=video,
        label=read_name(cell("label")),
        hidden_label=read_name(cell("hidden_label")),
        view=cell("view").optional_integer(minimum=VIEWS[0], maximum=VIEWS[1]),
        condition=cell("condition").optional_text(),
        frames=frames,
        fps=cell("fps").number(minimum=0),
        width=cell("width").integer(minimum=0),
        height=cell("height").integer(minimum=0),
        rotation=int(cell("rotation").optional_choice(("0", "90", "180", "270")) or 0),
        checksum=cell("checksum").hexadecimal(64),
        source=cell("source").text(),
        site=read_name(cell("site")),
        sex=cell("sex").optional_choice(("male", "female")),
        age=cell("age").optional_number(minimum=0),
        boxes=parse_boxes(cell("boxes"), frames),
    )
