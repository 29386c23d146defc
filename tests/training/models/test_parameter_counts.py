"""Networks have the published numbers of parameters (counted without memory, on the meta device)."""

import pytest

from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.build import build_model, count_parameters

AVERAGE = Pooling(name="average")


@pytest.mark.parametrize(
    ("backbone", "kinetics", "three_classes"),
    [
        ("r3d_18", 33_371_472, 33_167_811),
        ("r2plus1d_18", 31_505_325, 31_301_664),
        ("mc3_18", 11_695_440, 11_491_779),
        ("uniformer_s", 21_400_400, 21_196_739),
    ],
)
def test_published_networks_have_their_published_size(backbone, kinetics, three_classes):
    model = Model(backbone=backbone, pooling=AVERAGE)
    assert count_parameters(model, n_outputs=400, frames=16, size=224) == kinetics
    assert count_parameters(model, n_outputs=3, frames=16, size=224) == three_classes


@pytest.mark.parametrize(
    ("size", "head", "count"),
    [
        (112, "flatten", 78_008_067),
        (112, "adaptive", 78_008_067),
        (224, "flatten", 178_671_363),
        (224, "adaptive", 78_008_067),
    ],
)
def test_c3d_grows_with_the_clip_only_when_it_flattens(size, head, count):
    model = Model(backbone="c3d", head=head, pooling=AVERAGE)
    assert count_parameters(model, n_outputs=3, frames=16, size=size) == count


@pytest.mark.parametrize(
    ("pooling", "values"),
    [
        (Pooling(name="shpm"), 21 * 512),
        (Pooling(name="shpm", combine="concat"), 2 * 21 * 512),
        (Pooling(name="shpm", bins=((1, 1), (2, 1), (4, 1))), 7 * 512),
        (Pooling(name="shpm", temporal="flatten"), 2 * 21 * 512),
        (Pooling(name="hpp"), 7 * 512),
        (Pooling(name="max"), 512),
        (Pooling(name="average", temporal="flatten"), 2 * 512),
    ],
)
def test_the_head_of_r3d_18_reads_every_pooled_value_once(pooling, values):
    trunk = 33_167_811 - (512 * 3 + 3)
    assert count_parameters(Model(pooling=pooling), n_outputs=3, frames=16, size=112) == trunk + values * 3 + 3


def test_r3d_18_with_the_paper_s_bins_has_the_published_size():
    assert count_parameters(Model(), n_outputs=3, frames=16, size=224) == 33_198_531


def test_the_cosine_head_has_no_bias():
    linear = count_parameters(Model(width=8), n_outputs=3, frames=8, size=48)
    assert count_parameters(Model(width=8, classifier="arcface"), n_outputs=3, frames=8, size=48) == linear - 3


def test_the_count_is_that_of_the_network_built():
    model = Model(width=8, depth=10)
    network = build_model(model, n_outputs=3, frames=8, size=48, seed=0)
    counted = count_parameters(model, n_outputs=3, frames=8, size=48)
    assert sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad) == counted


@pytest.mark.parametrize(("depth", "convolutions"), [(10, 12), (18, 20), (34, 36)])
def test_depth_counts_convolutions_beside_shortcuts_and_the_classifier(depth, convolutions):
    network = build_model(Model(width=8, depth=depth), n_outputs=3, frames=8, size=48, seed=0)
    weights = [value for value in network.state_dict().values() if value.ndim == 5]
    shortcuts = 3
    assert len(weights) == depth - 1 + shortcuts == convolutions
