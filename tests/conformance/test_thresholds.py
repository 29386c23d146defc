"""Every threshold policy of the dictionary keeps the seam's contract."""

import subprocess
import sys

import pytest
import torch

from agrm_study.study.recipe import Threshold
from agrm_study.training.ssl.thresholds import POLICIES, build_policy
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy

N = 24


def policy_of(name: str, n_classes: int = 3) -> ThresholdPolicy:
    return build_policy(Threshold(policy=name), n_classes, N)


def batches(n: int, n_classes: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    source = torch.Generator().manual_seed(5)
    found = []
    for _ in range(n):
        probs = torch.softmax(3 * torch.randn(8, n_classes, generator=source), dim=1)
        found.append((probs, torch.randperm(N, generator=source)[:8]))
    return found


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", POLICIES)
def test_weights_are_float32_in_0_to_1_without_gradient_and_leave_the_inputs_alone(name: str, n_classes: int) -> None:
    policy = policy_of(name, n_classes)
    assert isinstance(policy, ThresholdPolicy)
    for probs, sample_ids in batches(6, n_classes):
        given, given_ids = probs.clone(), sample_ids.clone()
        weights = policy.select(probs.requires_grad_(), sample_ids)
        assert weights.shape == (8,)
        assert weights.dtype == torch.float32
        assert not weights.requires_grad
        assert ((weights >= 0) & (weights <= 1)).all()
        assert torch.equal(probs, given)
        assert torch.equal(sample_ids, given_ids)
        assert 0.0 <= policy.threshold() <= 1.0


@pytest.mark.parametrize("name", POLICIES)
def test_within_a_batch_and_class_a_more_confident_clip_never_weighs_less(name: str) -> None:
    policy = policy_of(name)
    for probs, sample_ids in batches(10):
        weights = policy.select(probs, sample_ids)
        confidence, labels = probs.max(dim=1)
        for k in range(3):
            ordered = weights[labels == k][confidence[labels == k].argsort()]
            assert (ordered.diff() >= 0).all()


@pytest.mark.parametrize("name", POLICIES)
def test_a_restored_policy_goes_on_bit_for_bit_and_its_snapshot_stands_still(name: str, tmp_path) -> None:
    steps = batches(8)
    policy = policy_of(name)
    for probs, sample_ids in steps[:4]:
        policy.select(probs, sample_ids)
    state = policy.state_dict()
    torch.save(state, tmp_path / "policy.pt")
    expected = [policy.select(*step) for step in steps[4:]]

    for restored_from in (torch.load(tmp_path / "policy.pt", weights_only=True), state):
        other = policy_of(name)
        other.load_state_dict(restored_from)
        assert all(torch.equal(other.select(*step), want) for step, want in zip(steps[4:], expected, strict=True))
        assert other.threshold() == policy.threshold()
        assert {key: value.tolist() for key, value in other.state_dict().items()} == {
            key: value.tolist() for key, value in policy.state_dict().items()
        }


@pytest.mark.parametrize("name", POLICIES)
def test_equal_inputs_give_equal_weights_and_no_random_number_is_drawn(name: str) -> None:
    before = torch.get_rng_state()
    first, second = policy_of(name), policy_of(name)
    assert all(torch.equal(first.select(*step), second.select(*step)) for step in batches(5))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", POLICIES)
def test_half_precision_probabilities_are_judged_in_float32(name: str) -> None:
    halves, singles = policy_of(name), policy_of(name)
    for probs, sample_ids in batches(4):
        probs = probs.to(torch.bfloat16)
        torch.testing.assert_close(halves.select(probs, sample_ids), singles.select(probs.float(), sample_ids))


@pytest.mark.parametrize("name", POLICIES)
def test_a_batch_of_one_and_an_empty_batch_are_fine(name: str) -> None:
    policy = policy_of(name)
    probs, sample_ids = batches(1)[0]
    assert torch.isfinite(policy.select(probs[:1], sample_ids[:1])).all()
    assert policy.select(probs[:0], sample_ids[:0]).shape == (0,)
    assert torch.isfinite(policy.select(probs, sample_ids)).all()


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_for_no_unlabelled_clips_has_a_threshold_all_the_same(name: str) -> None:
    assert 0.0 <= build_policy(Threshold(policy=name), 3, 0).threshold() <= 1.0


@pytest.mark.parametrize("name", POLICIES)
def test_selecting_never_asks_the_device_for_a_value(name: str) -> None:
    """On the meta device a tensor has no values, so any such question raises."""
    policy = policy_of(name)
    for probs, sample_ids in batches(2):
        assert policy.select(probs.to("meta"), sample_ids.to("meta")).device.type == "meta"


def test_the_names_cost_no_torch() -> None:
    code = (
        "import sys; import agrm_study.training.ssl.thresholds as t; sys.exit('torch' in sys.modules or not t.POLICIES)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
