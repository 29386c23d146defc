"""Layout of GAVD, the Gait Abnormality in Video Dataset (Ranjan et al. 2025, doi 10.1109/ACCESS.2025.3545787).

GAVD publishes annotations only: five CSV files with one row per frame of a sequence. A sequence is a section of an
online video in which one person walks in one direction. Users cut the sequences out of the videos themselves.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from agrm_study.study.errors import InputError
from agrm_study.training.data.boxes import key_boxes
from agrm_study.training.data.clip_record import Box
from agrm_study.training.data.csv_file import CsvRow, read_csv
from agrm_study.training.data.datasets.layout import Annotated, Found, Layout, Options, Row, Survey, survey_of
from agrm_study.training.data.datasets.walk import LeftOut, name_of_video, walk
from agrm_study.training.data.names import name_key

ANNOTATIONS: Final = "GAVD_Clinical_Annotations_*.csv"
"""Name pattern of the published annotation files."""
COLUMNS: Final = ("seq", "frame_num", "cam_view", "dataset", "gait_pat", "bbox", "vid_info", "id")
VIEWS: Final = MappingProxyType({"front": 0, "right side": 90, "back": 180, "left side": -90})
"""Camera angle in degrees, as in CASIA-B (0: from the front), for each annotated view."""
TOLERANCE: Final = 0.5
"""Maximum error of boxes interpolated from the key boxes, in pixels; most annotated boxes are interpolated too."""
CUT: Final = (
    "Cut each sequence into a separate file named after `seq`, from its first to its last `frame_num`, or write its "
    "frames into a folder of numbered images with that name."
)

EXAMPLE_TABLE: Final = ANNOTATIONS.replace("*", "1")
EXAMPLE: Final = """\
seq,frame_num,cam_view,gait_event,dataset,gait_pat,bbox,vid_info,id,url
cla01,165,front,,Normal Gait,normal,"{'top': 4.0, 'left': 0.0, 'height': 60.5, 'width': 20.0}",\
"{'height': 64, 'width': 128, 'mime_type': 'video/mp4'}",AaAa,https://example.org/watch?v=AaAa
cla01,166,front,,Normal Gait,normal,"{'top': 3.6, 'left': 0.0, 'height': 60.5, 'width': 20.0}",\
"{'height': 64, 'width': 128, 'mime_type': 'video/mp4'}",AaAa,https://example.org/watch?v=AaAa
cla02,9,left side,,Abnormal Gait,stroke,"{'top': 5.0, 'left': 56.0, 'height': 50.0, 'width': 22.0}",\
"{'height': 64, 'width': 128, 'mime_type': 'video/mp4'}",BbBb,https://example.org/watch?v=BbBb
"""


@dataclass(slots=True)
class Frames:
    """The annotated frames of one sequence.

    Attributes:
        row: First row of the sequence.
        label: General class: `normal` or `abnormal`.
        cells: Cells of the first row.
        boxes: Box x, y, w, h of each annotated frame.
    """

    row: Row
    label: str
    cells: dict[str, str]
    boxes: dict[int, tuple[float, float, float, float] | None] = field(default_factory=dict)


class GavdLayout(Layout):
    """Annotation files, and one video or folder of numbered images per sequence, named after `seq`, in any folder."""

    name = "gavd"
    describes = (
        f"a folder with {ANNOTATIONS} and one video (or folder of numbered images) per sequence, named after `seq`"
    )
    takes_labels = True
    example = MappingProxyType({f"data/{EXAMPLE_TABLE}": EXAMPLE, "clips/cla01.mp4": "", "clips/cla02.mp4": ""})

    def survey(self, path: Path, options: Options) -> Survey:
        tree = walk(path, images=options.fps is not None)
        tables = [options.labels] if options.labels is not None else sorted(path.rglob(ANNOTATIONS))
        if not tables:
            rule = f"the folder contains no {ANNOTATIONS}"
            raise InputError(rule, where=path, allowed=self.describes, hint="Specify the CSV with `--labels FILE`.")
        sequences = _sequences(tables, options)
        by_name = {name_key(name): name for name in sequences}
        whole = {name_key(sequence.cells["id"]) for sequence in sequences.values()}
        found, left_out = [], list(tree.left_out)
        for video in tree.videos:
            key = name_key(name_of_video(video))
            if key in by_name:
                found.append(_found(video, by_name[key], sequences[by_name[key]]))
            elif key in whole:
                left_out.append(LeftOut(str(video), "a complete GAVD video, which must be cut into sequences"))
            else:
                left_out.append(LeftOut(str(video), "no sequence in the annotations has this name"))
        if not found:
            rule, given = "no video is named after a sequence in the annotations", f"{len(tree.videos)} videos"
            raise InputError(rule, where=path, given=given, hint=tree.hint or CUT)
        found, notes = _one_label_per_subject(found)
        if absent := len(sequences) - len({each.clip_id for each in found}):
            notes.append(f"{absent} of {len(sequences)} annotated sequences have no video in this folder")
        return survey_of(found, left_out, options, path, notes)


def _sequences(tables: Iterable[Path], options: Options) -> dict[str, Frames]:
    """The annotated sequences by name.

    Raises:
        InputError: If a column is missing, a cell cannot be parsed, or the rows of a sequence differ in class.
    """
    sequences: dict[str, Frames] = {}
    for table in tables:
        file = read_csv(table)
        if missing := [name for name in COLUMNS if name not in file.columns]:
            rule = f"the columns {', '.join(missing)} are missing"
            raise InputError(rule, where=table, line=1, given=list(file.columns), allowed=", ".join(COLUMNS))
        for row in file.rows:
            _add(sequences, table, row, options)
    return sequences


def _add(sequences: dict[str, Frames], table: Path, row: CsvRow, options: Options) -> None:
    name, cells = row.cells["seq"], row.cells
    if not name:
        raise InputError("must not be empty", where=table, line=row.line, field="seq")
    label = _label(cells["dataset"], options)
    if label is None:
        hint = "Define other classes with `--label TEXT=LABEL`."
        raise InputError("unknown class", where=table, line=row.line, field="dataset", given=cells["dataset"],
                         allowed="Normal Gait, Abnormal Gait", hint=hint)  # fmt: skip
    sequence = sequences.setdefault(name, Frames(Row(table=table, line=row.line), label, cells))
    if sequence.label != label:
        rule = f"a sequence must have one class; {name} has the class {sequence.label} in {sequence.row}"
        raise InputError(rule, where=table, line=row.line, field="dataset", given=cells["dataset"])
    if not re.fullmatch(r"\d{1,9}(\.0+)?", cells["frame_num"]):
        rule = "must be a frame number"
        raise InputError(rule, where=table, line=row.line, field="frame_num", given=cells["frame_num"])
    box = None
    if cells["bbox"]:
        left, top, width, height = _numbers(table, row, "bbox", ("left", "top", "width", "height"))
        box = (left, top, width, height) if width > 0 and height > 0 else None
    sequence.boxes.setdefault(int(float(cells["frame_num"])), box)


def _label(text: str, options: Options) -> str | None:
    key = name_key(text)
    spelled = {name_key(spelling): label for spelling, label in options.spellings.items()}
    return spelled.get(key) or {"normal": "normal", "abnormal": "abnormal"}.get(key.removesuffix("gait").strip())


def _numbers(table: Path, row: CsvRow, column: str, names: Sequence[str]) -> list[float]:
    """Numbers from a cell such as `{'top': 125.0, 'left': 156.0}`."""
    text = row.cells[column]
    try:
        values = json.loads(text.replace("'", '"').replace("None", "null"))
        numbers = [float(values[name]) for name in names]
    except (ValueError, TypeError, KeyError):
        allowed = "{" + ", ".join(f"'{name}': number" for name in names) + "}"
        raise InputError(
            "cannot be read", where=table, line=row.line, field=column, given=text, allowed=allowed
        ) from None
    return numbers


def _found(video: Path, name: str, sequence: Frames) -> Found:
    frames = sorted(sequence.boxes)
    boxes: list[Box] = [(f - frames[0], *box) for f in frames if (box := sequence.boxes[f]) is not None]
    row = CsvRow(sequence.row.line, sequence.cells)
    size = _numbers(sequence.row.table, row, "vid_info", ("width", "height")) if boxes else [0, 0]
    annotated = Annotated(frames=frames[-1] - frames[0] + 1, width=int(size[0]), height=int(size[1]))
    usable = bool(boxes) and min(size) > 0
    return Found(
        path=video,
        subject_id=sequence.cells["id"] or name,
        clip_id=name,
        source=GavdLayout.name,
        label=sequence.label,
        view=VIEWS.get(" ".join(sequence.cells["cam_view"].lower().split())),
        condition=sequence.cells["gait_pat"] or None,
        boxes=key_boxes(tuple(boxes), TOLERANCE) if usable else None,
        row=sequence.row,
        annotated=annotated if usable else None,
    )


def _one_label_per_subject(found: Sequence[Found]) -> tuple[list[Found], list[str]]:
    """The clips, with one subject per class for online videos that show both classes, and notes for the user."""
    labels: dict[str, set[str | None]] = {}
    for clip in found:
        labels.setdefault(clip.subject_id, set()).add(clip.label)
    mixed = {subject for subject, of in labels.items() if len(of) > 1}
    notes = ["GAVD does not identify persons: all sequences of one online video are assigned to one subject"]
    if mixed:
        count = Counter(clip.subject_id in mixed for clip in found)[True]
        rest = f"their {count} sequences are assigned to one subject per class"
        notes.append(f"online videos that show both classes: {len(mixed)}; {rest}")
    return [
        replace(clip, subject_id=f"{clip.subject_id}-{clip.label}") if clip.subject_id in mixed else clip
        for clip in found
    ], notes
