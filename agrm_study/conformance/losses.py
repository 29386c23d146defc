"""Conformance checks for supervised losses."""

from __future__ import annotations

import torch
from torch import Tensor

from agrm_study.conformance.checks import must
from agrm_study.study.recipe import Loss
from agrm_study.study.tasks import BUILT_IN, Task, make_task
from agrm_study.training.ssl.losses import build_loss
from agrm_study.training.ssl.losses.supervised import SupervisedLoss

FIVE_GRADES = make_task("five_grades", {name: [name] for name in "abcde"}, ordered=True)
TASKS: tuple[Task, ...] = (*BUILT_IN.values(), FIVE_GRADES)
THREE = BUILT_IN["three_class"]


def loss_of(name: str, task: Task = THREE) -> SupervisedLoss:
    """A loss for a task with classes of different sizes."""
    return build_loss(Loss(name=name), task.classes, tuple(range(4, 4 + task.n_classes)), order=task.order)


def example(loss: SupervisedLoss, task: Task = THREE) -> tuple[Tensor, Tensor]:
    """Outputs (12, O) that are valid for every loss (cosines included), and labels of every class."""
    n_classes = task.n_classes
    source = torch.Generator().manual_seed(0)
    outputs = torch.tanh(torch.randn(12, loss.n_outputs(n_classes), generator=source))
    return outputs, torch.arange(12) % n_classes


def is_a_scalar_with_gradient(name: str) -> None:
    """The loss is a finite, non-negative float32 scalar with a gradient for every clip."""
    for task in TASKS:
        loss = loss_of(name, task)
        outputs, labels = example(loss, task)
        found = loss(outputs.requires_grad_(), labels)
        must(found.shape == () and found.dtype == torch.float32, f"it is {found.dtype} with shape {tuple(found.shape)}")
        must(found.item() >= 0, f"it is {found.item():g}")
        found.backward()  # type: ignore[no-untyped-call]
        assert outputs.grad is not None
        must(torch.isfinite(outputs.grad).all(), "its gradient is not finite")
        must((outputs.grad.abs().sum(dim=1) > 0).all(), "a clip has no gradient")


def probabilities_are_a_distribution(name: str) -> None:
    """Class probabilities sum to 1 over the task's classes and agree with `logits`."""
    for task in TASKS:
        loss = loss_of(name, task)
        outputs, _ = example(loss, task)
        found = loss.log_probs(outputs.requires_grad_())
        must(found.shape == (12, task.n_classes), f"log_probs has the shape {tuple(found.shape)}")
        must(found.requires_grad, "log_probs has no gradient")
        must(torch.allclose(found.exp().sum(dim=1), torch.ones(12)), "they do not sum to 1")
        must(
            torch.allclose(torch.softmax(loss.logits(outputs), 1), found.exp(), atol=1e-5),
            "logits and log_probs differ",
        )


def descent_helps(name: str) -> None:
    """Gradient descent on the loss makes the labels more probable."""
    for task in TASKS:
        loss = loss_of(name, task)
        outputs, labels = example(loss, task)
        start = loss.log_probs(outputs).gather(1, labels[:, None]).mean()
        learned = torch.nn.Parameter(outputs)
        optimizer = torch.optim.SGD([learned], lr=0.02)
        for _ in range(20):
            optimizer.zero_grad()
            loss(learned, labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        end = loss.log_probs(learned).gather(1, labels[:, None]).mean()
        must(end > start, f"their mean log probability changes from {start:.3f} to {end:.3f}")


def gradient_is_the_numerical_one(name: str) -> None:
    """The gradient equals the numerical gradient, in float64."""
    for task in TASKS:
        loss = loss_of(name, task)
        outputs, labels = example(loss, task)
        doubles = (0.9 * outputs.double()).requires_grad_()
        torch.autograd.gradcheck(lambda given, loss=loss, labels=labels: loss(given, labels), doubles)
        torch.autograd.gradcheck(loss.log_probs, doubles)


def half_precision_is_computed_in_float32(name: str) -> None:
    """The loss and probabilities of half-precision outputs are computed in float32, with and without autocast."""
    for dtype in (torch.bfloat16, torch.float16):
        loss = loss_of(name)
        outputs, labels = example(loss)
        halves = outputs.to(dtype)
        with torch.autocast("cpu", dtype=dtype):
            found, log_probs = loss(halves, labels), loss.log_probs(halves)
        must(found.dtype == log_probs.dtype == torch.float32, f"under autocast they are {found.dtype}")
        must(loss(halves, labels).dtype == torch.float32, f"with {dtype} the loss is {loss(halves, labels).dtype}")
        must(torch.allclose(found, loss(halves.float(), labels)), "the loss differs from the loss in float32")
        must(torch.allclose(log_probs, loss.log_probs(halves.float())), "log_probs differ from float32 log_probs")


def extreme_outputs_stay_finite(name: str) -> None:
    """Extreme outputs give a finite loss, finite gradients and finite probabilities."""
    loss = loss_of(name)
    size = 1.0 if name == "arcface" else 1e4
    pattern = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])[:, : loss.n_outputs(3)]
    outputs = (size * pattern.repeat(3, 1)).requires_grad_()
    found = loss(outputs, torch.tensor([0, 0, 1, 1, 2, 2]))
    found.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    must(torch.isfinite(found), f"the loss is {found.item()}")
    must(torch.isfinite(outputs.grad).all(), "the gradient is not finite")
    must(torch.isfinite(loss.log_probs(outputs)).all(), "log_probs are not finite")


def the_device_is_not_asked(name: str) -> None:
    """A step never waits for a value from the device (`.item()`, `if tensor:`, `float(tensor)`)."""
    loss = loss_of(name)
    outputs, labels = example(loss)
    loss(outputs.to("meta").requires_grad_(), labels.to("meta")).backward()  # type: ignore[no-untyped-call]
    must(loss.log_probs(outputs.to("meta")).device.type == "meta", "log_probs are on a different device")


def nothing_is_random(name: str) -> None:
    """Identical inputs give bitwise identical losses, and no random numbers are drawn."""
    before = torch.get_rng_state()
    loss = loss_of(name)
    outputs, labels = example(loss)
    must(torch.equal(loss(outputs, labels), loss_of(name)(outputs, labels)), "the losses differ")
    must(torch.equal(torch.get_rng_state(), before), "it draws random numbers")


CHECKS = (
    is_a_scalar_with_gradient,
    probabilities_are_a_distribution,
    descent_helps,
    gradient_is_the_numerical_one,
    half_precision_is_computed_in_float32,
    extreme_outputs_stay_finite,
    the_device_is_not_asked,
    nothing_is_random,
)
