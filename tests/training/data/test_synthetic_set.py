"""A synthetic set matches its documentation and is reproducible."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import re
from pathlib import Path

import decord
import numpy as np
import pytest

from agrm_study.study.errors import InputError
from agrm_study.study.labels import LABELS
from agrm_study.training.data.datasets.synthetic import contact_sheet, write_synthetic
from agrm_study.training.data.datasets.synthetic.cast import MOST_UNLABELLED, labelled_roles, unlabelled_roles
from agrm_study.training.data.datasets.synthetic.clip import render
from agrm_study.training.data.datasets.synthetic.overview import overview
from agrm_study.training.data.datasets.synthetic.write import planned_clips
from agrm_study.training.data.manifest import Manifest, read_manifest

SIZE = {"subjects": 6, "unlabelled": 8, "seed": 3, "difficulty": "medium"}


STEPS_TOLD: list[tuple[int, int]] = []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "set"
    out.mkdir()
    return write_synthetic(out, **SIZE, on_progress=lambda *at: STEPS_TOLD.append(at))


@pytest.fixture(scope="module")
def manifest(small: Path) -> Manifest:
    return read_manifest(small)


def contents(folder: Path) -> dict[str, str]:
    """Hash of every file, by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_arguments_give_the_same_files_with_any_number_of_workers(small: Path, tmp_path: Path) -> None:
    again = write_synthetic(tmp_path / "again", **SIZE, workers=2)
    assert contents(again.parent) == contents(small.parent)


def test_another_seed_gives_other_videos() -> None:
    for one, other in zip(labelled_roles(6, 3, "medium"), labelled_roles(6, 4, "medium"), strict=True):
        assert not np.array_equal(next(render(one.plan)), next(render(other.plan)))


def test_what_is_planned_is_what_is_written(manifest: Manifest) -> None:
    planned = {clip.clip_id: clip for clip in planned_clips(**SIZE)}
    for clip in manifest.clips:
        assert dataclasses.replace(planned[clip.clip_id], path=clip.path, checksum=clip.checksum) == clip


def test_a_subject_looks_the_same_in_a_larger_set() -> None:
    few, many = labelled_roles(6, 3, "hard"), labelled_roles(40, 3, "hard")
    one = next(role for role, other in zip(few, many, strict=False) if role.label == other.label)
    other = next(role for role in many if role.subject == one.subject)
    assert all(np.array_equal(a, b) for a, b in zip(render(one.plan), render(other.plan), strict=True))


def test_every_file_is_readable_with_the_promised_frames_size_rate_and_checksum(manifest: Manifest) -> None:
    for clip in manifest.clips:
        reader = decord.VideoReader(str(clip.path), num_threads=1)
        frames = reader.get_batch([0, clip.frames // 2, clip.frames - 1]).asnumpy()
        assert len(reader) == clip.frames
        assert frames.shape[1:3] == (clip.height, clip.width)
        assert reader.get_avg_fps() == pytest.approx(clip.fps)
        assert hashlib.sha256(clip.path.read_bytes()).hexdigest() == clip.checksum


def test_decoded_frames_are_the_drawn_frames_up_to_compression(manifest: Manifest) -> None:
    roles = [*labelled_roles(6, 3, "medium"), *unlabelled_roles(8, 3, "medium")]
    for role in (roles[0], roles[-1]):
        clip = manifest.by_id[role.plan.clip_id]
        decoded = decord.VideoReader(str(clip.path), num_threads=1).get_batch(range(clip.frames)).asnumpy()
        for drawn, seen in zip(render(role.plan), decoded, strict=True):
            assert np.abs(drawn.astype(float) - seen).mean() < 12.0


def test_labels_are_balanced_and_the_unlabelled_part_hides_them(manifest: Manifest) -> None:
    assert [sum(clip.label == label for clip in manifest.labelled) for label in LABELS] == [2, 2, 2]
    assert all(clip.hidden_label is None for clip in manifest.labelled)
    hidden = {clip.subject_id: clip.hidden_label for clip in manifest.unlabelled}
    assert sorted(filter(None, hidden.values())) == sorted(LABELS)
    assert len(manifest.unlabelled) == 8


def test_names_views_and_conditions_follow_casia_b(manifest: Manifest) -> None:
    for clip in manifest.unlabelled:
        found = re.fullmatch(r"(\d{3})-((?:nm-0[1-6])|(?:bg-0[12])|(?:cl-0[12]))-(000|018|090|162|180)", clip.clip_id)
        assert found is not None
        assert clip.path.name == f"{clip.clip_id}.avi"
        assert (clip.subject_id, clip.condition, clip.view) == (f"casia_b-{found[1]}", found[2], int(found[3]))
        assert (clip.width, clip.height, clip.fps, clip.source) == (320, 240, 25.0, "casia_b")


def test_labelled_clips_have_the_form_of_spwvd(small: Path, manifest: Manifest) -> None:
    with (small.parent / "spwvd" / "labels.csv").open(newline="") as file:
        rows = {row["subject"]: row for row in csv.DictReader(file)}
    for clip in manifest.labelled:
        assert clip.path.name == f"{clip.subject_id}.mp4"
        assert rows[clip.subject_id]["label3"] == clip.label
        assert rows[clip.subject_id]["sex"] == clip.sex
        assert float(rows[clip.subject_id]["age"]) == clip.age
        assert 3.0 <= (clip.age or 0.0) <= 12.0


@pytest.mark.parametrize("clips", [0, 1, 60, 364, 1000, MOST_UNLABELLED])
def test_the_unlabelled_part_has_as_many_distinct_clips_as_asked_for(clips: int) -> None:
    roles = unlabelled_roles(clips, 0, "easy")
    names = [role.plan.clip_id for role in roles]
    assert len(set(names)) == len(names) == clips
    assert len({role.subject for role in roles}) <= 124
    kept = sum(role.plan.view in (0, 180) for role in roles)
    assert kept == clips - clips // 5


def test_hidden_labels_are_balanced_over_subjects() -> None:
    labels = {role.subject: role.label for role in unlabelled_roles(360, 0, "easy")}
    assert [list(labels.values()).count(label) for label in LABELS] == [40, 40, 40]


def test_boxes_are_squares_inside_the_frame_that_follow_the_walker(manifest: Manifest) -> None:
    for clip in manifest.clips:
        boxes = np.array(clip.boxes)
        assert boxes[0, 0] == 0
        assert boxes[-1, 0] == clip.frames - 1
        assert np.diff(boxes[:, 0]).max() <= 4
        assert (boxes[:, 1:3] >= 0).all()
        assert (boxes[:, 1] + boxes[:, 3] <= clip.width + 0.02).all()
        assert (boxes[:, 2] + boxes[:, 4] <= clip.height + 0.02).all()
        assert np.array_equal(boxes[:, 3], boxes[:, 4])
        if clip.label is not None:
            assert boxes[:, 3].argmax() not in (0, len(boxes) - 1)
        if clip.view == 0:
            assert (np.diff(boxes[:, 3]) > 0).all()
        if clip.view == 180:
            assert (np.diff(boxes[:, 3]) < 0).all()


def test_the_walker_moves_inside_the_box_more_than_outside(manifest: Manifest) -> None:
    clip = manifest.labelled[0]
    frames = decord.VideoReader(str(clip.path), num_threads=1).get_batch(range(clip.frames)).asnumpy().astype(float)
    change = np.abs(np.diff(frames, axis=0)).mean(axis=(0, 3))
    _, x, y, w, h = (clip.boxes or ())[0]
    inside = change[round(y) : round(y + h), round(x) : round(x + w)].mean()
    assert inside > 1.5 * np.median(change)


def test_asking_again_writes_nothing_and_asking_for_another_set_in_its_place_is_refused(small: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.parent.rglob("*")}
    assert write_synthetic(small.parent, **SIZE) == small
    with pytest.raises(InputError, match="contains the same synthetic data set"):
        write_synthetic(small.parent, **(SIZE | {"seed": 4}))
    assert {path: path.stat().st_mtime_ns for path in small.parent.rglob("*")} == before


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="does not exist, is empty"):
        write_synthetic(tmp_path, **SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_interrupted_set_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic(tmp_path / "set", **SIZE, on_progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_clip(small: Path) -> None:
    assert list(STEPS_TOLD) == [(done, 14) for done in range(1, 15)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subjects": 5}, "subjects"),
        ({"subjects": 6.0}, "subjects"),
        ({"unlabelled": -1}, "unlabelled"),
        ({"unlabelled": MOST_UNLABELLED + 1}, "unlabelled"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"workers": 0}, "workers"),
        ({"difficulty": "midium"}, "difficulty"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, object], field: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_synthetic(tmp_path / "set", **(SIZE | change))  # type: ignore[arg-type]
    assert caught.value.field == field
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not be written"):
        write_synthetic(tmp_path / "file" / "set", **SIZE)


def test_the_contact_sheet_is_a_picture(small: Path, tmp_path: Path) -> None:
    picture = contact_sheet(small, tmp_path / "sheet.png", columns=2)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000


def test_the_readmes_figure_is_small_enough_for_a_page(tmp_path: Path) -> None:
    picture = overview(tmp_path / "synthetic.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert 50_000 < len(picture) < 300_000
