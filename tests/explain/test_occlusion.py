"""Occlusion finds the region that a network uses, and the deletion curve separates a good map from chance."""

import numpy as np
import pytest
import torch

from agrm_study.explain.occlusion import FRACTIONS, deletion_curve, region_effects

FRAMES, SIZE = 2, 12


def masks():
    knee, trunk = np.zeros((2, FRAMES, SIZE, SIZE), dtype=bool)
    knee[:, 6:8, 4:8] = True
    trunk[:, 0:3, 4:8] = True
    return {"knee": knee, "trunk": trunk, "background": np.zeros_like(knee)}


def looks_at(mask):
    """Logit 1 is the sum of the region's values, logit 0 is nothing."""

    def predict(clips_BCTHW):
        seen = (clips_BCTHW * torch.from_numpy(mask)).sum(dim=(1, 2, 3, 4))
        return torch.stack([torch.zeros_like(seen), seen], dim=1)

    return predict


def effects_of(predict, clip, found, rng):
    return region_effects(predict, clip, predict(clip[None])[0], 1, found, rng)


def curve_of(predict, clip, map_THW):
    ends_2K = predict(torch.stack([clip, torch.zeros_like(clip)]))
    return deletion_curve(predict, clip, ends_2K, 1, map_THW, np.random.default_rng(0))


def test_only_the_region_that_the_network_sees_costs_its_logit():
    clip, found = torch.ones(3, FRAMES, SIZE, SIZE), masks()
    effects = effects_of(looks_at(found["knee"]), clip, found, np.random.default_rng(0))
    assert effects["knee"].drop == 3 * found["knee"].sum()
    assert effects["knee"].area == found["knee"].mean()
    assert effects["knee"].changes == 0.0  # both logits are 0 then, and p = 0.5 still decides for class 1
    assert effects["trunk"].drop == 0.0
    assert effects["trunk"].changes == 0.0


def test_random_places_cost_less_than_the_right_one_but_not_nothing():
    clip, found = torch.ones(3, FRAMES, SIZE, SIZE), masks()
    rng = np.random.default_rng(0)
    elsewhere = [effects_of(looks_at(found["knee"]), clip, found, rng)["knee"].elsewhere for _ in range(400)]
    # A shape at a place drawn from all places covers each pixel with the probability of its area.
    whole, area = 3 * found["knee"].sum(), found["knee"].mean()
    assert np.mean(elsewhere) == pytest.approx(whole * area, rel=0.35)


def test_a_region_that_the_crop_does_not_show_is_not_measured():
    clip, found = torch.ones(3, FRAMES, SIZE, SIZE), masks()
    effect = effects_of(looks_at(found["knee"]), clip, found, np.random.default_rng(0))["background"]
    assert effect.area == 0.0
    assert np.isnan([effect.drop, effect.elsewhere, effect.changes]).all()


def test_deletion_by_a_true_map_falls_faster_than_by_chance():
    seen = np.zeros((FRAMES, SIZE, SIZE), dtype=bool)
    seen[:, :4, :4] = True
    map_THW = torch.zeros(1, 3, 3)
    map_THW[0, 0, 0] = 1.0
    predict, clip = looks_at(seen), torch.full((3, FRAMES, SIZE, SIZE), 0.1)
    found = curve_of(predict, clip, map_THW)
    assert found.auc < found.auc_random
    sure = 1 / (1 + np.exp(-0.1 * 3 * seen.sum()))
    assert found.by_map[0] == pytest.approx(sure, rel=1e-5)
    assert found.by_map[-1] == pytest.approx(0.5)  # nothing is left: two equal logits
    assert not found.flat


def test_the_area_under_a_constant_curve_is_its_height():
    found = curve_of(lambda clips: torch.zeros(len(clips), 4), torch.ones(3, 2, 6, 6), torch.rand(1, 2, 2))
    assert found.auc == found.auc_random == pytest.approx(0.25)
    assert len(found.by_map) == len(FRACTIONS)


def test_a_map_without_relief_is_told():
    predict = looks_at(masks()["knee"])
    assert curve_of(predict, torch.ones(3, 2, 12, 12), torch.zeros(1, 3, 3)).flat


def test_a_clip_costs_at_most_27_forward_passes_with_its_map_and_its_evaluation():
    seen, found = [], {str(k): masks()["knee"] for k in range(5)}

    def predict(clips):
        seen.append(len(clips))
        return torch.zeros(len(clips), 2)

    clip, ends = torch.ones(3, FRAMES, SIZE, SIZE), torch.zeros(2, 2)
    region_effects(predict, clip, ends[0], 1, found, np.random.default_rng(0))
    deletion_curve(predict, clip, ends, 1, torch.rand(1, 3, 3), np.random.default_rng(0))
    assert sum(seen) + 1 + 1 + 5 <= 27  # the map, the whole clip, and five windows of the evaluation
