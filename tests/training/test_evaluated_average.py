"""`evaluate.ema`: an average of the network that is evaluated and labels nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from agrm_study.training.loop import Training


def run(training: Training) -> Training:
    while not training.done:
        training.run_epoch()
    return training


@pytest.mark.parametrize("method", ["supervised", "fixmatch", "pseudo_label"])
def test_it_changes_nothing_about_the_student(tiny_data, tiny_recipe, method):
    settings = {"epochs": 3, "ssl__method": method, "early_stop__patience": 100}
    plain, averaged = (
        run(Training(tiny_recipe(**settings, evaluate__ema=ema), **tiny_data.arguments)) for ema in (False, True)
    )
    mine, theirs = plain._networks.student.state_dict(), averaged._networks.student.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    students = [row for row in averaged.rows if row.network == "student"]
    assert [row.loss for row in students] == [row.loss for row in plain.rows]
    assert {row.network for row in averaged.rows} == {"student", "ema"}


def test_it_is_the_recursion_from_the_initial_weights_on(tiny_data, tiny_recipe):
    """α = 0.5, three steps of 14 clips in batches of 6: the weights after each step, halved into the average."""
    recipe = tiny_recipe(epochs=1, ssl__method="supervised", evaluate__ema=True, ssl__ema={"alpha": 0.5})
    training = Training(recipe, **tiny_data.arguments)
    wanted = [p.detach().clone() for p in training._networks.student.parameters()]
    original = training._networks.update

    def update():
        for mine, now in zip(wanted, training._networks.student.parameters(), strict=True):
            mine.copy_(0.5 * mine + 0.5 * now.detach())
        original()

    training._networks.update = update
    run(training)
    for mine, theirs in zip(wanted, training._networks.ema.module.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_its_validation_score_selects_unless_the_student_is_asked_for(tiny_data, tiny_recipe):
    settings = {"epochs": 4, "ssl__method": "supervised", "evaluate__ema": True, "early_stop__patience": 100}
    for asked, name in (("teacher", "ema"), ("student", "student")):
        training = run(Training(tiny_recipe(**settings, evaluate__network=asked), **tiny_data.arguments))
        scores = {
            row.epoch: row.metrics["macro_f1"] for row in training.rows if (row.split, row.network) == ("val", name)
        }
        best = max(scores.values())
        assert training.outcome().best_epoch == min(epoch for epoch, score in scores.items() if score == best)


def test_its_predictions_are_recorded_beside_the_students(tiny_data, tiny_recipe):
    outcome = run(Training(tiny_recipe(epochs=2, ssl__method="fixmatch", evaluate__ema=True), **tiny_data.arguments))
    predictions = outcome.outcome().predictions
    assert {block.network for block in predictions} == {"student", "ema"}
    student, ema = (next(b for b in predictions if (b.split, b.network) == ("test", n)) for n in ("student", "ema"))
    assert student.clip_id == ema.clip_id
    assert not np.array_equal(student.logits, ema.logits)


def test_a_method_with_a_teacher_has_no_second_average(tiny_data, tiny_recipe):
    training = run(Training(tiny_recipe(epochs=2, evaluate__ema=True), **tiny_data.arguments))
    assert {row.network for row in training.rows} == {"student", "teacher"}
    assert copy.copy(training._networks.ema) is None
