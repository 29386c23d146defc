"""Pixel augmentations against torchvision.transforms.v2, which processes one clip at a time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms.v2 import functional as v2

from agrm_study.training.augment import pixels
from agrm_study.training.augment.colour import colour_matrices, contrast_offsets, hue_rotation
from agrm_study.training.augment.pixels import MEAN, STD, Renderer
from agrm_study.training.augment.views import View

SIZE, FRAMES = 16, 3


def plain_view(count: int, **parameters: object) -> View:
    view = View(
        frames_NT=np.zeros((count, FRAMES), dtype=np.int64),
        tops_N=np.zeros(count, dtype=np.int64),
        lefts_N=np.zeros(count, dtype=np.int64),
        flips_N=np.zeros(count, dtype=bool),
    )
    return dataclasses.replace(view, **parameters)


def colour_view(brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0) -> View:
    factors = [np.array([float(value)]) for value in (brightness, contrast, saturation, hue)]
    return plain_view(
        1, matrices_N33=colour_matrices(*factors), mean_weights_N3=contrast_offsets(factors[0], factors[1])
    )


def still_clip(seed: int = 0, low: int = 0, high: int = 256) -> torch.Tensor:
    """One frame, FRAMES times: (1, T, 3, S, S) uint8."""
    frame = np.random.default_rng(seed).integers(low, high, (1, 1, 3, SIZE, SIZE), dtype=np.uint8)
    return torch.from_numpy(np.repeat(frame, FRAMES, axis=1))


def image(rendered_BCTHW: torch.Tensor) -> torch.Tensor:
    """Undo the normalisation: (T, 3, S, S) in [0, 1] of the first clip."""
    mean, std = torch.tensor(MEAN)[:, None, None, None], torch.tensor(STD)[:, None, None, None]
    return (rendered_BCTHW[0] * std + mean).transpose(0, 1)


def reference(clip: torch.Tensor) -> torch.Tensor:
    return clip[0].float() / 255


def test_a_plain_view_is_the_normalised_clip():
    clip = still_clip()
    wanted = v2.normalize(clip[0].float() / 255, list(MEAN), list(STD))
    rendered = Renderer(0, SIZE)(clip.clone(), plain_view(1))
    torch.testing.assert_close(rendered[0].transpose(0, 1), wanted, rtol=0, atol=2e-6)


def test_the_result_is_channels_last_in_memory():
    assert Renderer(0, SIZE)(still_clip(), plain_view(1)).is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4])
def test_brightness_contrast_and_saturation_equal_torchvision(factor):
    clip = still_clip()
    render = Renderer(0, SIZE)
    for name, adjust in (
        ("brightness", v2.adjust_brightness),
        ("contrast", v2.adjust_contrast),
        ("saturation", v2.adjust_saturation),
    ):
        mine = image(render(clip.clone(), colour_view(**{name: factor})))
        torch.testing.assert_close(mine, adjust(reference(clip), factor), rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("turns", [-1 / 3, 0.0, 1 / 3])
def test_a_hue_shift_by_a_third_of_a_turn_equals_torchvision(turns):
    clip = still_clip()
    mine = image(Renderer(0, SIZE)(clip.clone(), colour_view(hue=turns)))
    torch.testing.assert_close(mine, v2.adjust_hue(reference(clip), turns), rtol=0, atol=2e-3)


def test_a_small_hue_shift_is_close_to_torchvision_on_colours_as_they_are_filmed():
    """Stated tolerance: 0.03 on average over pixels with up to 0.3 between their channels, shifts up to 0.1 turns."""
    grey = np.random.default_rng(1).integers(60, 160, (1, 1, 1, SIZE, SIZE))
    tint = np.random.default_rng(2).integers(0, 76, (1, 1, 3, SIZE, SIZE))
    clip = torch.from_numpy(np.repeat(grey + tint, FRAMES, axis=1).astype(np.uint8))
    for turns in (-0.1, -0.05, 0.05, 0.1):
        mine = image(Renderer(0, SIZE)(clip.clone(), colour_view(hue=turns)))
        assert (mine - v2.adjust_hue(reference(clip), turns)).abs().mean() < 0.03


def test_all_four_in_order_are_close_to_torchvision_one_after_another():
    """Stated tolerance: 0.03 on average over a mid-grey clip, for factors within 0.4 and hues within 0.1 turns."""
    rng = np.random.default_rng(3)
    clip = still_clip(3, 70, 150)
    for _ in range(10):
        brightness, contrast, saturation = rng.uniform(0.6, 1.4, 3)
        hue = rng.uniform(-0.1, 0.1)
        wanted = v2.adjust_contrast(v2.adjust_brightness(reference(clip), brightness), contrast)
        wanted = v2.adjust_hue(v2.adjust_saturation(wanted, saturation), hue)
        mine = image(Renderer(0, SIZE)(clip.clone(), colour_view(brightness, contrast, saturation, hue)))
        assert (mine - wanted).abs().mean() < 0.03


def test_the_contrast_turns_about_the_mean_of_the_whole_clip():
    """torchvision turns about each frame's own; on a clip that flickers by 10 % they differ by less than 0.03."""
    frames = [still_clip(4).float() * scale for scale in (0.9, 1.0, 1.1)]
    clip = torch.cat([frame[:, :1] for frame in frames], dim=1).clamp(0, 255).to(torch.uint8)
    mine = image(Renderer(0, SIZE)(clip.clone(), colour_view(contrast=0.6)))
    grey = (reference(clip) * torch.tensor([0.2989, 0.587, 0.114])[:, None, None]).sum(1).mean()
    torch.testing.assert_close(mine, (0.6 * reference(clip) + 0.4 * grey).clamp(0, 1), rtol=0, atol=1e-5)
    assert (mine - v2.adjust_contrast(reference(clip), 0.6)).abs().max() < 0.03


def test_a_hue_rotation_leaves_grey_alone_and_keeps_the_sum_of_the_channels():
    rotation = hue_rotation(np.array([0.07, -0.4]))
    np.testing.assert_allclose(rotation @ np.ones(3), np.ones((2, 3)), atol=1e-12)
    np.testing.assert_allclose(rotation.sum(axis=1), np.ones((2, 3)), atol=1e-12)
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-12
    )


def test_flip_equals_torchvision_and_touches_only_the_clips_it_is_drawn_for():
    clips = torch.cat([still_clip(5), still_clip(6)])
    render = Renderer(0, SIZE)
    plain = render(clips.clone(), plain_view(2))
    flipped = render(clips.clone(), plain_view(2, flips_N=np.array([False, True])))
    assert torch.equal(flipped[0], plain[0])
    assert torch.equal(flipped[1], v2.horizontal_flip(plain[1]))


def test_erasing_equals_torchvision_with_the_mean_colour():
    clip = still_clip(7)
    plain = Renderer(0, SIZE)(clip.clone(), plain_view(1))
    erased = Renderer(0, SIZE)(clip.clone(), plain_view(1, boxes_N4=np.array([[2, 3, 5, 7]])))
    wanted = v2.erase(plain[0].transpose(0, 1), 2, 3, 5, 7, torch.zeros(1, 1, 1, 1)).transpose(0, 1)
    assert torch.equal(erased[0], wanted)


def test_tubes_fill_the_hidden_patches_of_every_frame_with_the_mean_colour_and_touch_no_other_pixel():
    rng = np.random.default_rng(9)
    clips = torch.from_numpy(rng.integers(0, 256, (3, FRAMES, 3, SIZE, SIZE), dtype=np.uint8))
    hidden = rng.random((3, 4, 4)) < 0.5
    plain = Renderer(0, SIZE)(clips.clone(), plain_view(3))
    tubes = Renderer(0, SIZE)(clips.clone(), plain_view(3, hidden_NGG=hidden))
    pixels = np.stack([np.kron(patches, np.ones((4, 4))) for patches in hidden])[:, None, None]
    assert torch.equal(tubes, plain.where(torch.from_numpy(pixels) == 0, torch.zeros(())))
    assert tubes.is_contiguous(memory_format=torch.channels_last_3d)


def test_noise_is_standard_normal_times_sigma_and_the_same_sigma_in_all_frames():
    grey = torch.full((2, FRAMES, 3, SIZE, SIZE), 128, dtype=torch.uint8)
    starts = np.random.default_rng(0).random((2, FRAMES))
    view = plain_view(2, sigmas_N=np.array([0.0, 0.05]), noise_starts_NT=starts)
    rendered = Renderer(0, SIZE)(grey, view)
    noise = image(rendered[1:]) - 128 / 255
    assert torch.allclose(image(rendered[:1]), torch.full_like(noise, 128 / 255), atol=1e-6)
    assert stats.kstest(noise.numpy().ravel() / 0.05, "norm").pvalue > 1e-3
    for frame in noise:
        assert frame.std().item() == pytest.approx(0.05, rel=0.15)
    assert not torch.equal(noise[0], noise[1])


def test_noise_depends_on_the_seed_and_nothing_else():
    view = plain_view(1, sigmas_N=np.array([0.1]), noise_starts_NT=np.full((1, FRAMES), 0.25))
    clip = still_clip()
    first, again = Renderer(3, SIZE)(clip.clone(), view), Renderer(3, SIZE)(clip.clone(), view)
    assert torch.equal(first, again)
    assert not torch.equal(first, Renderer(4, SIZE)(clip.clone(), view))


def test_values_stay_within_the_picture_after_colours_and_noise():
    view = dataclasses.replace(
        colour_view(brightness=1.4), sigmas_N=np.array([0.5]), noise_starts_NT=np.zeros((1, FRAMES))
    )
    mine = image(Renderer(0, SIZE)(still_clip(), view))
    assert mine.min() >= -1e-6
    assert mine.max() <= 1 + 1e-6


def test_working_off_a_batch_in_runs_of_clips_changes_no_bit(monkeypatch):
    rng = np.random.default_rng(8)
    clips = torch.from_numpy(rng.integers(0, 256, (5, FRAMES, 3, SIZE, SIZE), dtype=np.uint8))
    factors = [rng.uniform(0.6, 1.4, 5) for _ in range(3)] + [rng.uniform(-0.1, 0.1, 5)]
    view = plain_view(
        5,
        flips_N=rng.random(5) < 0.5,
        matrices_N33=colour_matrices(*factors),
        mean_weights_N3=contrast_offsets(factors[0], factors[1]),
        sigmas_N=rng.random(5) * 0.05,
        noise_starts_NT=rng.random((5, FRAMES)),
        boxes_N4=np.array([[0, 0, 0, 0]] * 4 + [[1, 1, 4, 4]]),
    )
    whole = Renderer(0, SIZE)(clips.clone(), view)
    monkeypatch.setattr(pixels, "_CACHE_VALUES", 1)
    assert torch.equal(Renderer(0, SIZE)(clips.clone(), view), whole)
