"""Regions are located relative to the box, regardless of which part of a frame the store contains."""

from pathlib import Path

import numpy as np
import pytest

from agrm_study.explain.regions import BANDS, REGIONS, person_boxes, region_masks, stored_boxes
from agrm_study.study.recipe import Clip
from agrm_study.training.data.boxes import MARGIN, boxes_at
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.datasets.synthetic.cast import labelled_roles
from agrm_study.training.data.datasets.synthetic.clip import key_boxes, walk, world_joints
from agrm_study.training.data.store.frames import stored_shape


def record(**values):
    plain = {
        "frames": 9, "fps": 12.5, "width": 200, "height": 100, "checksum": "0" * 64, "source": "folder",
        "boxes": ((0, 60.0, 20.0, 40.0, 60.0), (8, 100.0, 20.0, 40.0, 60.0)),
    }  # fmt: skip
    return ClipRecord(subject_id="s", clip_id="c", path=Path("/none.mp4"), **{**plain, **values})


def boxes(clip, **values):
    clip_record = record(**values)
    return stored_boxes(clip_record, clip_record.boxes, clip, stored_shape(clip_record, clip)[0])


def test_resized_frames_scale_the_box():
    found = boxes(Clip(crop="resize", resize=50, size=40))
    np.testing.assert_allclose(found[[0, 8]], [[30, 10, 20, 30], [50, 10, 20, 30]])


def test_a_slower_store_takes_the_box_of_the_frame_that_it_shows():
    found = boxes(Clip(crop="resize", resize=50, size=40, fps=6.25))
    assert len(found) == 5
    np.testing.assert_allclose(found[:, 0], [30, 35, 40, 45, 50])


def test_the_raw_centre_shifts_the_box():
    found = boxes(Clip(crop="raw", resize=80, size=40))
    np.testing.assert_allclose(found[0], [60 - 60, 20 - 10, 40, 60])


def test_in_a_person_crop_the_box_fills_its_share_of_the_square():
    still = ((0, 60.0, 20.0, 40.0, 60.0),)
    x, y, w, h = boxes(Clip(crop="person_box", resize=66, size=60), boxes=still)[4]
    assert h == pytest.approx(66 / MARGIN)
    assert w == pytest.approx(40 / 60 * 66 / MARGIN)
    assert (x + w / 2, y + h / 2) == pytest.approx((33, 33))


@pytest.mark.parametrize("kind", BANDS)
def test_the_regions_do_not_overlap(kind):
    found = region_masks(np.array([[10.0, 5.0, 30.0, 40.0], [20.0, 5.0, 30.0, 40.0]]), 64, kind)
    assert tuple(found) == REGIONS
    assert sum(mask.astype(int) for mask in found.values()).max() == 1
    assert all(mask.any() for mask in found.values())


@pytest.mark.parametrize("kind", BANDS)
def test_bands_follow_each_other_down_the_body(kind):
    rows = [BANDS[kind].rows[name] for name in ("trunk", "thigh", "knee", "lower leg")]
    assert [low for low, _ in rows[1:]] == [high for _, high in rows[:-1]]
    assert rows[-1][1] == 1.0


def test_a_band_is_where_its_fractions_put_it():
    knee = region_masks(np.array([[0.0, 0.0, 100.0, 100.0]]), 100, "legs")["knee"][0]
    rows, columns = np.nonzero(knee)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (37, 56, 20, 80)


def test_what_lies_outside_of_the_crop_has_no_pixels():
    found = region_masks(np.array([[0.0, -80.0, 60.0, 100.0]]), 60, "person")
    assert not found["trunk"].any()
    assert found["lower leg"].any()


def test_a_clip_without_boxes_and_without_its_video_has_no_regions():
    assert person_boxes(record(boxes=None)) is None


def test_the_knees_of_the_synthetic_figures_lie_in_the_band_of_the_knees():
    bands, inside = BANDS["legs"], []
    for role in labelled_roles(60, 0, "easy")[::4]:
        steps = walk(role.plan)
        boxes_T4 = boxes_at(key_boxes(role.plan), np.arange(len(steps)))
        for frame in range(0, len(steps), 8):
            joints = world_joints(role.plan, steps[frame])
            x, y = role.plan.camera.project(np.stack([joints["knee_left"], joints["knee_right"]])).T
            left, top, width, height = boxes_T4[frame]
            row, column = (y - top) / height, (x - left) / width
            inside += [
                (bands.rows["knee"][0] <= row) & (row < bands.rows["knee"][1])
                & (bands.columns[0] <= column) & (column < bands.columns[1])
            ]  # fmt: skip
    assert np.mean(inside) > 0.97
