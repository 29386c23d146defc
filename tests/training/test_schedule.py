"""Learning rate, best epoch and early stopping, against sequences computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from agrm_study.study.recipe import Optimizer
from agrm_study.training.early_stopping import EarlyStopping
from agrm_study.training.schedule import LearningRate, build_optimizer, build_plateau


def rates(losses: list[float], patience: int) -> list[float]:
    settings = Optimizer(lr=1.0, plateau_patience=patience)
    optimizer = build_optimizer(settings, [nn.Parameter(torch.zeros(1))])
    plateau = build_plateau(settings, optimizer)
    seen = []
    for loss in losses:
        optimizer.step()
        plateau.step(loss)
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


def test_the_rate_is_halved_after_exactly_the_patience_in_epochs_without_a_lower_loss():
    assert rates([5, 5, 5, 5], 3) == [1, 1, 1, 0.5]
    assert rates([5, 5, 5, 4.999999, 5, 5, 5, 5, 5, 5], 3) == [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_a_fused_step_equals_the_plain_one(name, kind):
    settings = Optimizer(name=name, lr=0.1, weight_decay=0.01)
    mine, theirs = nn.Parameter(torch.linspace(-1, 1, 7)), nn.Parameter(torch.linspace(-1, 1, 7))
    optimizer = build_optimizer(settings, [mine])
    extra = {"momentum": 0.9} if name == "sgd" else {"betas": (0.9, 0.999)}
    reference = kind([theirs], lr=0.1, weight_decay=0.01, foreach=False, fused=False, **extra)
    for _ in range(3):
        for parameter, optim in ((mine, optimizer), (theirs, reference)):
            parameter.grad = parameter.detach().square() + 0.1
            optim.step()
    torch.testing.assert_close(mine, theirs)


def test_training_stops_after_patience_epochs_without_improvement_once_armed():
    stopping = EarlyStopping("macro_f1", patience=2, armed_after=4)
    values = [0.5, 0.6, 0.6, 0.5, 0.5]
    assert [stopping.update(epoch, value) for epoch, value in enumerate(values, 1)] == [True, True, False, False, False]
    assert (stopping.best_epoch, stopping.waited, stopping.stops) == (2, 2, True)


def test_an_improvement_starts_the_count_anew_and_a_tie_is_none():
    stopping = EarlyStopping("accuracy", patience=2, armed_after=1)
    for epoch, value in enumerate([0.5, 0.4, 0.7, 0.7], 1):
        stopping.update(epoch, value)
    assert (stopping.best_epoch, stopping.waited, stopping.stops) == (3, 1, False)


def test_a_loss_is_better_when_it_is_lower():
    stopping = EarlyStopping("loss", patience=2, armed_after=1)
    for epoch, value in enumerate([2.0, 1.0, 1.5], 1):
        stopping.update(epoch, value)
    assert stopping.best_epoch == 2


def test_its_state_goes_on_where_it_stood():
    first, second = (EarlyStopping("accuracy", patience=3, armed_after=1) for _ in range(2))
    first.update(1, 0.5)
    first.update(2, 0.4)
    second.load_state_dict(first.state_dict())
    assert not second.update(3, 0.5)
    assert (second.best_epoch, second.waited) == (1, 2)


def learning_rate(settings: Optimizer, *, epochs: int = 16, armed_after: int = 1):
    optimizer = build_optimizer(settings, [nn.Parameter(torch.zeros(1))])
    return LearningRate(settings, optimizer, epochs, armed_after), optimizer


def test_the_cosine_falls_as_in_fixmatch():
    """η cos(7πk/16K): K = 16 and k = 0, 8, 16 give 1, cos(7π/32) = 0.77301 and cos(7π/16) = 0.19509."""
    rate, optimizer = learning_rate(Optimizer(lr=2.0, schedule="cosine"))
    seen = [optimizer.param_groups[0]["lr"]]
    for epoch in range(1, 17):
        optimizer.step()
        rate.step(epoch, 1.0)
        seen.append(optimizer.param_groups[0]["lr"])
    assert (seen[0], seen[8], seen[16]) == pytest.approx((2.0, 1.54602, 0.39018), abs=1e-5)
    assert seen == sorted(seen, reverse=True)


def test_a_constant_rate_stays():
    rate, optimizer = learning_rate(Optimizer(lr=2.0, schedule="constant", plateau_patience=1))
    for epoch in range(1, 5):
        rate.step(epoch, 1.0)
    assert optimizer.param_groups[0]["lr"] == 2.0


@pytest.mark.parametrize("patience", [1, 2])
def test_an_armed_plateau_counts_from_the_armed_epoch_on_and_knows_the_best_loss_before(patience):
    """Losses 5, 3, 4, 4, 4 …, armed in epoch 4: epoch 3 does not count, 4 and 5 do, and 4 is no improvement on 3."""
    rate, optimizer = learning_rate(Optimizer(lr=1.0, plateau_armed=True, plateau_patience=patience), armed_after=4)
    seen = []
    for epoch, loss in enumerate((5.0, 3, 4, 4, 4), start=1):
        rate.step(epoch, loss)
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == {1: [1, 1, 1, 0.5, 0.25], 2: [1, 1, 1, 1, 0.5]}[patience]


def test_an_armed_plateau_from_the_first_epoch_is_the_usual_one():
    losses = [5.0, 5, 5, 4, 5, 5, 5]
    usual, armed = (learning_rate(Optimizer(lr=1.0, plateau_armed=a, plateau_patience=2)) for a in (False, True))
    for epoch, loss in enumerate(losses, start=1):
        for rate, _ in (usual, armed):
            rate.step(epoch, loss)
        assert usual[1].param_groups[0]["lr"] == armed[1].param_groups[0]["lr"]
