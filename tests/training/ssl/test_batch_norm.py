"""Running statistics of batch norm if labelled and unlabelled clips come from different domains."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from training.test_step import LABELLED, UNLABELLED

from agrm_study.training.device import Device
from agrm_study.training.loop import Training
from agrm_study.training.schedule import build_optimizer
from agrm_study.training.ssl.batch_norm import UnlabelledNorms
from agrm_study.training.ssl.losses import build_loss
from agrm_study.training.ssl.networks import Networks
from agrm_study.training.ssl.pseudo import PseudoStats
from agrm_study.training.ssl.step import Learner
from agrm_study.training.ssl.thresholds import build_policy

CLASSES = ("normal", "genu_varum", "genu_valgum")


def with_norm() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm3d(3), nn.Flatten(), nn.Linear(24, 3)).train()


def stepped(recipe) -> Networks:
    """Networks after one step on the clips of `test_step`."""
    student = with_norm()
    device = Device("cpu", recipe)
    networks = Networks(student, recipe.ssl.ema, device, batch_norm=recipe.ssl.batch_norm)
    if recipe.has_teacher:
        networks.start_teacher()
    learner = Learner(
        recipe,
        networks=networks,
        optimizer=build_optimizer(recipe.optimizer, list(student.parameters())),
        loss=build_loss(recipe.loss, CLASSES, [2, 2, 2]),
        policy=build_policy(recipe.ssl.threshold, 3, 8),
        device=device,
    )
    learner.step(LABELLED, UNLABELLED, 1.0, PseudoStats(3))
    return networks


def mean_after(*batches: torch.Tensor) -> torch.Tensor:
    """Running mean of the first layer after passes on these batches: momentum 0.1, from 0."""
    mean = torch.zeros(3)
    for batch in batches:
        mean = 0.9 * mean + 0.1 * batch.mean(dim=(0, 2, 3, 4))
    return mean


L, S, W = LABELLED.clips_BCTHW, UNLABELLED.student_BCTHW, UNLABELLED.label_BCTHW


@pytest.mark.parametrize(
    ("mode", "method", "batches"),
    [
        ("separate", "agrm", [L, S]),
        ("separate", "fixmatch", [L, W, S]),
        ("labelled_only", "agrm", [L]),
        ("labelled_only", "fixmatch", [L]),
        ("per_domain", "agrm", [L]),
        ("joint", "agrm", [torch.cat([L, S])]),
        ("joint", "fixmatch", [torch.cat([L, S, W])]),
        ("joint", "supervised", [L]),
    ],
)
def test_the_running_mean_is_that_of_the_clips_that_count(tiny_recipe, mode, method, batches):
    networks = stepped(tiny_recipe(ssl__method=method, ssl__batch_norm=mode))
    torch.testing.assert_close(networks.student[0].running_mean, mean_after(*batches))


def test_unlabelled_clips_have_statistics_of_their_own_per_domain(tiny_recipe):
    """The set starts as a copy of the labelled clips' before its first pass, and the teacher's follows it."""
    networks = stepped(tiny_recipe(ssl__method="agrm", ssl__batch_norm="per_domain", ssl__ema={"alpha": 0.75}))
    labelled = mean_after(L)
    with networks.on_unlabelled():
        unlabelled = networks.student[0].running_mean.clone()
        teachers = networks.teacher.module[0].running_mean.clone()
    own = 0.9 * labelled + 0.1 * S.mean(dim=(0, 2, 3, 4))
    torch.testing.assert_close(unlabelled, own)
    torch.testing.assert_close(networks.student[0].running_mean, labelled)
    torch.testing.assert_close(teachers, 0.25 * own)  # the teacher was created with a running mean of 0


def test_the_statistics_of_unlabelled_clips_are_restored_with_the_networks(tiny_recipe):
    recipe = tiny_recipe(ssl__method="agrm", ssl__batch_norm="per_domain")
    saved = stepped(recipe)
    state = copy.deepcopy(saved.state_dict())
    fresh = Networks(with_norm(), recipe.ssl.ema, Device("cpu", recipe), batch_norm="per_domain")
    fresh.load_state_dict(state)
    for networks in (saved, fresh):
        with networks.on_unlabelled():
            networks.shown = [networks.student[0].running_mean.clone(), networks.teacher.module[0].running_mean.clone()]
    for mine, theirs in zip(saved.shown, fresh.shown, strict=True):
        assert torch.equal(mine, theirs)


def test_a_network_without_norm_layers_is_left_alone():
    with UnlabelledNorms(nn.Linear(2, 2), "per_domain").active():
        pass


def test_a_joint_step_without_norm_layers_is_the_separate_one(tiny_recipe):
    """Without batch norm the clips of a step do not see each other: one pass and two give the same gradients."""
    networks = []
    for mode in ("separate", "joint"):
        recipe = tiny_recipe(ssl__method="fixmatch", ssl__batch_norm=mode, optimizer={"name": "sgd", "lr": 0.1})
        torch.manual_seed(0)
        student = nn.Sequential(nn.Flatten(), nn.Linear(24, 3))
        device = Device("cpu", recipe)
        both = Networks(student, recipe.ssl.ema, device)
        learner = Learner(
            recipe,
            networks=both,
            optimizer=build_optimizer(recipe.optimizer, list(student.parameters())),
            loss=build_loss(recipe.loss, CLASSES, [2, 2, 2]),
            policy=build_policy(recipe.ssl.threshold, 3, 8),
            device=device,
        )
        result = learner.step(LABELLED, UNLABELLED, 0.7, PseudoStats(3))
        networks.append((student.state_dict(), result.terms_4, result.logits_BK))
    torch.testing.assert_close(networks[0], networks[1])


@pytest.mark.parametrize("mode", ["separate", "joint", "labelled_only", "per_domain"])
def test_every_mode_trains_from_pretraining_to_the_end(tiny_data, tiny_recipe, mode):
    training = Training(tiny_recipe(epochs=3, ssl__batch_norm=mode), **tiny_data.arguments)
    while not training.done:
        training.run_epoch()
    assert training.outcome().epochs == 3
