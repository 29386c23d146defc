"""FreeMatch's self-adaptive fairness loss, against the paper's formula computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from agrm_study.study.ssl_settings import Threshold
from agrm_study.training.loop import Training
from agrm_study.training.ssl.fairness import fairness_loss
from agrm_study.training.ssl.thresholds import build_policy

EXPECTED, HISTOGRAM = torch.tensor([0.6, 0.4]), torch.tensor([0.75, 0.25])


def test_the_loss_is_the_papers_formula() -> None:
    """p̃/h̃ = (0.8, 1.6), SumNorm (1/3, 2/3). Accepted rows (0.9, 0.1), (0.3, 0.7): p̄ = (0.6, 0.4), h̄ = (0.5, 0.5),
    p̄/h̄ = (1.2, 0.8), SumNorm (0.6, 0.4). −H = ⅓ ln 0.6 + ⅔ ln 0.4. The third row is rejected."""
    probs = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.01, 0.99]])
    loss = fairness_loss(probs.log(), torch.tensor([1.0, 1.0, 0.0]), EXPECTED, HISTOGRAM)
    assert loss.item() == pytest.approx(math.log(0.6) / 3 + 2 * math.log(0.4) / 3, rel=1e-6)


def test_a_class_that_no_accepted_clip_has_counts_as_in_the_authors_code() -> None:
    """h̄ = (1, 0): its ratio is 0, SumNorm is (1, 0), and the logarithm is that of 1e-12."""
    probs = torch.tensor([[0.9, 0.1], [0.7, 0.3]])
    loss = fairness_loss(probs.log(), torch.ones(2), EXPECTED, HISTOGRAM)
    assert loss.item() == pytest.approx(2 / 3 * math.log(1e-12), rel=1e-5)


def test_without_an_accepted_clip_loss_and_gradient_are_zero() -> None:
    logits = torch.tensor([[1.0, -1.0], [0.5, 0.0]], requires_grad=True)
    loss = fairness_loss(torch.log_softmax(logits, dim=1), torch.zeros(2), EXPECTED, HISTOGRAM)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.abs().sum().item() == 0.0


def test_the_gradient_is_that_of_the_formula_with_constant_histograms() -> None:
    rng = np.random.default_rng(0)
    logits = torch.tensor(rng.normal(size=(6, 3)), requires_grad=True)
    weights = torch.tensor([1.0, 1, 0, 1, 1, 1], dtype=torch.float64)
    expected, histogram = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.5, 0.3])
    assert torch.autograd.gradcheck(
        lambda x: fairness_loss(torch.log_softmax(x, dim=1), weights, expected, histogram), (logits,)
    )


def test_the_policy_averages_the_histogram_as_it_does_the_probabilities() -> None:
    """Momentum 0.5, rows (0.9, 0.1), (0.6, 0.4), (0.2, 0.8): h = (2/3, 1/3), h̃ = (7/12, 5/12); p̃ = (8/15, 7/15)."""
    policy = build_policy(Threshold(policy="freematch", momentum=0.5, fairness=0.25), 2, 3)
    probs = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    weights = policy.select(probs, torch.arange(3))
    state = policy.state_dict()
    assert state["histogram"].tolist() == pytest.approx([7 / 12, 5 / 12])
    assert state["probs"].tolist() == pytest.approx([8 / 15, 7 / 15])
    penalty = policy.penalty(probs.log(), weights)
    wanted = fairness_loss(probs.log(), weights, state["probs"], state["histogram"])
    assert penalty is not None
    assert penalty.item() == pytest.approx(0.25 * wanted.item())


def test_without_fairness_the_policy_is_the_threshold_alone() -> None:
    policy = build_policy(Threshold(policy="freematch"), 2, 3)
    assert policy.penalty(torch.zeros(1, 2), torch.ones(1)) is None
    assert set(policy.state_dict()) == {"tau", "probs"}


@pytest.mark.parametrize("alignment", ["none", "uniform"])
def test_the_loss_is_recorded_where_there_is_one(tiny_data, tiny_recipe, alignment) -> None:
    for fairness in (0.0, 0.5):
        threshold = {"policy": "freematch", "fairness": fairness, "alignment": alignment}
        training = Training(tiny_recipe(epochs=3, ssl__threshold=threshold), **tiny_data.arguments)
        while not training.done:
            training.run_epoch()
        last = next(row for row in reversed(training.rows) if row.split == "train")
        terms = last.training
        assert ("loss_penalty" in terms) == (fairness > 0)
        total = terms["loss_consistency"] + terms["loss_pseudo"] + terms.get("loss_penalty", 0.0)
        assert last.loss == pytest.approx(terms["loss_supervised"] + terms["ramp_weight"] * total)
