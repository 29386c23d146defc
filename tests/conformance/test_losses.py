"""Every supervised loss of the dictionary keeps the seam's contract."""

import subprocess
import sys

import pytest
import torch

from agrm_study.study.labels import CLASSES
from agrm_study.study.recipe import Loss
from agrm_study.training.ssl.losses import LOSSES, build_loss
from agrm_study.training.ssl.losses.supervised import SupervisedLoss

TASKS = list(CLASSES)


def loss_of(name: str, task: str) -> SupervisedLoss:
    counts = tuple(range(4, 4 + len(CLASSES[task])))
    return build_loss(Loss(name=name), CLASSES[task], counts)


def example(loss: SupervisedLoss, task: str, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs that are valid for every loss (cosines included), and labels of every class."""
    n_classes = len(CLASSES[task])
    source = torch.Generator().manual_seed(seed)
    outputs = torch.tanh(torch.randn(12, loss.n_outputs(n_classes), generator=source))
    return outputs, torch.arange(12) % n_classes


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_finite_scalar_of_at_least_zero_with_a_gradient_for_every_clip(name: str, task: str) -> None:
    loss = loss_of(name, task)
    outputs, labels = example(loss, task)
    found = loss(outputs.requires_grad_(), labels)
    assert found.shape == ()
    assert found.dtype == torch.float32
    assert found.item() >= 0
    found.backward()
    assert torch.isfinite(outputs.grad).all()
    assert (outputs.grad.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", LOSSES)
def test_class_probabilities_are_a_distribution_over_the_tasks_classes(name: str, task: str) -> None:
    loss = loss_of(name, task)
    outputs, _ = example(loss, task)
    log_probs = loss.log_probs(outputs.requires_grad_())
    assert log_probs.shape == (12, len(CLASSES[task]))
    assert log_probs.requires_grad
    torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(12))
    torch.testing.assert_close(torch.softmax(loss.logits(outputs), dim=1), log_probs.exp())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", LOSSES)
def test_descending_the_loss_makes_the_labels_more_probable(name: str, task: str) -> None:
    loss = loss_of(name, task)
    outputs, labels = example(loss, task)
    start = loss.log_probs(outputs).gather(1, labels[:, None]).mean()
    outputs = torch.nn.Parameter(outputs)
    optimizer = torch.optim.SGD([outputs], lr=0.02)
    for _ in range(20):
        optimizer.zero_grad()
        loss(outputs, labels).backward()
        optimizer.step()
    assert loss.log_probs(outputs).gather(1, labels[:, None]).mean() > start


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_the_numerical_one(name: str, task: str) -> None:
    loss = loss_of(name, task)
    outputs, labels = example(loss, task)
    outputs = (0.9 * outputs.double()).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: loss(given, labels), outputs)
    assert torch.autograd.gradcheck(lambda given: loss.log_probs(given), outputs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_outputs_are_computed_in_float32_with_and_without_autocast(
    name: str, dtype: torch.dtype
) -> None:
    loss = loss_of(name, "three_class")
    outputs, labels = example(loss, "three_class")
    halves = outputs.to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        found, log_probs = loss(halves, labels), loss.log_probs(halves)
    assert found.dtype == log_probs.dtype == torch.float32
    assert loss(halves, labels).dtype == loss.log_probs(halves).dtype == torch.float32
    torch.testing.assert_close(found, loss(halves.float(), labels))
    torch.testing.assert_close(log_probs, loss.log_probs(halves.float()))


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_outputs_stay_finite(name: str) -> None:
    loss = loss_of(name, "three_class")
    size = 1.0 if name == "arcface" else 1e4
    n_outputs = loss.n_outputs(3)
    outputs = size * torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])[:, :n_outputs].repeat(3, 1)
    outputs.requires_grad_()
    found = loss(outputs, torch.tensor([0, 0, 1, 1, 2, 2]))
    found.backward()
    assert torch.isfinite(found)
    assert torch.isfinite(outputs.grad).all()
    assert torch.isfinite(loss.log_probs(outputs)).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_never_asks_the_device_for_a_value(name: str) -> None:
    """On the meta device a tensor has no values, so any such question raises."""
    loss = loss_of(name, "three_class")
    outputs, labels = example(loss, "three_class")
    found = loss(outputs.to("meta").requires_grad_(), labels.to("meta"))
    found.backward()
    assert loss.log_probs(outputs.to("meta")).device.type == "meta"


@pytest.mark.parametrize("name", LOSSES)
def test_equal_inputs_give_equal_bits_and_no_random_number_is_drawn(name: str) -> None:
    before = torch.get_rng_state()
    loss = loss_of(name, "three_class")
    outputs, labels = example(loss, "three_class")
    assert torch.equal(loss(outputs, labels), loss_of(name, "three_class")(outputs, labels))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_names_cost_no_torch() -> None:
    code = "import sys; import agrm_study.training.ssl.losses as t; sys.exit('torch' in sys.modules or not t.LOSSES)"
    subprocess.run([sys.executable, "-c", code], check=True)
