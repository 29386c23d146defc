"""Random choices of a view: frames, crop and erased rectangle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agrm_study.study.augment_settings import Strong, Weak
from agrm_study.training.augment.spatial import crop_positions, erase_boxes, hidden_patches, patch_pixels
from agrm_study.training.augment.temporal import frame_indices, random_windows, spread_windows, warped_steps
from agrm_study.training.augment.views import Geometry, centre_view, draw_view


def geometry(count: int, length: int = 20, side: int = 40, frames: int = 8, size: int = 32) -> Geometry:
    lengths, sides = np.full(count, length), np.full(count, side)
    return Geometry(lengths_N=lengths, heights_N=sides, widths_N=sides + 4, frames=frames, size=size)


def test_spread_windows_reach_from_the_first_to_the_last_frame():
    assert spread_windows(20, 4, 5).tolist() == [0, 4, 8, 12, 16]
    assert spread_windows(20, 4, 1).tolist() == [8]
    assert spread_windows(5, 4, 5).tolist() == [0, 1]
    assert spread_windows(3, 4, 5).tolist() == [0]


def test_a_random_window_can_begin_at_every_frame_that_fits_and_at_no_other():
    starts = random_windows(np.linspace(0, 1, 1000, endpoint=False), np.full(1000, 10), 4)
    assert np.bincount(starts).tolist() == pytest.approx([1000 / 7] * 7, abs=1)
    assert random_windows(np.array([0.999]), np.array([3]), 4).tolist() == [0]


def test_without_speed_and_jitter_a_clip_is_consecutive_frames():
    assert frame_indices(np.array([3]), np.array([20]), 4).tolist() == [[3, 4, 5, 6]]


def test_a_short_video_repeats_its_last_frame():
    assert frame_indices(np.array([0]), np.array([2]), 4).tolist() == [[0, 1, 1, 1]]


def test_speed_stretches_about_the_centre_of_the_window():
    assert frame_indices(np.array([10]), np.array([40]), 5, np.array([2.0])).tolist() == [[8, 10, 12, 14, 16]]
    assert frame_indices(np.array([10]), np.array([40]), 5, np.array([0.5])).tolist() == [[11, 12, 12, 13, 13]]


def test_a_stretched_window_is_moved_back_inside_the_video():
    assert frame_indices(np.array([0]), np.array([12]), 5, np.array([2.0])).tolist() == [[0, 2, 4, 6, 8]]
    assert frame_indices(np.array([7]), np.array([12]), 5, np.array([2.0])).tolist() == [[3, 5, 7, 9, 11]]


@given(
    start=st.integers(0, 12),
    length=st.integers(1, 30),
    speed=st.floats(0.5, 1.5),
    jitter=st.lists(st.integers(-2, 2), min_size=6, max_size=6),
)
def test_frames_rise_stay_inside_and_move_no_further_than_the_jitter(start, length, speed, jitter):
    arguments = (np.array([start]), np.array([length]), 6, np.array([speed]))
    still = frame_indices(*arguments)
    moved = frame_indices(*arguments, np.array([jitter]))
    assert (np.diff(moved) >= 0).all()
    assert moved.min() >= 0
    assert moved.max() < length
    assert (np.abs(moved - still) <= max(map(abs, jitter))).all()


def test_a_crop_without_shift_is_central_and_with_full_shift_reaches_every_place():
    sides = np.full(4000, 40)
    uniform = np.random.default_rng(0).random(4000)
    assert (crop_positions(sides, 32, 0.0, uniform) == 4).all()
    assert sorted(set(crop_positions(sides, 32, 1.0, uniform))) == list(range(9))
    assert sorted(set(crop_positions(sides, 32, 0.25, uniform))) == [3, 4, 5]


def test_a_crop_larger_than_the_frame_is_refused():
    with pytest.raises(ValueError, match=r"32 pixels requires frames .* got 30"):
        crop_positions(np.array([40, 30]), 32, 0.0, np.zeros(2))


def test_rectangles_have_the_asked_share_area_and_place():
    boxes = erase_boxes(0.25, (0.02, 0.2), 64, np.random.default_rng(0).random((8000, 5)))
    erased = boxes[boxes[:, 2] > 0]
    assert len(erased) / 8000 == pytest.approx(0.25, abs=0.02)
    shares = erased[:, 2] * erased[:, 3] / 64**2
    assert shares.min() > 0.015
    assert shares.max() < 0.21
    assert shares.mean() == pytest.approx(0.11, abs=0.01)
    assert (erased[:, :2] >= 0).all()
    assert (erased[:, 0] + erased[:, 2] <= 64).all()
    assert (erased[:, 1] + erased[:, 3] <= 64).all()


def test_every_setting_of_the_strong_view_at_zero_gives_the_weak_one():
    off = Strong(
        shift=0.25, brightness=0, contrast=0, saturation=0, hue=0, noise=0, erase=0, temporal_jitter=0, speed=0
    )
    windows = np.random.default_rng(1).random(6)
    strong = draw_view(off, np.random.default_rng(0), windows, geometry(6))
    weak = draw_view(Weak(), np.random.default_rng(0), windows, geometry(6))
    for name in ("frames_NT", "tops_N", "lefts_N", "flips_N"):
        np.testing.assert_array_equal(getattr(strong, name), getattr(weak, name))
    assert strong.matrices_N33 is strong.sigmas_N is strong.boxes_N4 is None


def test_a_clips_view_does_not_depend_on_how_many_clips_come_after_it():
    windows = np.random.default_rng(1).random(9)
    few = draw_view(Strong(), np.random.default_rng(0), windows[:4], geometry(4))
    many = draw_view(Strong(), np.random.default_rng(0), windows, geometry(9)).take(np.arange(4))
    for name in few.__slots__:
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name), err_msg=name)


def test_the_views_of_two_strengths_flip_the_same_clips_and_move_them_the_same_way():
    windows = np.random.default_rng(1).random(50)
    far = draw_view(Strong(), np.random.default_rng(0), windows, geometry(50))
    near = draw_view(Strong(shift=0.5, noise=0), np.random.default_rng(0), windows, geometry(50))
    np.testing.assert_array_equal(far.flips_N, near.flips_N)
    assert np.corrcoef(far.tops_N, near.tops_N)[0, 1] > 0.9


ADDITIONS = [
    {"reverse": 1.0},
    {"warp": 0.9},
    {"tubes": 0.5},
    {"reverse": 0.5, "warp": 0.5, "tubes": 0.25, "tube_grid": 4},
]


@pytest.mark.parametrize("added", ADDITIONS, ids=str)
def test_reversal_warp_and_tubes_change_no_other_draw(added):
    windows = np.random.default_rng(1).random(50)
    plain = draw_view(Strong(), np.random.default_rng(0), windows, geometry(50))
    view = draw_view(Strong(**added), np.random.default_rng(0), windows, geometry(50))
    changed = {"frames_NT"} if "reverse" in added or "warp" in added else set()
    changed |= {"hidden_NGG"} if "tubes" in added else set()
    for name in plain.__slots__:
        if name in changed:
            assert not np.array_equal(getattr(plain, name), getattr(view, name)), name
        else:
            np.testing.assert_array_equal(getattr(plain, name), getattr(view, name), err_msg=name)


@pytest.mark.parametrize("added", ADDITIONS, ids=str)
def test_reversal_warp_and_tubes_of_a_clip_do_not_depend_on_how_many_clips_come_after_it(added):
    windows = np.random.default_rng(1).random(9)
    few = draw_view(Strong(**added), np.random.default_rng(0), windows[:4], geometry(4))
    many = draw_view(Strong(**added), np.random.default_rng(0), windows, geometry(9)).take(np.arange(4))
    for name in few.__slots__:
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name), err_msg=name)


def test_a_reversed_clip_is_the_flipped_clip_and_as_many_clips_are_reversed_as_asked():
    windows = np.random.default_rng(1).random(4000)
    forward = draw_view(Strong(), np.random.default_rng(0), windows, geometry(4000)).frames_NT
    always = draw_view(Strong(reverse=1.0), np.random.default_rng(0), windows, geometry(4000)).frames_NT
    np.testing.assert_array_equal(always, np.flip(forward, axis=1))
    some = draw_view(Strong(reverse=0.3), np.random.default_rng(0), windows, geometry(4000)).frames_NT
    reversed_N = (some != forward).any(axis=1)
    np.testing.assert_array_equal(some[reversed_N], np.flip(forward[reversed_N], axis=1))
    assert reversed_N.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 4000))


def test_a_warp_of_strength_zero_keeps_the_times_and_one_in_closed_form_bends_them():
    np.testing.assert_array_equal(warped_steps(np.zeros((2, 2)), 5), [range(5)] * 2)
    bent = warped_steps(np.array([[0.5, 0.0], [0.0, 0.5]]), 5)
    half = 0.5 * np.sqrt(0.5)
    np.testing.assert_allclose(
        bent,
        [
            [0, 1 + 4 * half / np.pi, 2 + 4 * 0.5 / np.pi, 3 + 4 * half / np.pi, 4],
            [0, 1 + 4 * 0.5 / (2 * np.pi), 2, 3 - 4 * 0.5 / (2 * np.pi), 4],
        ],
        atol=1e-12,
    )
    np.testing.assert_array_equal(warped_steps(np.array([[0.5, 0.2]]), 1), [[0]])


@given(warp=st.floats(0, 0.99), first=st.floats(-0.5, 0.5), second=st.floats(-0.5, 0.5), frames=st.integers(2, 64))
def test_a_warp_is_monotone_keeps_its_ends_and_stays_within_its_bounds(warp, first, second, frames):
    """Local speed in [1 − w, 1 + w]; no frame is displaced by more than 3w/4π of the clip."""
    steps = warped_steps(warp * np.array([[first, second]]), frames)[0]
    speeds = np.diff(steps)
    assert (speeds >= 1 - warp - 1e-9).all()
    assert (speeds <= 1 + warp + 1e-9).all()
    np.testing.assert_allclose(steps[[0, -1]], [0, frames - 1], atol=1e-9)
    assert np.abs(steps - np.arange(frames)).max() <= 3 * warp / (4 * np.pi) * (frames - 1) + 1e-9


def test_the_frames_of_a_warped_clip_rise_between_the_ends_of_the_window():
    windows = np.random.default_rng(1).random(500)
    still = Strong(speed=0, temporal_jitter=0)
    plain = draw_view(still, np.random.default_rng(0), windows, geometry(500, length=30, frames=16)).frames_NT
    settings = still.model_copy(update={"warp": 0.9})
    warped = draw_view(settings, np.random.default_rng(0), windows, geometry(500, length=30, frames=16)).frames_NT
    assert (np.diff(warped, axis=1) >= 0).all()
    np.testing.assert_array_equal(warped[:, [0, -1]], plain[:, [0, -1]])
    assert np.abs(warped - plain).max() == round(3 * 0.9 / (4 * np.pi) * 15)  # 3.2 frames


@pytest.mark.parametrize(("share", "grid", "count"), [(0.9, 14, 176), (0.5, 7, 24), (0.25, 4, 4), (0.01, 10, 1)])
def test_tubes_hide_exactly_the_rounded_share_of_the_patches(share, grid, count):
    hidden = hidden_patches(share, np.random.default_rng(0).random((2000, grid, grid)))
    assert (hidden.sum(axis=(1, 2)) == count).all()
    expected = count / grid**2
    frequencies = hidden.mean(axis=0)
    assert np.abs(frequencies - expected).max() < 5 * np.sqrt(expected * (1 - expected) / 2000)
    together = (hidden[:, 0, 0] & hidden[:, -1, -1]).mean()  # two patches, drawn without replacement
    wanted = expected * (count - 1) / (grid**2 - 1)
    assert together == pytest.approx(wanted, abs=5 * np.sqrt(wanted * (1 - wanted) / 2000) + 1e-9)


@pytest.mark.parametrize(("grid", "size"), [(4, 16), (14, 32), (3, 16), (1, 8)])
def test_the_pixels_of_a_patch_are_those_of_torchs_nearest_neighbour(grid, size):
    patches = np.random.default_rng(0).random((5, grid, grid)) < 0.5
    wanted = torch.nn.functional.interpolate(torch.from_numpy(patches)[:, None].float(), size, mode="nearest")[:, 0]
    np.testing.assert_array_equal(patch_pixels(patches, size), wanted.numpy().astype(bool))


def test_the_centre_view_draws_nothing():
    view = centre_view(np.array([0, 12]), geometry(2))
    assert view.frames_NT.tolist() == [list(range(8)), list(range(12, 20))]
    assert view.tops_N.tolist() == [4, 4]
    assert view.lefts_N.tolist() == [6, 6]
    assert not view.flips_N.any()
