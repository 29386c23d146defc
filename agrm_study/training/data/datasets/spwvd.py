"""Layout of SPWVD: one walking video per child and a CSV file of labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from agrm_study.study.errors import InputError, raise_together
from agrm_study.training.data.csv_file import CsvFile, CsvRow, read_csv
from agrm_study.training.data.datasets.labels import LABEL_CHOICES, LABEL_HINT, read_label
from agrm_study.training.data.datasets.layout import (
    Found,
    Layout,
    Options,
    Row,
    Survey,
    survey_of,
)
from agrm_study.training.data.datasets.person import HEADERS, SEX_CHOICES, read_age, read_sex, squeezed
from agrm_study.training.data.datasets.walk import name_of_video, walk
from agrm_study.training.data.fields import Cell
from agrm_study.training.data.manifest import exists, read_name
from agrm_study.training.data.names import nearest, spreadsheet_key
from agrm_study.training.data.workbook import WORKBOOKS

COLUMNS: dict[str, tuple[str, ...]] = {
    "subject": ("subject", "subjectid", "id", "name", "child", "childid", "participant", "participantid", "patient",
                "patientid", "no", "number", "kind", "proband", "probandin", "nr", "nummer", "sujet", "enfant", "nom",
                "numero"),
    "label": ("label3", "label", "class", "class3", "diagnosis", "category", "group", "type", "diagnose", "klasse",
              "gruppe", "befund", "diagnostic", "classe", "groupe"),
    **HEADERS,
    "file": ("file", "filename", "video", "videofile", "path", "clip", "datei", "dateiname", "fichier"),
}  # fmt: skip
"""Accepted spellings of each column, in the form returned by `squeezed`; earlier spellings take precedence."""


class SpwvdLayout(Layout):
    """One video per child in a folder tree, and a CSV with subject, label3 and optional site, sex, age and file."""

    name = "spwvd"
    describes = "a folder with one video per child and a labels CSV (subject, label3, site, sex, age)"
    takes_labels = True
    example = MappingProxyType({"labels.csv": "subject,label3\n1,normal\n2,varus\n", "1.mp4": "", "2.mp4": ""})

    def survey(self, path: Path, options: Options) -> Survey:
        table = read_csv(_labels_file(path, options.labels))
        column = _columns(table)
        tree = walk(path, images=options.fps is not None)
        videos = tree.videos
        by_name = _by_name(videos)
        taken: dict[Path, str] = {}
        found: list[Found] = []
        problems: list[InputError] = []
        for row in table.rows:
            try:
                child = self._child(_Cells(table.path, row, column), path, by_name, taken, options)
            except InputError as error:
                problems.append(error)
                continue
            taken[child.path] = child.subject_id
            found.append(child)
        raise_together(problems)
        rest = [video for video in videos if video not in taken]
        found += [Found(path=v, subject_id=name_of_video(v), clip_id=name_of_video(v), source=self.name) for v in rest]
        return survey_of(found, tree.left_out, options, path)

    def _child(
        self,
        cell: _Cells,
        root: Path,
        by_name: Mapping[str, list[Path]],
        taken: Mapping[Path, str],
        options: Options,
    ) -> Found:
        subject = cell.text("subject") or cell.fail("subject", "must not be empty")
        video = _video(cell, root, subject, cell.text("file"), by_name)
        if re.fullmatch(r"\d+[.,]0+", subject) and subject != name_of_video(video):
            subject = re.split("[.,]", subject)[0]  # the spreadsheet parsed the number column as decimals
        if video in taken:
            cell.fail("subject", f"{video.name} is already assigned to subject {taken[video]}")
        if subject in taken.values():
            cell.fail("subject", "a subject must have exactly one row")
        row = Row(table=cell.path, line=cell.row.line)
        return Found(
            path=video, subject_id=subject, clip_id=subject, source=self.name,
            label=cell.label(options.spellings), site=cell.site(), sex=cell.sex(), age=cell.age(), row=row,
        )  # fmt: skip


class _Cells:
    """Cells of one row, accessed by column."""

    def __init__(self, path: Path, row: CsvRow, column: Mapping[str, str]) -> None:
        self.path, self.row, self.column = path, row, column

    def text(self, name: str) -> str:
        return self.row.cells[self.column[name]] if name in self.column else ""

    def fail(self, name: str, rule: str, allowed: str | None = None, hint: str | None = None) -> NoReturn:
        raise InputError(
            rule, where=self.path, line=self.row.line, field=self.column[name], given=self.text(name),
            allowed=allowed, hint=hint,
        )  # fmt: skip

    def label(self, spellings: Mapping[str, str]) -> str | None:
        try:
            return read_label(self.text("label"), spellings)
        except ValueError:
            self.fail("label", "unknown label", LABEL_CHOICES, LABEL_HINT)

    def site(self) -> str | None:
        return read_name(Cell(self.path, self.row.line, self.column.get("site", "site"), self.text("site")))

    def sex(self) -> str | None:
        try:
            return read_sex(self.text("sex"))
        except ValueError as error:
            self.fail("sex", str(error), SEX_CHOICES)

    def age(self) -> float | None:
        try:
            return read_age(self.text("age"))
        except ValueError as error:
            self.fail("age", str(error))


def _labels_file(path: Path, given: Path | None) -> Path:
    if given is not None:
        return given
    if not path.is_dir():
        raise InputError("must be a folder", where=path, allowed=SpwvdLayout.describes)
    tables = [each for each in sorted(path.glob("*.csv")) if each.name != "manifest.csv"]
    tables = tables or [each for each in sorted(path.iterdir()) if each.suffix.lower() in WORKBOOKS]
    if len(tables) == 1:
        return tables[0]
    rule = "the folder contains no labels CSV" if not tables else "the folder contains several CSV files"
    names = [each.name for each in tables] or None
    raise InputError(rule, where=path, given=names, hint="Select the labels CSV with `--labels FILE`.")


def _columns(table: CsvFile) -> dict[str, str]:
    """The table's own name for each known column.

    Raises:
        InputError: If a required column is missing.
    """
    names = {squeezed(name): name for name in table.columns}
    column = {
        wanted: names[next(each for each in spellings if each in names)]
        for wanted, spellings in COLUMNS.items()
        if any(each in names for each in spellings)
    }
    for needed in ("subject", "label"):
        if needed not in column:
            rule, allowed = f"the table has no {needed} column", ", ".join(COLUMNS[needed])
            raise InputError(rule, where=table.path, line=1, given=list(table.columns), allowed=allowed)
    return column


def _by_name(videos: Sequence[Path]) -> dict[str, list[Path]]:
    """Videos by stem, and by folder name for folders with a single video."""
    names: dict[str, list[Path]] = {}
    for video in videos:
        names.setdefault(spreadsheet_key(name_of_video(video)), []).append(video)
    for video in videos:
        if sum(other.parent == video.parent for other in videos) == 1:
            names.setdefault(spreadsheet_key(video.parent.name), [video])
    return names


def _video(cell: _Cells, root: Path, subject: str, file: str, by_name: Mapping[str, list[Path]]) -> Path:
    if file:
        direct = root / file
        matches = [direct] if exists(direct) else by_name.get(spreadsheet_key(Path(file).stem), [])
    else:
        matches = by_name.get(spreadsheet_key(subject), [])
    if len(matches) == 1:
        return matches[0]
    hint = "Remove the row, or specify the video in a column `file`."
    which = "file" if file else "subject"
    if not matches:
        wanted = Path(file).stem if file else subject
        stems = [name_of_video(video) for videos in by_name.values() for video in videos]
        close = nearest(wanted, stems)
        cell.fail(which, f"no video with this name under {root}", hint=f"{close} {hint}" if close else hint)
    cell.fail(
        which, f"several videos have this name: {', '.join(str(m.relative_to(root)) for m in matches)}", hint=hint
    )
