import math

import numpy as np
import pytest
import torch

from agrm_study.study.errors import InputError
from agrm_study.study.ssl_settings import Threshold
from agrm_study.training.ssl.thresholds import build_policy


def batch(*confidences: tuple[int, float], n_classes: int = 2) -> torch.Tensor:
    """Rows with the given (class, confidence); the rest is shared by the other classes."""
    rows = [[m if k == c else (1 - m) / (n_classes - 1) for k in range(n_classes)] for c, m in confidences]
    return torch.tensor(rows)


def ids(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_fixed_accepts_strictly_above_tau() -> None:
    policy = build_policy(Threshold(tau=0.8), 2, 3)
    assert policy.select(batch((0, 0.8), (1, 0.8000001), (0, 0.79)), ids(0, 1, 2)).tolist() == [0, 1, 0]
    assert policy.threshold() == 0.8
    assert policy.state_dict() == {}


def test_flexmatch_follows_the_sequence_worked_out_by_hand() -> None:
    policy = build_policy(Threshold(policy="flexmatch", tau=0.8), 2, 4)
    # Nothing used: β = 0, T = 0, all accepted. Clips 0, 1, 2 are above τ as class 0, 0, 1; clip 3 stays unused.
    weights = policy.select(batch((0, 0.9), (0, 0.95), (1, 0.85), (1, 0.6)), ids(0, 1, 2, 3))
    assert weights.tolist() == [1, 1, 1, 1]
    # n = (2, 1), unused 1: β = (1, 1/2), T = 0.8·(1, (1/2)/(3/2)) = (0.8, 0.2667).
    assert policy.threshold() == pytest.approx((0.8 + 0.8 / 3) / 2)
    weights = policy.select(batch((0, 0.79), (1, 0.6)), ids(0, 3))
    assert weights.tolist() == [0, 1]
    # 0.79 and 0.6 are below τ: the memory is unchanged. Clip 0 turns to class 1: n = (1, 2), unused 1.
    policy.select(batch((1, 0.9)), ids(0))
    assert policy.threshold() == pytest.approx((0.8 / 3 + 0.8) / 2)
    assert policy.state_dict()["classes"].tolist() == [1, 0, 1, -1]


def test_flexmatch_warms_up_on_the_unused_clips() -> None:
    policy = build_policy(Threshold(policy="flexmatch", tau=0.9), 3, 10)
    policy.select(batch((0, 0.95), (0, 0.95), (1, 0.95), n_classes=3), ids(0, 1, 2))
    # n = (2, 1, 0), unused 7: β = (2/7, 1/7, 0); β/(2 − β) = (1/6, 1/13, 0).
    assert policy.threshold() == pytest.approx(0.9 * (1 / 6 + 1 / 13) / 3)


def test_flexmatch_takes_the_later_of_two_views_of_a_clip_in_one_batch() -> None:
    policy = build_policy(Threshold(policy="flexmatch", tau=0.8), 2, 2)
    policy.select(batch((0, 0.9), (1, 0.9), (0, 0.6)), ids(1, 1, 1))
    assert policy.state_dict()["classes"].tolist() == [-1, 1]


@pytest.mark.parametrize("wrong", [-1, 4])
def test_flexmatch_refuses_ids_that_do_not_exist(wrong: int) -> None:
    policy = build_policy(Threshold(policy="flexmatch"), 2, 4)
    with pytest.raises(ValueError, match=r"be in \[0, 4\)"):
        policy.select(batch((0, 0.9)), ids(wrong))


def test_freematch_follows_the_sequence_worked_out_by_hand() -> None:
    policy = build_policy(Threshold(policy="freematch", momentum=0.5), 2, 4)
    assert policy.threshold() == pytest.approx(0.5)
    # Batch means: m (0.9 + 0.6)/2 = 0.75, p (0.65, 0.35). τ = 0.625, p̃ = (0.575, 0.425).
    # τ(c) = (0.625, 0.625·0.425/0.575 = 0.46196).
    assert policy.select(batch((0, 0.9), (1, 0.6)), ids(0, 1)).tolist() == [1, 1]
    assert policy.threshold() == pytest.approx((0.625 + 0.625 * 0.425 / 0.575) / 2)
    # Batch means: m 0.65, p (0.5, 0.5). τ = 0.6375, p̃ = (0.5375, 0.4625), τ(1) = 0.54855.
    weights = policy.select(batch((0, 0.63), (1, 0.63), (0, 0.67), (1, 0.67)), ids(0, 1, 2, 3))
    assert weights.tolist() == [0, 1, 1, 1]
    assert policy.state_dict()["tau"].item() == pytest.approx(0.6375)
    assert policy.state_dict()["probs"].tolist() == pytest.approx([0.5375, 0.4625])


def test_freematch_starts_at_one_over_k_and_moves_by_a_thousandth() -> None:
    policy = build_policy(Threshold(policy="freematch"), 3, 1)
    policy.select(batch((2, 0.94), n_classes=3), ids(0))
    assert policy.state_dict()["tau"].item() == pytest.approx(0.999 / 3 + 0.001 * 0.94, rel=1e-6)
    assert policy.state_dict()["probs"][2].item() == pytest.approx(0.999 / 3 + 0.001 * 0.94, rel=1e-6)


def test_softmatch_follows_the_sequence_worked_out_by_hand() -> None:
    policy = build_policy(Threshold(policy="softmatch", momentum=0.5, n_sigma=2.0), 2, 3)
    # Mean 0.75, unbiased variance ((0.15)² + 0 + (0.15)²)/2 = 0.0225. μ = 0.625, σ² = 0.51125.
    weights = policy.select(batch((0, 0.9), (1, 0.75), (1, 0.6)), ids(0, 1, 2))
    assert weights.tolist() == pytest.approx([1, 1, math.exp(-(0.025**2) * 4 / (2 * 0.51125))], rel=1e-6)
    assert policy.threshold() == pytest.approx(0.625)
    # Mean 0.7, variance 0.02: μ = 0.6625, σ² = 0.265625.
    weights = policy.select(batch((0, 0.8), (1, 0.6)), ids(0, 1))
    assert weights.tolist() == pytest.approx([1, math.exp(-(0.0625**2) * 4 / (2 * 0.265625))], rel=1e-6)
    # One clip has no variance: σ² stays, μ = (0.6625 + 0.5)/2.
    weights = policy.select(batch((0, 0.5)), ids(0))
    assert weights.tolist() == pytest.approx([math.exp(-(0.08125**2) * 4 / (2 * 0.265625))], rel=1e-6)


def test_softmatch_stays_finite_when_all_confidences_are_equal() -> None:
    policy = build_policy(Threshold(policy="softmatch", momentum=0.0), 2, 2)
    assert policy.select(batch((0, 0.75), (1, 0.75)), ids(0, 1)).tolist() == [1, 1]


@pytest.mark.parametrize("percentile", [0, 37.5, 80, 100])
def test_percentile_accepts_what_lies_above_numpys_percentile_of_the_batch(percentile: float) -> None:
    rng = np.random.default_rng(0)
    policy = build_policy(Threshold(policy="percentile", percentile=percentile), 2, 16)
    assert policy.threshold() == 1.0
    for _ in range(3):
        confidence = rng.uniform(0.5, 1.0, size=16).astype(np.float32)
        probs = torch.tensor(np.stack([confidence, 1 - confidence], axis=1))
        cut = np.percentile(confidence.astype(np.float64), percentile)
        assert policy.select(probs, torch.arange(16)).tolist() == (confidence > np.float32(cut)).tolist()
        assert policy.threshold() == pytest.approx(cut, rel=1e-12)


def test_percentile_of_equal_confidences_accepts_nothing() -> None:
    policy = build_policy(Threshold(policy="percentile", percentile=10), 2, 2)
    assert policy.select(batch((0, 0.9), (1, 0.9)), ids(0, 1)).tolist() == [0, 0]


def test_a_policy_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(
        InputError, match=r"ssl\.threshold\.policy.*'flexmach'.*fixed, flexmatch.*Did you mean `flexmatch`"
    ):
        build_policy(Threshold(policy="flexmach"), 2, 1)


def test_a_state_of_another_policy_or_size_is_refused() -> None:
    flexmatch = build_policy(Threshold(policy="flexmatch"), 2, 4)
    with pytest.raises(ValueError, match=r"FlexMatch must contain classes \(4,\); got classes \(3,\)"):
        flexmatch.load_state_dict(build_policy(Threshold(policy="flexmatch"), 2, 3).state_dict())
    with pytest.raises(ValueError, match="Fixed must contain nothing; got"):
        build_policy(Threshold(), 2, 4).load_state_dict(flexmatch.state_dict())
