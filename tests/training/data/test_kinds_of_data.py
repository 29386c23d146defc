"""Kinds of data that a lab may have: each is indexed as documented, or refused with a message.

Each kind is a small folder, a call of `data index` and the expected outcome: exit code, words of the output, numbers of
clips and subjects in the manifest. The expected outcomes follow `docs/your_data.md`.
"""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from agrm_study.cli.app import app
from agrm_study.training.data.manifest import read_manifest

pytestmark = pytest.mark.slow

Make = Callable[["Lab"], None]


@dataclass(frozen=True)
class Lab:
    """A folder that fills with copies of one video of 12 frames."""

    folder: Path
    sample: Path

    def put(self, *names: str) -> Lab:
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.sample, path)
        return self

    def write(self, name: str, content: str | bytes, encoding: str = "utf-8") -> Lab:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return self

    def link(self, name: str, target: str) -> Lab:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return self

    def images(self, name: str, count: int) -> Lab:
        (self.folder / name).mkdir(parents=True)
        picture = cv2.imread(str(self.sample.with_suffix(".png")))
        for number in range(count):
            cv2.imwrite(str(self.folder / name / f"frame{number:03d}.png"), picture + number)
        return self


@dataclass(frozen=True)
class Kind:
    """A kind of data and what becomes of it.

    Attributes:
        make: Fills the folder.
        words: Texts (regular expressions) that the output must have.
        clips, subjects: Numbers in the manifest; 0 if the index refuses the data.
        labels: Labels in the manifest, sorted; not checked if None.
        more: Further arguments of `data index`.
        layout, path: Layout, and what of the folder it reads.
    """

    make: Make
    words: tuple[str, ...] = ()
    clips: int = 0
    subjects: int = 0
    labels: tuple[str, ...] | None = None
    more: tuple[str, ...] = ()
    layout: str = "folder"
    path: str = ""


def table(text: str, *, encoding: str = "utf-8", name: str = "t.csv", videos: tuple[str, ...] = ("1", "2")) -> Make:
    """A table beside videos."""
    return lambda lab: lab.put(*(f"{video}.mp4" for video in videos)).write(name, text, encoding) and None


def csv(text: str, words: tuple[str, ...] = (), clips: int = 0, subjects: int = 0, **more: object) -> Kind:
    """A kind of table with column `path`."""
    make = table(text, **{key: more.pop(key) for key in ("encoding", "videos") if key in more})  # type: ignore[arg-type]
    return Kind(make, words, clips, subjects, layout="manifest", path="t.csv", **more)  # type: ignore[arg-type]


def folder(*names: str, words: tuple[str, ...] = (), clips: int = 0, subjects: int = 0, **more: object) -> Kind:
    """A kind of folder tree, all of whose files are videos."""
    return Kind(lambda lab: lab.put(*names) and None, words, clips, subjects, **more)  # type: ignore[arg-type]


NFC, NFD = unicodedata.normalize("NFC", "Zoë"), unicodedata.normalize("NFD", "Zoë")
TWO = "path,label\n1.mp4,normal\n2.mp4,varus\n"
KINDS = {
    "one folder per label": folder("normal/1.mp4", "varus/2.mp4", clips=2, subjects=2, labels=("genu_varum", "normal")),
    "one folder per child": folder("normal/a/1.mp4", "normal/a/2.mp4", "varus/b.mp4", clips=3, subjects=2),
    "visits in dated folders": folder("normal/a/2024-01/1.mp4", "normal/a/2025-01/1.mp4", clips=2, subjects=1),
    "names that differ in case": folder(
        "normal/Anna/1.mp4", "normal/anna/2.mp4", words=("are treated as one subject",), clips=2, subjects=1
    ),
    "names in two Unicode forms": folder(
        f"normal/{NFC}/1.mp4", f"normal/{NFD}/2.mp4", words=("are treated as one subject",), clips=2, subjects=1
    ),
    "a child in two classes": folder("normal/a.mp4", "varus/A.mp4", words=("in two class folders",)),
    "numbers with zeros": folder("normal/001.mp4", "normal/002.mp4", clips=2, subjects=2),
    "names with spaces, commas and quotes": folder(
        "normal/child 1, left.mp4", "normal/child '2'.mp4", clips=2, subjects=2
    ),
    "labels in Chinese": folder(
        "正常/1.mp4", "膝内翻/2.mp4", words=("as they are|kept",), clips=2, subjects=2, labels=("正常", "膝内翻")
    ),
    "labels that differ in case": folder("Mild/1.mp4", "mild/2.mp4", words=("Mild", "mild")),
    "usual spellings of the paper's labels": folder(
        "Normal/1.mp4", "bow legs/2.mp4", "knock-knees/3.mp4", clips=3, subjects=3,
        labels=("genu_valgum", "genu_varum", "normal"),
    ),
    "labels that are numbers": folder("0/1.mp4", "1/2.mp4", clips=2, subjects=2, labels=("0", "1")),
    "numbers with their meaning": folder(
        "0/1.mp4", "1/2.mp4", clips=2, subjects=2, labels=("genu_varum", "normal"),
        more=("--label", "0=normal", "--label", "1=genu_varum"),
    ),
    "unlabelled videos alone": folder("unlabelled/1.mp4", "unlabelled/2.mp4", clips=2, subjects=2, labels=()),
    "a video outside a label's folder": folder("1.mp4", words=("must be in the folder of its class",)),
    "capital suffixes": folder("normal/1.MP4", "normal/2.Mp4", clips=2, subjects=2),
    "a name of 200 characters": folder(f"normal/{'x' * 200}.mp4", clips=1, subjects=1),
    "hidden files of macOS": folder(
        "normal/1.mp4", "normal/._1.mp4", words=("1 indexed, 1 skipped", "1 × hidden"), clips=1, subjects=1
    ),
    "the folder of a file server": folder(
        "normal/1.mp4", "normal/@eaDir/1.mp4", words=("1 × in a system folder",), clips=1, subjects=1
    ),
    "an empty folder": Kind(lambda lab: None, ("contains no video",)),
    "tables, sound and text beside the videos": Kind(
        lambda lab: lab.put("normal/1.mp4").write("normal/a.wav", b"x").write("notes.pdf", b"x") and None,
        ("1 indexed, 2 skipped", "suffix .wav"), 1, 1,
    ),
    "an empty file": Kind(
        lambda lab: lab.put("normal/1.mp4").write("normal/2.mp4", b"") and None, ("1 unreadable", r"2\.mp4"), 2, 2
    ),
    "text named as a video": Kind(
        lambda lab: lab.put("normal/1.mp4").write("normal/2.mp4", b"hello " * 99) and None, ("1 unreadable",), 2, 2
    ),
    "a link to a video": Kind(lambda lab: lab.put("x/1.mp4").link("normal/2.mp4", "../x/1.mp4") and None, (), 2, 2),
    "a link to nothing": Kind(
        lambda lab: lab.put("normal/1.mp4").link("normal/2.mp4", "gone.mp4") and None, ("does not exist",), 1, 1
    ),
    "a link that leads back": Kind(
        lambda lab: lab.put("normal/1.mp4").link("normal/up", "..") and None, ("has already been read",), 1, 1
    ),
    "images without a frame rate": Kind(
        lambda lab: lab.images("normal/a", 4) and None, ("contains no video", "--fps RATE")
    ),
    "images with a frame rate": Kind(lambda lab: lab.images("normal/a", 4) and None, (), 1, 1, more=("--fps", "25")),
    "images beside a video": Kind(
        lambda lab: lab.images("normal/a", 3).put("normal/1.mp4") and None, ("3 skipped", "--fps"), 1, 1
    ),
    "a table of paths and labels": csv(TWO, clips=2, subjects=2, labels=("genu_varum", "normal")),
    "a table without labels": csv("path\n1.mp4\n2.mp4\n", clips=2, subjects=2, labels=()),
    "semicolons and decimal commas": csv("path;label;age\n1.mp4;normal;5,5\n2.mp4;varus;6\n", clips=2, subjects=2),
    "a first line of Excel": csv("sep=;\n" + TWO.replace(",", ";"), clips=2, subjects=2),
    "tabs in UTF-16": csv(TWO.replace(",", "\t"), encoding="utf-16", clips=2, subjects=2),
    "German headers in cp1252": csv(
        "path;label;Geschlecht;Alter\n1.mp4;normal;männlich;5\n2.mp4;varus;weiblich;6\n",
        encoding="cp1252", clips=2, subjects=2,
    ),
    "the row numbers of pandas": csv(",path,label\n0,1.mp4,normal\n1,2.mp4,varus\n", clips=2, subjects=2),
    "subjects that became fractions": csv(
        "path,subject_id,label\n1.mp4,1.0,normal\n2.mp4,2.0,varus\n", clips=2, subjects=2
    ),
    "paths in another case": csv("path,label\nA.MP4,normal\n", videos=("a",), clips=1, subjects=1),
    "videos that are not there": csv(
        "path,label\nanna.mp4,normal\nbert.mp4,varus\n", ("does not exist", "2 problems"), videos=("ana", "bart")
    ),
    "a misspelled column": csv("path,lable\n1.mp4,normal\n", ("unknown column", "Did you mean `label`")),
    "no column of paths": csv("file,label\n1.mp4,normal\n", ("the column is missing",)),
    "headers alone": csv("path,label\n", ("the table has no rows",)),
    "a view that is no angle": csv("path,label,view\n1.mp4,normal,720\n", (r"t\.csv:2", "`view`")),
    "a box beyond the last frame": csv(
        'path,label,boxes\n1.mp4,normal,"[[99, 1, 1, 8, 8]]"\n', (r"t\.csv:2|1\.mp4", "frame")
    ),
    "one subject with two labels": csv(
        "path,subject_id,label\n1.mp4,s1,normal\n2.mp4,s1,varus\n", ("normal", "genu_varum", "s1")
    ),
    "one clip in two rows": csv("path,label\n1.mp4,normal\n1.mp4,normal\n", (r"1",)),
    "an age that is no number": csv("path,label,age\n1.mp4,normal,five\n", (r"t\.csv:2", "`age`")),
    "zeros that a spreadsheet removed": Kind(
        lambda lab: lab.put("001.mp4", "002.mp4").write("labels.csv", "subject,label3\n1,normal\n2,varus\n") and None,
        (), 2, 2, ("genu_varum", "normal"), layout="spwvd",
    ),
    "names of another data set": Kind(
        lambda lab: lab.put("walk.mp4") and None, ("contains no CASIA-B video",), layout="casia-b"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sample(tmp_path_factory, videos) -> Path:
    """A video of 12 frames, and one of them as a picture."""
    made = videos.write(tmp_path_factory.mktemp("sample") / "sample.mp4", 12)
    cv2.imwrite(str(made.with_suffix(".png")), videos.frame(1, 128, 64) // 2)
    return made


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_data_is_indexed_as_documented_or_refused_in_words(
    name: str, tmp_path: Path, sample: Path
) -> None:
    kind, lab = KINDS[name], Lab(tmp_path / "lab", sample)
    lab.folder.mkdir()
    kind.make(lab)
    out = tmp_path / "manifest"
    words = ["data", "index", "--layout", kind.layout, str(lab.folder / kind.path), "--out", str(out), "--workers", "1"]
    done = CliRunner().invoke(app, [*words, *kind.more])
    refused = "" if done.exception is None or isinstance(done.exception, SystemExit) else str(done.exception)
    shown = done.output + refused
    for pattern in kind.words:
        assert re.search(pattern, shown), shown
    assert "Traceback" not in shown
    if not kind.clips:
        assert done.exit_code != 0
        assert type(done.exception).__name__ in ("InputError", "InputErrors", "SystemExit"), repr(done.exception)
        assert not (out / "manifest.parquet").exists()
        return
    assert done.exit_code == 0, shown
    read = read_manifest(out, require_files=False)
    assert len(read.clips) == kind.clips
    assert len({clip.subject_id for clip in read.clips}) == kind.subjects
    if kind.labels is not None:
        assert tuple(sorted({clip.label for clip in read.clips if clip.label is not None})) == kind.labels
    again = CliRunner().invoke(app, [*words, *kind.more, "--append"])
    assert again.exit_code == 0, again.output
    assert "nothing to add" in again.output
    assert read_manifest(out, require_files=False) == read
