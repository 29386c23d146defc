"""One step against the explicit formula, on a network small enough to check."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from agrm_study.training.batches import LabelledBatch, UnlabelledBatch
from agrm_study.training.device import Device
from agrm_study.training.schedule import build_optimizer
from agrm_study.training.ssl.losses import build_loss
from agrm_study.training.ssl.networks import Networks
from agrm_study.training.ssl.pseudo import PseudoStats
from agrm_study.training.ssl.step import METHODS, Learner
from agrm_study.training.ssl.thresholds import build_policy

CLASSES = ("normal", "genu_varum", "genu_valgum")
TAU, WEIGHT, LAMBDA, LR = 0.55, 0.7, 0.3, 0.1


def small_network() -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(24, 3))
    for parameter in network.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    return network


def clips(seed: int, count: int) -> torch.Tensor:
    return torch.randn(count, 3, 2, 2, 2, generator=torch.Generator().manual_seed(seed))


LABELLED = LabelledBatch(clips(1, 6), torch.tensor([0, 1, 2, 0, 1, 2]))
UNLABELLED = UnlabelledBatch(clips(2, 8), clips(3, 8), torch.arange(8), torch.full((8,), -1))
OWN_VIEW = UnlabelledBatch(clips(2, 8), None, torch.arange(8), torch.full((8,), -1))
TWO_VIEWS = UnlabelledBatch(clips(2, 8), clips(3, 8), torch.arange(8), torch.full((8,), -1), clips(4, 8))


def take_step(recipe, unlabelled, ramp_weight=LAMBDA):
    student = small_network()
    device = Device("cpu", recipe)
    networks = Networks(student, recipe.ssl.ema, device)
    if recipe.has_teacher:
        networks.start_teacher()
        with torch.no_grad():
            for parameter in networks.teacher.module.parameters():
                parameter.mul_(0.8)  # a teacher that differs
    teacher_before = copy.deepcopy(networks.teacher.module) if networks.teacher else None
    learner = Learner(
        recipe,
        networks=networks,
        optimizer=build_optimizer(recipe.optimizer, list(student.parameters())),
        loss=build_loss(recipe.loss, CLASSES, [2, 2, 2]),
        policy=build_policy(recipe.ssl.threshold, 3, 8),
        device=device,
    )
    stats = PseudoStats(3)
    result = learner.step(LABELLED, unlabelled, ramp_weight, stats)
    return networks, teacher_before, result, stats.read()


def recipe_of(tiny_recipe, method, **settings):
    return tiny_recipe(
        ssl__method=method,
        ssl__pseudo={"weight": WEIGHT, **settings.pop("pseudo", {})},
        ssl__threshold={"tau": TAU},
        optimizer={"name": "sgd", "lr": LR, "momentum": 0.0},
        **settings,
    )


def expected(method, teacher=None, batch=UNLABELLED, source="teacher"):
    """Loss terms and the student after plain gradient descent, written out with torch's own functions."""
    student = small_network()
    supervised = F.cross_entropy(student(LABELLED.clips_BCTHW), LABELLED.labels_B)
    views = [batch.student_BCTHW] if batch.second_BCTHW is None else [batch.student_BCTHW, batch.second_BCTHW]
    outputs = student(torch.cat(views))
    probs, n = outputs.softmax(1), len(views)
    own = sum(probs.detach().split(8)) / n
    labeller = {"teacher": teacher, "student": student, "same": None}[METHODS[method].labeller]
    target = own if labeller is None else labeller(batch.label_BCTHW).softmax(1).detach()
    consistency, pseudo = torch.zeros(()), torch.zeros(())
    if METHODS[method].consistency:
        consistency = F.mse_loss(probs, target.repeat(n, 1), reduction="sum") / (8 * n)
    confidence, labels = (own if source == "student" else target).max(1)
    if METHODS[method].pseudo:
        losses = F.cross_entropy(outputs, labels.repeat(n), reduction="none")
        pseudo = ((confidence > TAU).repeat(n) * losses).sum() / (8 * n)
    (supervised + LAMBDA * (consistency + WEIGHT * pseudo)).backward()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter -= LR * parameter.grad
    return student, torch.stack([supervised, consistency, pseudo]).detach(), float((confidence > TAU).float().mean())


@pytest.mark.parametrize("method", ["mean_teacher", "pseudo_label", "fixmatch", "agrm"])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_a_step_is_plain_gradient_descent_on_the_formula_however_many_parts_it_is_made_in(tiny_recipe, method, parts):
    recipe = recipe_of(tiny_recipe, method, batch__accumulate=parts)
    networks, teacher, result, stats = take_step(recipe, UNLABELLED if METHODS[method].label_view else OWN_VIEW)
    student, terms, coverage = expected(method, teacher)
    torch.testing.assert_close(result.terms_4[:3], terms, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(networks.student.state_dict(), student.state_dict(), rtol=1e-5, atol=1e-6)
    if METHODS[method].pseudo:
        assert 0 < coverage < 1
        assert stats["pseudo_coverage"] == pytest.approx(coverage)


@pytest.mark.parametrize("method", ["mean_teacher", "fixmatch", "agrm"])
@pytest.mark.parametrize(("parts", "batch_norm"), [(1, "separate"), (3, "separate"), (1, "joint")])
def test_the_losses_of_two_views_of_the_student_are_averaged(tiny_recipe, method, parts, batch_norm):
    recipe = recipe_of(tiny_recipe, method, batch__accumulate=parts, ssl__batch_norm=batch_norm, ssl__views=2)
    networks, teacher, result, stats = take_step(recipe, TWO_VIEWS)
    student, terms, coverage = expected(method, teacher, TWO_VIEWS)
    torch.testing.assert_close(result.terms_4[:3], terms, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(networks.student.state_dict(), student.state_dict(), rtol=1e-5, atol=1e-6)
    if METHODS[method].pseudo:
        assert 0 < coverage < 1
        assert stats["pseudo_coverage"] == pytest.approx(coverage)
        assert sum(stats["pseudo_class_counts"]) == round(8 * coverage)


def test_the_students_confidence_on_two_views_is_that_of_its_mean(tiny_recipe):
    recipe = recipe_of(tiny_recipe, "agrm", pseudo={"confidence": "student"}, ssl__views=2)
    _, teacher, result, stats = take_step(recipe, TWO_VIEWS)
    _, terms, coverage = expected("agrm", teacher, TWO_VIEWS, source="student")
    torch.testing.assert_close(result.terms_4[:3], terms, rtol=1e-5, atol=1e-6)
    assert 0 < stats["pseudo_coverage"] == pytest.approx(coverage)


def test_the_teacher_follows_the_student_after_the_step(tiny_recipe):
    recipe = recipe_of(tiny_recipe, "agrm", ssl__ema={"alpha": 0.9})
    networks, before, _, _ = take_step(recipe, UNLABELLED)
    wanted = [0.9 * t + 0.1 * s for t, s in zip(before.parameters(), networks.student.parameters(), strict=True)]
    for mine, theirs in zip(networks.teacher.module.parameters(), wanted, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_teacher_is_in_no_optimizer_and_never_gets_a_gradient(tiny_recipe):
    networks, _, _, _ = take_step(recipe_of(tiny_recipe, "agrm"), UNLABELLED)
    students = {parameter.data_ptr() for parameter in networks.student.parameters()}
    for parameter in networks.teacher.module.parameters():
        assert not parameter.requires_grad
        assert parameter.grad is None
        assert parameter.data_ptr() not in students


@pytest.mark.parametrize("method", ["mean_teacher", "pseudo_label", "fixmatch", "agrm"])
def test_with_a_ramp_weight_of_zero_a_step_is_a_supervised_one_to_the_last_bit(tiny_recipe, method):
    plain, _, plain_result, _ = take_step(recipe_of(tiny_recipe, "supervised"), None)
    other, _, result, stats = take_step(recipe_of(tiny_recipe, method), UNLABELLED, ramp_weight=0.0)
    for mine, theirs in zip(other.student.parameters(), plain.student.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(result.terms_4, plain_result.terms_4)
    assert stats == {}


@pytest.mark.parametrize("mode", ["off", "rounds"])
def test_without_online_pseudo_labels_agrm_steps_like_a_mean_teacher(tiny_recipe, mode):
    mine, _, result, _ = take_step(recipe_of(tiny_recipe, "agrm", pseudo={"mode": mode}), UNLABELLED)
    theirs, _, wanted, _ = take_step(recipe_of(tiny_recipe, "mean_teacher"), UNLABELLED)
    assert torch.equal(result.terms_4, wanted.terms_4)
    torch.testing.assert_close(mine.student.state_dict(), theirs.student.state_dict(), rtol=0, atol=0)


def test_a_gradient_longer_than_its_norm_is_cut(tiny_recipe):
    recipe = tiny_recipe(
        ssl__method="supervised", optimizer={"name": "sgd", "lr": 1.0, "momentum": 0.0, "clip_norm": 1e-3}
    )
    networks, _, _, _ = take_step(recipe, None)
    moved = [a - b for a, b in zip(networks.student.parameters(), small_network().parameters(), strict=True)]
    assert torch.cat([m.flatten() for m in moved]).norm().item() == pytest.approx(1e-3, rel=1e-3)
