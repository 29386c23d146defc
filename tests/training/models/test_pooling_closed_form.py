"""Pooling layers match their formulas, on maps small enough to compute by hand."""

import math

import pytest
import torch

from agrm_study.study.recipe import Pooling
from agrm_study.training.models.pooling import pooling_class
from agrm_study.training.models.pooling.grids import by_slices, pool_grids


def pool(features_BDTHW, **settings):
    layer = pooling_class(settings["name"])(Pooling(**settings), steps=features_BDTHW.shape[2])
    return layer(features_BDTHW)


def volume(rows, columns, frames=1, features=1):
    """Numbers 0, 1, 2, … in reading order."""
    count = features * frames * rows * columns
    return torch.arange(float(count)).view(1, features, frames, rows, columns)


def test_average_and_maximum_of_a_two_by_two_map():
    features = volume(2, 2, frames=2)  # frames [0 1 2 3] and [4 5 6 7]
    assert pool(features, name="average").tolist() == [[3.5]]
    assert pool(features, name="average", temporal="max").tolist() == [[5.5]]
    assert pool(features, name="average", temporal="flatten").tolist() == [[1.5, 5.5]]
    assert pool(features, name="max").tolist() == [[5.0]]
    assert pool(features, name="max", temporal="max").tolist() == [[7.0]]
    assert pool(features, name="max", temporal="flatten").tolist() == [[3.0, 7.0]]


def test_shpm_adds_average_and_maximum_of_each_bin():
    features = volume(2, 2)
    pooled = pool(features, name="shpm", bins=((1, 1), (2, 2)))
    assert pooled.tolist() == [[1.5 + 3, 0.0, 2.0, 4.0, 6.0]]


def test_shpm_with_concat_keeps_averages_before_maxima():
    features = volume(2, 4)  # rows 0 1 2 3 / 4 5 6 7
    pooled = pool(features, name="shpm", bins=((1, 2),), combine="concat")
    assert pooled.tolist() == [[2.5, 4.5, 5.0, 7.0]]


def test_hpp_takes_stripes_and_ignores_columns():
    features = volume(4, 3)  # stripes of two rows: 0..5 and 6..11
    assert pool(features, name="hpp", bins=((2, 3),)).tolist() == [[2.5 + 5, 8.5 + 11]]


def test_the_maximum_is_taken_in_each_frame_before_the_mean_over_time():
    features = torch.tensor([[0.0, 4.0], [2.0, 0.0]]).view(1, 1, 2, 1, 2)
    assert pool(features, name="shpm", bins=((1, 1),)).tolist() == [[(2 + 4 + 1 + 2) / 2]]
    assert pool(features, name="shpm", bins=((1, 1),), temporal="max").tolist() == [[6.0]]
    assert pool(features, name="shpm", bins=((1, 1),), temporal="flatten").tolist() == [[6.0, 3.0]]


def test_seven_rows_in_two_bins_share_the_middle_row():
    features = volume(7, 1)
    assert pool(features, name="hpp", bins=((2, 1),), combine="concat").tolist() == [[1.5, 4.5, 3.0, 6.0]]


def test_a_map_with_fewer_rows_than_bins_repeats_rows():
    features = volume(3, 1)  # four bins over three rows: {0}, {0,1}, {1,2}, {2}
    assert pool(features, name="hpp", bins=((4, 1),), combine="concat").tolist() == [
        [0.0, 0.5, 1.5, 2.0, 0.0, 1.0, 2.0, 2.0]
    ]
    assert pool(volume(1, 1) + 5, name="shpm", bins=((2, 2),)).tolist() == [[10.0] * 4]


@pytest.mark.parametrize("rows", range(1, 10))
@pytest.mark.parametrize("bins", range(1, 8))
def test_every_row_and_column_is_in_the_bins_that_the_formula_says(rows, bins):
    features = torch.randn(2, 3, 2, rows, rows + 1, generator=torch.Generator().manual_seed(rows * 10 + bins))
    pooled = pool_grids(features, [(bins, bins)], "concat")

    def spans(length):
        return [(math.floor(i * length / bins), math.ceil((i + 1) * length / bins)) for i in range(bins)]

    covered = {row for start, end in spans(rows) for row in range(start, end)}
    assert covered == set(range(rows))
    place = 0
    for top, bottom in spans(rows):
        for left, right in spans(rows + 1):
            window = features[..., top:bottom, left:right]
            assert torch.allclose(pooled[:, :3, :, place], window.mean((3, 4)), atol=1e-6)
            assert torch.equal(pooled[:, 3:, :, place], window.amax((3, 4)))
            place += 1
    assert place == pooled.shape[3]


def test_values_of_a_feature_stand_together_in_the_vector():
    features = volume(2, 2, features=2)  # feature 1 is feature 0 plus 4
    pooled = pool(features, name="shpm", bins=((1, 1), (2, 1)), combine="sum")
    assert pooled.tolist() == [[4.5, 1.5, 5.5, 12.5, 9.5, 13.5]]


def test_the_memory_layout_does_not_change_the_vector():
    features = torch.randn(2, 8, 2, 7, 7, generator=torch.Generator().manual_seed(0))
    for name in ("average", "max", "hpp", "shpm"):
        first, second = pool(features, name=name), pool(features.to(memory_format=torch.channels_last_3d), name=name)
        assert torch.allclose(first, second, atol=1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 2), (4, 4), (2, 1), (3, 5)])
def test_pooling_by_slices_equals_torchs_adaptive_pooling(rows, columns):
    features = torch.randn(2, 3, 2, 7, 6, generator=torch.Generator().manual_seed(0))
    average, maximum = by_slices(features, rows, columns)
    torch.testing.assert_close(average, torch.nn.functional.adaptive_avg_pool3d(features, (2, rows, columns)))
    torch.testing.assert_close(maximum, torch.nn.functional.adaptive_max_pool3d(features, (2, rows, columns)))
