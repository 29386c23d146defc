"""Conformance checks for video layouts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agrm_study.conformance.checks import Broken, must
from agrm_study.study.errors import InputError
from agrm_study.study.parts.names import short_name
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.datasets.layout import Options
from agrm_study.training.data.manifest import read_manifest, write_manifest


@contextmanager
def _laid(name: str) -> Iterator[Path]:
    """A folder with the layout's example; each video file contains only its name."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "set"
        for path, text in layout_of(name).example.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text or path, encoding="utf-8")
        yield root


def is_described(name: str) -> None:
    """The class defines the name of the layout, and a sentence that describes the expected files."""
    layout = layout_of(name)
    must(layout.name == short_name(name), f"its name is {layout.name}")
    must(len(layout.describes) > 20, "`describes` is too short")


def finds_its_example(name: str) -> None:
    """The layout finds the two videos in its example, sorted by clip id, with absolute paths of existing files."""
    with _laid(name) as root:
        found = layout_of(name).find(root, Options())
        must(len(found) == 2, f"it finds {len(found)} videos")
        must([f.clip_id for f in found] == sorted(f.clip_id for f in found), "the videos are not sorted by clip id")
        must(len({f.subject_id for f in found}) == 2, "the videos do not belong to two subjects")
        must(all(f.path.is_absolute() and f.path.is_file() for f in found), "a path is not absolute or not a file")
        must({f.source for f in found} == {layout_of(name).name}, "the source of a video is not the layout's name")


def index_is_a_manifest(name: str) -> None:
    """The result of indexing is a valid manifest, even if no video can be read."""
    with _laid(name) as root:
        records = layout_of(name).index(root)
        must([record.frames for record in records] == [0, 0], "files that are not videos are indexed with frames")
        written = write_manifest(records, root.parent / "out")
        must(read_manifest(written).clips == tuple(records), "the manifest differs after writing and reading")


def wrong_paths_are_refused(name: str) -> None:
    """A path that does not exist and an empty folder are rejected with an InputError."""
    with tempfile.TemporaryDirectory() as folder:
        for path in (Path(folder) / "none", Path(folder)):
            try:
                layout_of(name).index(path)
            except InputError:
                continue
            raise Broken(f"{'an empty folder' if path.exists() else 'a path that does not exist'} is accepted")


CHECKS = (is_described, finds_its_example, index_is_a_manifest, wrong_paths_are_refused)
