"""What every layout must do; a newcomer is enrolled by its line in `LAYOUTS`."""

from pathlib import Path

import pytest

from agrm_study.study.errors import InputError
from agrm_study.training.data.datasets import LAYOUTS, layout_of
from agrm_study.training.data.datasets.layout import Layout, Options
from agrm_study.training.data.manifest import read_manifest, write_manifest


def lay(layout: Layout, root: Path) -> Path:
    """The layout's own example, written into a folder; the videos hold their names."""
    for name, text in layout.example.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text or name)
    return root


@pytest.fixture(params=LAYOUTS)
def layout(request) -> Layout:
    return layout_of(request.param)


def test_it_knows_its_name_and_says_what_it_expects(layout):
    assert type(layout_of(layout.name)) is type(layout)
    assert len(layout.describes) > 20


def test_it_finds_its_videos_sorted_by_clip_id_with_existing_absolute_paths(layout, tmp_path):
    found = layout.find(lay(layout, tmp_path), Options())
    assert len(found) == 2
    assert [each.clip_id for each in found] == sorted(each.clip_id for each in found)
    assert len({each.subject_id for each in found}) == 2
    assert all(each.path.is_absolute() and each.path.is_file() for each in found)
    assert {each.source for each in found} == {layout.name}


def test_what_it_indexes_is_a_manifest_even_when_no_file_can_be_read(layout, tmp_path):
    records = layout.index(lay(layout, tmp_path))
    assert [record.frames for record in records] == [0, 0]
    out = tmp_path / "out"
    assert read_manifest(write_manifest(records, out)).clips == tuple(records)


def test_a_path_that_does_not_exist_and_an_empty_one_are_refused_in_words(layout, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        layout.index(tmp_path / "none")
    with pytest.raises(InputError):
        layout.index(tmp_path)
