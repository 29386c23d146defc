"""Pseudo-labels about which the labelling network is uncertain are rejected."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from agrm_study.training.loop import Training
from agrm_study.training.ssl.uncertainty import dropping, spread


def test_the_spread_is_the_sample_deviation_of_the_labels_probability() -> None:
    """Class 1 of the first clip: 0.6, 0.8, 0.7, deviation 0.1. Class 0 of the second: always 0.9."""
    probs = torch.tensor([[[0.4, 0.6], [0.9, 0.1]], [[0.2, 0.8], [0.9, 0.1]], [[0.3, 0.7], [0.9, 0.1]]])
    assert spread(probs, torch.tensor([1, 0])).tolist() == pytest.approx([0.1, 0.0], abs=1e-7)


def test_two_views_differ_by_their_distance_over_the_root_of_two() -> None:
    probs = torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]])
    assert spread(probs, torch.tensor([0]))[0].item() == pytest.approx(0.4 / 2**0.5)


def test_only_dropout_is_switched_on_and_only_inside() -> None:
    network = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.Dropout(0.5)).eval()
    clips = torch.randn(4, 64)
    with torch.no_grad():
        before, statistics = network(clips), network[1].running_mean.clone()
        with dropping(network):
            assert not network[1].training
            one, two = network(clips), network(clips)
        after = network(clips)
    assert not torch.equal(one, two)
    assert torch.equal(before, after)
    assert torch.equal(network[1].running_mean, statistics)


@pytest.mark.parametrize(
    ("kind", "more"), [("dropout", {"model__dropout": 0.4}), ("views", {}), ("views", {"ssl__method": "fixmatch"})]
)
def test_a_smaller_limit_accepts_fewer_clips(tiny_data, tiny_recipe, kind, more):
    coverage = []
    for limit in (1e-6, 1.0):
        pseudo = {"uncertainty": kind, "uncertainty_max": limit, "uncertainty_passes": 3}
        recipe = tiny_recipe(epochs=3, ssl__pseudo=pseudo, ssl__ramp={"epochs": 1}, ssl__threshold={"tau": 0.0}, **more)
        training = Training(recipe, **tiny_data.arguments)
        while not training.done:
            training.run_epoch()
        rows = [row.training for row in training.rows if row.split == "train" and row.training["ramp_weight"] > 0]
        coverage.append([row["pseudo_coverage"] for row in rows])
    assert coverage == [[0.0], [1.0]]
