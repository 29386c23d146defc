"""What every layout must do; a newcomer is enrolled by its line in `LAYOUTS`."""

import csv
from pathlib import Path

import pytest

from agrm_study.study.errors import InputError
from agrm_study.training.data.datasets import LAYOUTS, Layout, Options
from agrm_study.training.data.manifest import read_manifest, write_manifest


def lay(name: str, root: Path) -> Path:
    """A small set in this layout: its path."""
    files = {
        "spwvd": ("1.mp4", "2.mp4"),
        "casia_b": ("001-nm-01-000.avi", "002-cl-01-180.avi"),
        "folder": ("normal/1.mp4", "genu_valgum/2.mp4"),
        "manifest": ("1.mp4", "2.mp4"),
    }[name]
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(file.encode())
    if name in ("spwvd", "manifest"):
        with (root / "table.csv").open("w", newline="") as stream:
            columns = ("subject", "label3") if name == "spwvd" else ("path", "label")
            stem = "" if name == "spwvd" else ".mp4"
            csv.writer(stream).writerows([columns, ("1" + stem, "normal"), ("2" + stem, "varus")])
    return root / "table.csv" if name == "manifest" else root


@pytest.fixture(params=LAYOUTS)
def layout(request) -> Layout:
    return LAYOUTS[request.param]


def test_it_knows_its_name_and_says_what_it_expects(layout):
    assert LAYOUTS[layout.name] is layout
    assert len(layout.describes) > 20


def test_it_finds_its_videos_sorted_by_clip_id_with_existing_absolute_paths(layout, tmp_path):
    found = layout.find(lay(layout.name, tmp_path), Options())
    assert len(found) == 2
    assert [each.clip_id for each in found] == sorted(each.clip_id for each in found)
    assert len({each.subject_id for each in found}) == 2
    assert all(each.path.is_absolute() and each.path.is_file() for each in found)
    assert {each.source for each in found} == {layout.name}


def test_what_it_indexes_is_a_manifest_even_when_no_file_can_be_read(layout, tmp_path):
    records = layout.index(lay(layout.name, tmp_path))
    assert [record.frames for record in records] == [0, 0]
    out = tmp_path / "out"
    assert read_manifest(write_manifest(records, out)).clips == tuple(records)


def test_a_path_that_does_not_exist_and_an_empty_one_are_refused_in_words(layout, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        layout.index(tmp_path / "none")
    with pytest.raises(InputError):
        layout.index(tmp_path)
