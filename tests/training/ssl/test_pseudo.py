import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import log_loss

from agrm_study.training.ssl.pseudo import PseudoStats, candidates, consistency_loss, pseudo_label_loss

TEACHER = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.85, 0.05], [0.4, 0.35, 0.25]])
STUDENT = torch.tensor([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.45, 0.35, 0.2]])


@pytest.mark.parametrize(
    ("source", "labels", "confidence", "allowed"),
    [
        ("teacher", [0, 1, 0], [0.7, 0.85, 0.4], [1, 1, 1]),
        ("student", [0, 0, 0], [0.5, 0.6, 0.45], [1, 1, 1]),
        ("mean", [0, 1, 0], [0.6, 0.575, 0.425], [1, 1, 1]),
        ("min", [0, 1, 0], [0.5, 0.3, 0.4], [1, 1, 1]),
        ("agree", [0, 1, 0], [0.7, 0.85, 0.4], [1, 0, 1]),
    ],
)
def test_each_confidence_source_gives_its_label_and_confidence(source, labels, confidence, allowed) -> None:
    found = candidates(TEACHER, STUDENT.clone().requires_grad_(), source)
    assert found.labels_B.tolist() == labels
    assert found.confidence_B.tolist() == pytest.approx(confidence)
    assert found.allowed_B.tolist() == allowed
    assert not any(value.requires_grad for value in found)
    assert torch.equal(found.probs_BK.max(dim=1).values, found.confidence_B)


def test_the_consistency_loss_is_the_mean_squared_distance_of_the_distributions() -> None:
    expected = np.mean(np.sum((STUDENT.double().numpy() - TEACHER.double().numpy()) ** 2, axis=1))
    assert consistency_loss(STUDENT.double().log(), TEACHER.double()).item() == pytest.approx(expected, rel=1e-12)
    assert consistency_loss(TEACHER.log(), TEACHER).item() == pytest.approx(0.0, abs=1e-12)
    opposite = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert consistency_loss(opposite[0].clamp(min=1e-30).log(), opposite[1]).item() == pytest.approx(2.0)


def test_the_gradient_of_the_consistency_reaches_the_student_alone_and_is_the_closed_form() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    teacher = torch.softmax(torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), 1)
    teacher.requires_grad_()
    consistency_loss(torch.log_softmax(logits, dim=1), teacher).backward()
    assert teacher.grad is None
    p, t = softmax(logits.detach().numpy(), axis=1), teacher.detach().numpy()
    pull = 2 * (p - t)
    expected = p * (pull - (pull * p).sum(axis=1, keepdims=True)) / len(p)  # Jᵀ·2(p − t) / B, J = diag(p) − p pᵀ
    np.testing.assert_allclose(logits.grad.numpy(), expected, atol=1e-12)


def test_the_hard_loss_is_divided_by_the_whole_batch() -> None:
    found = candidates(TEACHER, STUDENT, "teacher")
    weights = torch.tensor([1.0, 1.0, 0.0])
    loss = pseudo_label_loss(STUDENT.log(), found, weights)
    accepted_only = log_loss([0, 1], STUDENT[:2].numpy(), labels=[0, 1, 2])
    assert loss.item() == pytest.approx(accepted_only * 2 / 3, rel=1e-6)
    assert pseudo_label_loss(STUDENT.log(), found, torch.zeros(3)).item() == 0.0
    halved = pseudo_label_loss(STUDENT.log(), found, weights / 2)
    assert halved.item() == pytest.approx(loss.item() / 2)


def test_the_soft_loss_is_the_cross_entropy_of_both_distributions() -> None:
    found = candidates(TEACHER, STUDENT, "teacher")
    weights = torch.tensor([1.0, 0.0, 0.25])
    expected = np.mean(weights.numpy() * -(TEACHER.numpy() * np.log(STUDENT.numpy())).sum(axis=1))
    assert pseudo_label_loss(STUDENT.log(), found, weights, "soft").item() == pytest.approx(expected, rel=1e-6)


def test_soft_targets_of_the_smaller_probability_are_made_to_sum_to_one() -> None:
    found = candidates(TEACHER, STUDENT, "min")
    lower = np.minimum(TEACHER.numpy(), STUDENT.numpy())
    target = lower / lower.sum(axis=1, keepdims=True)
    expected = np.mean(-(target * np.log(STUDENT.numpy())).sum(axis=1))
    assert pseudo_label_loss(STUDENT.log(), found, torch.ones(3), "soft").item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("target", ["hard", "soft"])
def test_rejected_clips_send_no_gradient(target) -> None:
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    found = candidates(TEACHER, STUDENT, "teacher")
    pseudo_label_loss(torch.log_softmax(logits, 1), found, torch.tensor([1.0, 0.0, 1.0]), target).backward()
    assert torch.all(logits.grad[1] == 0)
    assert torch.all(logits.grad[0] != 0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_are_computed_in_float32(dtype: torch.dtype) -> None:
    found = candidates(TEACHER.to(dtype), STUDENT.to(dtype), "mean")
    assert found.probs_BK.dtype == found.confidence_B.dtype == torch.float32
    assert consistency_loss(STUDENT.log().to(dtype), TEACHER.to(dtype)).dtype == torch.float32
    assert pseudo_label_loss(STUDENT.log().to(dtype), found, torch.ones(3)).dtype == torch.float32


def test_statistics_of_an_epoch_are_those_of_all_its_batches_together() -> None:
    rng = np.random.default_rng(0)
    probs = torch.tensor(rng.dirichlet([0.5, 0.5, 0.5], size=40))
    weights = torch.tensor((rng.random(40) < 0.6).astype(np.float32))
    hidden = torch.tensor(rng.integers(-1, 3, size=40))
    stats = PseudoStats(3)
    for part in torch.arange(40).split([7, 16, 16, 1]):
        stats.add(candidates(probs[part], probs[part], "teacher"), weights[part], hidden[part])
    figures = stats.read()

    taken = weights.numpy() == 1
    labels, confidence = probs.numpy().argmax(axis=1), probs.numpy().max(axis=1)
    known = taken & (hidden.numpy() >= 0)
    assert figures["pseudo_coverage"] == pytest.approx(taken.mean())
    assert figures["pseudo_confidence"] == pytest.approx(confidence[taken].mean())
    assert figures["pseudo_accuracy"] == pytest.approx((labels == hidden.numpy())[known].mean())
    assert figures["pseudo_class_counts"] == [int((labels[taken] == k).sum()) for k in range(3)]
    assert all(isinstance(count, int) for count in figures["pseudo_class_counts"])


def test_statistics_weigh_clips_as_the_loss_does() -> None:
    stats = PseudoStats(3)
    stats.add(candidates(TEACHER, STUDENT, "teacher"), torch.tensor([1.0, 0.5, 0.0]), torch.tensor([0, 0, 0]))
    figures = stats.read()
    assert figures["pseudo_coverage"] == pytest.approx(0.5)
    assert figures["pseudo_confidence"] == pytest.approx((0.7 + 0.5 * 0.85) / 1.5)
    assert figures["pseudo_accuracy"] == pytest.approx(1 / 1.5)
    assert figures["pseudo_class_counts"] == [1, 1, 0]


def test_statistics_leave_out_what_does_not_exist() -> None:
    stats = PseudoStats(3)
    assert stats.read() == {}
    found = candidates(TEACHER, STUDENT, "teacher")
    stats.add(found, torch.zeros(3))
    assert stats.read() == {"pseudo_coverage": 0.0, "pseudo_class_counts": [0, 0, 0]}
    stats.add(found, torch.ones(3))
    assert "pseudo_accuracy" not in stats.read()
    assert stats.read()["pseudo_coverage"] == 0.5


def test_a_step_never_asks_the_device_for_a_value() -> None:
    """On the meta device a tensor has no values, so any such question raises."""
    teacher, student = TEACHER.to("meta"), STUDENT.to("meta").requires_grad_()
    stats = PseudoStats(3, "meta")
    for source in ("teacher", "student", "mean", "min", "agree"):
        found = candidates(teacher, student, source)
        for target in ("hard", "soft"):
            pseudo_label_loss(student.log(), found, found.allowed_B, target).backward()
        stats.add(found, found.allowed_B, found.labels_B)
    consistency_loss(student.log(), teacher).backward()
