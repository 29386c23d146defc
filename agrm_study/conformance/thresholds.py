"""Conformance checks for threshold policies."""

from __future__ import annotations

import io

import torch
from torch import Tensor

from agrm_study.conformance.checks import must
from agrm_study.study.ssl_settings import Threshold
from agrm_study.training.ssl.thresholds import build_policy
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy

N = 24


def policy_of(name: str, n_classes: int = 3) -> ThresholdPolicy:
    """A policy for `N` unlabelled clips."""
    return build_policy(Threshold(policy=name), n_classes, N)


def batches(n: int, n_classes: int = 3) -> list[tuple[Tensor, Tensor]]:
    """Synthetic probabilities (8, K) and ids (8,) of several batches."""
    source = torch.Generator().manual_seed(5)
    found = []
    for _ in range(n):
        probs = torch.softmax(3 * torch.randn(8, n_classes, generator=source), dim=1)
        found.append((probs, torch.randperm(N, generator=source)[:8]))
    return found


def weights_are_weights(name: str) -> None:
    """Weights are float32 of shape (B,) in [0, 1], without gradient, and the inputs are not modified."""
    for n_classes in (2, 3):
        policy = policy_of(name, n_classes)
        for probs, ids in batches(6, n_classes):
            given, given_ids = probs.clone(), ids.clone()
            weights = policy.select(probs.requires_grad_(), ids)
            must(weights.shape == (8,), f"the shape is {tuple(weights.shape)}")
            must(weights.dtype == torch.float32, f"their dtype is {weights.dtype}")
            must(not weights.requires_grad, "they have a gradient; use `probs_BK.detach()`")
            must(((weights >= 0) & (weights <= 1)).all(), f"they lie in [{weights.min():g}, {weights.max():g}]")
            must(torch.equal(probs, given) and torch.equal(ids, given_ids), "the inputs change")
            must(0.0 <= policy.threshold() <= 1.0, f"the threshold is {policy.threshold():g}")


def confidence_is_never_punished(name: str) -> None:
    """Within a batch and class, a more confident clip never has a smaller weight."""
    policy = policy_of(name)
    for probs, ids in batches(10):
        weights = policy.select(probs, ids)
        confidence, labels = probs.max(dim=1)
        for k in range(3):
            ordered = weights[labels == k][confidence[labels == k].argsort()]
            must((ordered.diff() >= 0).all(), f"weights by confidence: {[round(x, 3) for x in ordered.tolist()]}")


def state_is_restored(name: str) -> None:
    """A policy restored from its state gives bitwise identical weights, and a saved state does not change later."""
    steps = batches(8)
    policy = policy_of(name)
    for step in steps[:4]:
        policy.select(*step)
    state = policy.state_dict()
    file = io.BytesIO()
    torch.save(state, file)
    expected = [policy.select(*step) for step in steps[4:]]
    file.seek(0)
    for given, what in ((torch.load(file, weights_only=True), "from a file"), (state, "kept in memory")):
        other = policy_of(name)
        other.load_state_dict(given)
        for step, want in zip(steps[4:], expected, strict=True):
            must(torch.equal(other.select(*step), want), f"after restoring a state {what}, the weights differ")
        must(other.threshold() == policy.threshold(), f"after restoring a state {what}, the threshold differs")


def nothing_is_random(name: str) -> None:
    """Identical inputs give identical weights, and no random numbers are drawn."""
    before = torch.get_rng_state()
    first, second = policy_of(name), policy_of(name)
    must(all(torch.equal(first.select(*step), second.select(*step)) for step in batches(5)), "weights differ")
    must(torch.equal(torch.get_rng_state(), before), "it draws random numbers")


def half_precision_is_judged_in_float32(name: str) -> None:
    """Half-precision probabilities are evaluated in float32."""
    halves, singles = policy_of(name), policy_of(name)
    for probs, ids in batches(4):
        half = probs.to(torch.bfloat16)
        close = torch.allclose(halves.select(half, ids), singles.select(half.float(), ids), rtol=1.3e-6, atol=1e-5)
        must(close, "weights differ between bfloat16 probabilities and the same values in float32")


def small_batches_pass(name: str) -> None:
    """A batch of one clip and an empty batch are accepted."""
    policy = policy_of(name)
    probs, ids = batches(1)[0]
    must(torch.isfinite(policy.select(probs[:1], ids[:1])).all(), "a batch of one gives weights that are not finite")
    must(policy.select(probs[:0], ids[:0]).shape == (0,), "an empty batch does not give empty weights")
    must(torch.isfinite(policy.select(probs, ids)).all(), "the batch after an empty batch gives non-finite weights")


def no_unlabelled_clips_pass(name: str) -> None:
    """The policy returns a threshold even without unlabelled clips."""
    found = build_policy(Threshold(policy=name), 3, 0).threshold()
    must(0.0 <= found <= 1.0, f"the threshold is {found:g}")


def the_device_is_not_asked(name: str) -> None:
    """Selection never waits for a value from the device (`.item()`, `if tensor:`, `float(tensor)`)."""
    policy = policy_of(name)
    for probs, ids in batches(2):
        must(policy.select(probs.to("meta"), ids.to("meta")).device.type == "meta", "weights are on a different device")


CHECKS = (
    weights_are_weights,
    confidence_is_never_punished,
    state_is_restored,
    nothing_is_random,
    half_precision_is_judged_in_float32,
    small_batches_pass,
    no_unlabelled_clips_pass,
    the_device_is_not_asked,
)
