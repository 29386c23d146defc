"""Distribution alignment and AdaMatch's threshold, against sequences computed by hand from the papers."""

from __future__ import annotations

import pytest
import torch

from agrm_study.study.ssl_settings import Threshold
from agrm_study.training.ssl.thresholds import build_policy

IDS = torch.tensor([0, 1])


def rows(*probs: float) -> torch.Tensor:
    """Two-class probabilities with the given probability of class 0."""
    return torch.tensor([[p, 1 - p] for p in probs], dtype=torch.float64)


def test_uniform_alignment_weighs_by_aligned_probabilities_and_leaves_the_labels() -> None:
    """Batch means (0.7, 0.3) = p_model. Row (0.9, 0.1): (0.9/0.7, 0.1/0.3) normalised is (0.79412, 0.20588);
    row (0.5, 0.5): (0.5/0.7, 0.5/0.3) normalised is (0.3, 0.7)."""
    policy = build_policy(Threshold(tau=0.75, alignment="uniform", momentum=0.5), 2, 2)
    probs = rows(0.9, 0.5)
    assert policy.targets(probs, learn=True) is probs
    assert policy.select(probs, IDS).tolist() == [1, 0]
    assert policy.confidence(probs).tolist() == pytest.approx([27 / 34, 0.7])
    # Second batch: means (0.4, 0.6), p_model = 0.5·(0.7, 0.3) + 0.5·(0.4, 0.6) = (0.55, 0.45).
    # Row (0.2, 0.8): (0.36364, 1.77778) normalised: class 1 has 0.83019. Row (0.6, 0.4): 1.09091/(1.09091 + 0.88889).
    assert policy.select(rows(0.2, 0.6), IDS).tolist() == [1, 0]
    assert policy.state_dict()["alignment.model"].tolist() == pytest.approx([0.55, 0.45])
    aligned = (0.8 / 0.45) / (0.2 / 0.55 + 0.8 / 0.45)
    assert policy.confidence(rows(0.2))[0].item() == pytest.approx(aligned)


def test_alignment_to_the_labelled_classes_changes_the_pseudo_label() -> None:
    """Labelled clips 1 : 3, p_model (0.6, 0.4): row (0.6, 0.4) becomes (0.25, 0.75), so its label turns to class 1."""
    policy = build_policy(Threshold(tau=0.7, alignment="labels"), 2, 1, [5, 15])
    aligned = policy.targets(rows(0.6), learn=True)
    assert aligned[0].tolist() == pytest.approx([0.25, 0.75])
    assert policy.select(aligned, IDS[:1]).tolist() == [1]
    # A batch that is only monitored is aligned by the same averages and changes none.
    before = policy.state_dict()["alignment.model"].clone()
    assert policy.targets(rows(0.6), learn=False)[0].tolist() == pytest.approx([0.25, 0.75])
    assert torch.equal(policy.state_dict()["alignment.model"], before)


def test_alignment_to_the_predictions_on_labelled_clips_follows_both_averages() -> None:
    """AdaMatch: p_target is the mean over labelled clips, here (0.8, 0.2), then 0.5·(0.8, 0.2) + 0.5·(0.4, 0.6)."""
    policy = build_policy(Threshold(alignment="predictions", momentum=0.5), 2, 1)
    policy.observe(rows(0.9, 0.7))
    aligned = policy.targets(rows(0.5), learn=True)
    assert aligned[0].tolist() == pytest.approx([0.8, 0.2])
    policy.observe(rows(0.4))
    aligned = policy.targets(rows(0.5), learn=True)
    assert aligned[0].tolist() == pytest.approx([0.6, 0.4])


def test_momentum_zero_is_the_papers_current_batch() -> None:
    policy = build_policy(Threshold(alignment="predictions", momentum=0.0), 2, 1)
    for labelled, unlabelled in ((0.9, 0.5), (0.3, 0.6)):
        policy.observe(rows(labelled))
        first, second = labelled / unlabelled, (1 - labelled) / (1 - unlabelled)
        share = 0.2 * first / (0.2 * first + 0.8 * second)
        aligned = policy.targets(rows(unlabelled), learn=True), policy.targets(rows(0.2), learn=False)
        assert aligned[0][0, 0].item() == pytest.approx(labelled)
        assert aligned[1][0, 0].item() == pytest.approx(share)


def test_softmatch_with_uniform_alignment_weighs_aligned_confidences() -> None:
    """Aligned confidences 27/34 and 0.7 as above: μ and the unbiased variance are theirs, not those of 0.9 and 0.5."""
    policy = build_policy(Threshold(policy="softmatch", alignment="uniform", momentum=0.0), 2, 2)
    weights = policy.select(rows(0.9, 0.5), IDS)
    a, b = 27 / 34, 0.7
    mean, variance = (a + b) / 2, (a - b) ** 2 / 2
    assert policy.threshold() == pytest.approx(mean)
    wanted = torch.exp(torch.tensor(-((b - mean) ** 2) * 4 / (2 * variance))).item()
    assert weights.tolist() == pytest.approx([1.0, wanted])


def test_a_restored_alignment_goes_on_as_it_would_have() -> None:
    settings = Threshold(policy="freematch", alignment="predictions", momentum=0.5, fairness=0.1)
    one, two = build_policy(settings, 2, 4), build_policy(settings, 2, 4)
    one.observe(rows(0.9))
    one.select(one.targets(rows(0.7, 0.2), learn=True), IDS)
    two.load_state_dict(one.state_dict())
    for policy in (one, two):
        policy.observe(rows(0.2))
    assert torch.equal(one.targets(rows(0.6), learn=True), two.targets(rows(0.6), learn=True))
    assert one.threshold() == two.threshold()


def test_the_relative_threshold_is_tau_times_the_confidence_on_labelled_clips() -> None:
    """AdaMatch, τ = 0.9: labelled confidences 0.9 and 0.7 have the mean 0.8, so c_τ = 0.72; then 0.6, so 0.54."""
    policy = build_policy(Threshold(policy="relative", tau=0.9), 2, 2)
    assert policy.threshold() == pytest.approx(0.9)
    policy.observe(rows(0.9, 0.3))
    assert policy.threshold() == pytest.approx(0.72)
    assert policy.select(rows(0.73, 0.29), IDS).tolist() == [1, 0]
    policy.observe(rows(0.6))
    assert policy.select(rows(0.55, 0.53), IDS).tolist() == [1, 0]
