"""Corruptions of clips: their effect on the pixels, by severity, and their reproducibility."""

import re

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from agrm_study.execution.corruptions import CORRUPTIONS, corrupted, image, time
from agrm_study.execution.corruptions.compression import CRF
from agrm_study.records.evaluations import SEVERITIES
from agrm_study.report.robustness import MEANINGS, TITLES

FPS = 12.5


def smooth_clip(length=24, height=91, width=121):
    """A picture of smooth blobs that moves, (T, 3, H, W)."""
    rng = np.random.default_rng(3)
    noise = gaussian_filter(rng.normal(size=(3, height, width)), (0, 5, 5), mode="wrap")
    picture = np.clip(128 + 90 * noise / noise.std(), 0, 255).astype(np.uint8)
    return np.stack([np.roll(picture, 2 * t, axis=2) for t in range(length)])


CLIP = smooth_clip()


def of(kind, severity, clip=CLIP, clip_id="a", seed=0):
    return corrupted(clip, kind, severity, fps=FPS, clip_id=clip_id, seed=seed)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_keeps_shape_and_type_is_equal_each_time_and_grows_with_severity(kind):
    before = CLIP.copy()
    found = [of(kind, severity) for severity in SEVERITIES]
    assert all(x.shape == CLIP.shape and x.dtype == np.uint8 for x in found)
    assert (of(kind, 3) == found[2]).all()
    changes = [np.abs(x.astype(int) - CLIP).mean() for x in found]
    assert changes == sorted(changes)
    assert changes[0] > 0
    assert (before == CLIP).all()


@pytest.mark.parametrize("kind", ["occlusion", "low_light", "frame_drop", "jitter"])
def test_clips_and_seeds_have_random_numbers_of_their_own(kind):
    assert (of(kind, 3) != of(kind, 3, clip_id="b")).any()
    assert (of(kind, 3) != of(kind, 3, seed=1)).any()


@pytest.mark.parametrize("severity", SEVERITIES)
def test_an_occlusion_hides_its_share_of_the_frame_at_one_place_within_that_of_the_next_severity(severity):
    black = np.zeros((5, 3, 200, 300), np.uint8)
    hidden = of("occlusion", severity, black) == image.GREY
    assert hidden[0].mean() == pytest.approx(image.HIDDEN[severity - 1], rel=0.02)
    assert (hidden == hidden[0, 0]).all()
    if severity < 5:
        more = of("occlusion", severity + 1, black) == image.GREY
        edges = hidden.sum() - (hidden & more).sum()
        assert edges <= 5 * 3 * 500  # at most a row and a column, by rounding


def test_blur_is_a_gaussian_filter_whose_width_scales_with_the_frame():
    sigma = image.BLUR[2] * 91 / image.REFERENCE_SIDE
    expected = gaussian_filter(CLIP.astype(float), (0, 0, sigma, sigma), mode="nearest", truncate=6)
    assert np.abs(of("blur", 3) - expected).max() <= 2.5  # rounding and a shorter kernel


def test_low_light_has_its_share_of_the_light_and_the_noise_of_its_photons():
    grey = np.full((40, 3, 60, 60), 200, np.uint8)
    light = image.linear(of("low_light", 4, grey) / 255)
    full = float(image.linear(np.array(200 / 255)))
    assert light.mean() == pytest.approx(image.LIGHT[3] * full, rel=0.01)
    photons = image.LIGHT[3] * full * image.PHOTONS
    assert light.std() / light.mean() == pytest.approx(1 / np.sqrt(photons), rel=0.05)
    values = np.linspace(0, 1, 256)
    assert image.encoded(image.linear(values)) == pytest.approx(values, abs=1e-6)


def numbered(length):
    return np.broadcast_to(np.arange(length, dtype=np.uint8)[:, None, None, None], (length, 3, 2, 2))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_dropped_frames_show_the_last_one_before_and_stay_dropped_at_higher_severities(severity):
    shown = of("frame_drop", severity, numbered(250))[:, 0, 0, 0].astype(int)
    lost = shown != np.arange(250)
    assert lost.mean() == pytest.approx(time.DROPPED[severity - 1], abs=0.08)
    assert shown[0] == 0
    assert (shown[~lost] == np.flatnonzero(~lost)).all()
    assert (np.diff(shown) >= 0).all()
    if severity < 5:
        later = of("frame_drop", severity + 1, numbered(250))[:, 0, 0, 0]
        assert (later != np.arange(250))[lost].all()


@pytest.mark.parametrize("severity", SEVERITIES)
def test_jitter_moves_frames_by_at_most_its_reach_and_uses_all_of_it(severity):
    shown = of("jitter", severity, numbered(250))[:, 0, 0, 0].astype(int)
    reach = time.REACH[severity - 1]
    moved = (shown - np.arange(250))[10:-10]
    assert set(moved) == set(range(-reach, reach + 1))


def test_compression_loses_more_at_each_severity_and_accepts_odd_sizes_and_single_frames():
    errors = [((of("compression", s).astype(float) - CLIP) ** 2).mean() for s in SEVERITIES]
    assert errors == sorted(errors)
    assert errors[-1] > 2 * errors[0]
    assert of("compression", 5, CLIP[:1, :, :19, :17]).shape == (1, 3, 19, 17)


def test_the_table_states_the_constants_of_every_corruption():
    assert set(TITLES) == set(MEANINGS) == set(CORRUPTIONS)
    stated = {kind: [float(x) for x in re.findall(r"\d+(?:\.\d+)?", text)][:5] for kind, text in MEANINGS.items()}
    assert stated["occlusion"] == [100 * x for x in image.HIDDEN]
    assert stated["blur"] == list(image.BLUR)
    assert stated["low_light"] == pytest.approx([100 * x for x in image.LIGHT])
    assert f"{image.PHOTONS:.0f}" in MEANINGS["low_light"]
    assert stated["frame_drop"] == [100 * x for x in time.DROPPED]
    assert stated["jitter"] == list(time.REACH)
    assert [float(x) for x in re.findall(r"\d+", MEANINGS["compression"])[1:]] == list(CRF)
