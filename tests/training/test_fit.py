"""Complete training runs on a tiny data set."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from agrm_study.study.errors import InputError
from agrm_study.training.checkpoint import BEST, ROLLING
from agrm_study.training.data.splits import Split
from agrm_study.training.failures import NanLossError
from agrm_study.training.fit import fit
from agrm_study.training.loop import Training
from agrm_study.training.models.build import forward_gflops

METHODS = ["supervised", "mean_teacher", "pseudo_label", "fixmatch", "agrm"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_hands_back_complete_predictions(tiny_data, tiny_recipe, method):
    reports = []
    outcome = fit(tiny_recipe(ssl__method=method, epochs=3), **tiny_data.arguments, on_epoch=reports.append)
    networks = {"student", "teacher"} if method in ("mean_teacher", "agrm") else {"student"}
    assert [report.epoch for report in reports] == [1, 2, 3]
    assert [report.done for report in reports] == [False, False, True]
    assert {(p.split, p.network) for p in outcome.predictions} == {
        (part, network) for part in ("train", "val", "test") for network in networks
    }
    for prediction in outcome.predictions:
        assert set(prediction.subject_id) == set(tiny_data.split.subjects(prediction.split))
        assert len(set(prediction.clip_id)) == len(prediction.clip_id) == len(prediction.logits)
        assert prediction.logits.dtype == np.float32
        assert prediction.epoch == outcome.best_epoch
        labels = [tiny_data.manifest.by_id[name.split("#")[0]].label for name in prediction.clip_id]
        assert [outcome.class_names[index] for index in prediction.label] == labels
    assert (outcome.stop_reason, outcome.epochs) == ("epochs", 3)
    assert outcome.rows == tuple(row for report in reports for row in report.rows)


def test_an_outcome_has_all_that_records_hold(tiny_data, tiny_recipe):
    """FreeMatch in AGRM has a teacher and a policy with averages, so nothing is left out."""
    recipe = tiny_recipe(ssl__method="agrm", ssl__threshold={"policy": "freematch"}, epochs=2)
    outcome = fit(recipe, **tiny_data.arguments)
    assert [field.name for field in fields(outcome) if getattr(outcome, field.name) is None] == []
    clip = recipe.clip
    assert outcome.gflops == forward_gflops(recipe.model, n_outputs=3, frames=clip.frames, size=clip.size)
    assert outcome.clips_per_s > 0


def test_a_search_gets_no_test_predictions(tiny_data, tiny_recipe):
    split = tiny_data.split
    without = Split(split.train, split.val, (), split.unlabelled_train, split.unlabelled_val, split.subject_of)
    arguments = {**tiny_data.arguments, "split": without}
    outcome = fit(tiny_recipe(epochs=2), **arguments, evaluate_test=False)
    assert {prediction.split for prediction in outcome.predictions} == {"val"}


def test_it_learns(tiny_data, tiny_recipe):
    outcome = fit(tiny_recipe(ssl__method="supervised", augment__labelled="weak", epochs=8), **tiny_data.arguments)
    losses = [row.loss for row in outcome.rows if row.split == "train"]
    assert losses[-1] < losses[0] / 2
    best = {row.epoch: row.metrics["macro_f1"] for row in outcome.rows if row.split == "val"}[outcome.best_epoch]
    assert best == max(row.metrics["macro_f1"] for row in outcome.rows if row.split == "val") > 0.5


def test_pretraining_is_supervised_then_the_teacher_starts_and_the_ramp_counts_from_there(tiny_data, tiny_recipe):
    recipe = tiny_recipe(ssl__pretrain_epochs=2, ssl__ramp={"epochs": 2}, epochs=6)
    training = Training(recipe, **tiny_data.arguments)
    reports = [training.run_epoch() for _ in range(6)]
    networks = [[row.network for row in report.rows if row.split == "val"] for report in reports]
    assert networks == [["student"]] * 2 + [["student", "teacher"]] * 4
    learned = [report.rows[0].training for report in reports]
    assert [row["ramp_weight"] for row in learned] == [0, 0, 0, 0.5, 1, 1]
    assert ["threshold" in row for row in learned] == [False, False, True, True, True, True]
    assert ["pseudo_coverage" in row for row in learned] == [False, False, False, True, True, True]
    assert all(row["loss_consistency"] > 0 for row in learned[3:])


def test_unlabelled_validation_clips_are_logged_after_pretraining_and_only_if_asked(tiny_data, tiny_recipe):
    for asked in (True, False):
        training = Training(tiny_recipe(evaluate__unlabelled=asked), **tiny_data.arguments)
        first, second = training.run_epoch(), training.run_epoch()
        assert first.rows[-1].training == {}
        names = {"loss_consistency", "pseudo_coverage", "pseudo_class_counts"}
        assert (names <= set(second.rows[-1].training)) is asked


def test_agrm_without_any_unsupervised_weight_equals_supervised_bit_for_bit(tiny_data, tiny_recipe):
    """Also the learning rate, the best epoch and the early stop; judged on the student, whom both have."""
    settings = {
        "evaluate__network": "student",
        "epochs": 12,
        "early_stop__patience": 2,
        "model__dropout": 0.2,
        "optimizer__plateau_patience": 1,
    }
    outcomes = [
        fit(tiny_recipe(ssl__method=method, ssl__ramp={"epochs": 2, "maximum": 0.0}, **settings), **tiny_data.arguments)
        for method in ("supervised", "agrm")
    ]

    def student_rows(outcome):
        return [
            (row.epoch, row.split, row.loss, row.metrics, row.training.get("lr"), row.training.get("loss_supervised"))
            for row in outcome.rows
            if row.network == "student"
        ]

    assert student_rows(outcomes[0]) == student_rows(outcomes[1])
    assert outcomes[0].stop_reason == outcomes[1].stop_reason == "early_stop"
    assert outcomes[0].best_epoch == outcomes[1].best_epoch
    theirs = {p.split: p.logits for p in outcomes[1].predictions if p.network == "student"}
    for prediction in outcomes[0].predictions:
        np.testing.assert_array_equal(prediction.logits, theirs[prediction.split])


def test_all_methods_of_a_seed_share_their_pretraining_bit_for_bit(tiny_data, tiny_recipe):
    weights = []
    for method in METHODS:
        training = Training(tiny_recipe(ssl__method=method), **tiny_data.arguments)
        report = training.run_epoch()
        weights.append((report.rows[1].loss, training._networks.weights()))
    for loss, student in weights[1:]:
        assert loss == weights[0][0]
        assert all(torch.equal(student[name], value) for name, value in weights[0][1].items())


def test_the_best_epoch_is_chosen_among_those_of_the_network_that_is_judged(tiny_data, tiny_recipe):
    """A teacher that hardly moves is worse than the pre-trained student; its own best epoch still counts."""
    recipe = tiny_recipe(ssl__pretrain_epochs=4, ssl__ema={"alpha": 0.999}, epochs=6)
    outcome = fit(recipe, **tiny_data.arguments)
    assert outcome.best_epoch >= 5
    judged = [row for row in outcome.rows if row.network == "teacher"]
    assert judged[outcome.best_epoch - 5].metrics["macro_f1"] == max(row.metrics["macro_f1"] for row in judged)


def test_predictions_are_those_of_the_best_epochs_weights(tiny_data, tiny_recipe, tmp_path):
    outcome = fit(tiny_recipe(epochs=4), **tiny_data.arguments, checkpoint_dir=tmp_path)
    weights = load_file(tmp_path / BEST)
    assert {name.split(".")[0] for name in weights} == {"student", "teacher"}
    alone = Training(tiny_recipe(epochs=4), **tiny_data.arguments)
    while alone.epoch < outcome.best_epoch:
        alone.run_epoch()
    for name, value in alone._networks.weights().items():
        assert torch.equal(weights[name], value)


def test_two_trainings_from_nothing_are_equal_bit_for_bit(tiny_data, tiny_recipe):
    first, second = (fit(tiny_recipe(epochs=3), **tiny_data.arguments) for _ in range(2))
    assert first.rows == second.rows
    for one, two in zip(first.predictions, second.predictions, strict=True):
        np.testing.assert_array_equal(one.logits, two.logits)


def test_asking_for_the_outcome_in_between_does_not_disturb_the_training(tiny_data, tiny_recipe):
    plain, asked = (Training(tiny_recipe(epochs=4), **tiny_data.arguments) for _ in range(2))
    for _ in range(4):
        plain.run_epoch()
        asked.run_epoch()
        asked.outcome()
    assert plain.outcome().rows == asked.outcome().rows


@pytest.mark.parametrize("task", ["two_class", "three_class"])
@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "class_balanced", "corn", "arcface"])
def test_every_loss_trains_on_every_task(tiny_data, tiny_recipe, task, loss):
    classifier = "arcface" if loss == "arcface" else "linear"
    outcome = fit(
        tiny_recipe(task=task, loss__name=loss, model__classifier=classifier, epochs=2), **tiny_data.arguments
    )
    assert all(p.logits.shape[1] == len(outcome.class_names) for p in outcome.predictions)


@pytest.mark.parametrize("policy", ["fixed", "flexmatch", "freematch", "softmatch", "percentile"])
@pytest.mark.parametrize("mode", ["online", "rounds"])
def test_every_threshold_policy_trains_in_both_modes(tiny_data, tiny_recipe, policy, mode):
    recipe = tiny_recipe(ssl__threshold={"policy": policy, "tau": 0.4}, ssl__pseudo={"mode": mode}, epochs=3)
    rows = fit(recipe, **tiny_data.arguments).rows
    learned = [row.training for row in rows if row.split == "train"]
    assert 0 <= learned[-1]["pseudo_coverage"] <= 1
    assert 0 <= learned[-1]["threshold"] <= 1


def test_in_rounds_accepted_clips_are_learned_as_labelled_ones(tiny_data, tiny_recipe):
    recipe = tiny_recipe(ssl__threshold={"tau": 0.0}, ssl__pseudo={"mode": "rounds"}, epochs=4)
    training = Training(recipe, **tiny_data.arguments)
    pretrained, first, *_ = (training.run_epoch() for _ in range(4))
    assert "pseudo_coverage" not in pretrained.rows[0].training
    assert first.rows[0].training["pseudo_coverage"] == 1.0
    assert first.rows[0].training["loss_pseudo"] == 0.0
    assert sum(first.rows[0].training["pseudo_class_counts"]) == len(tiny_data.split.unlabelled_train)
    assert 0 <= first.rows[0].training["pseudo_accuracy"] <= 1
    # Nothing is left to be consistent on.
    assert training._rows[-3].training["loss_consistency"] == 0.0


def test_a_loss_that_is_not_finite_stops_the_training_and_says_where(tiny_data, tiny_recipe):
    recipe = tiny_recipe(ssl__method="supervised", optimizer={"name": "sgd", "lr": 1e30})
    training = Training(recipe, **tiny_data.arguments)
    with pytest.raises(NanLossError, match=r"epoch 1, step \d: loss_supervised (nan|inf)") as caught:
        training.run_epoch()
    assert caught.value.facts["epoch"] == 1
    assert set(caught.value.facts["terms"]) == {"loss_supervised", "loss_consistency", "loss_pseudo"}
    assert training.epoch == 0


def test_the_folder_holds_the_rolling_and_the_best_checkpoint_and_nothing_else(tiny_data, tiny_recipe, tmp_path):
    fit(tiny_recipe(epochs=3), **tiny_data.arguments, checkpoint_dir=tmp_path / "deep" / "trial")
    assert sorted(path.name for path in (tmp_path / "deep" / "trial").iterdir()) == [BEST, ROLLING]


def test_a_part_that_is_needed_and_empty_is_refused(tiny_data, tiny_recipe):
    split = tiny_data.split
    for name, empty in {
        "data.split.val": Split(split.train, (), split.test, split.unlabelled_train),
        "data.split.test": Split(split.train, split.val, (), split.unlabelled_train),
        "data.unlabelled_train": Split(split.train, split.val, split.test),
    }.items():
        with pytest.raises(InputError, match=f"`{name}`"):
            Training(tiny_recipe(), **{**tiny_data.arguments, "split": empty})


def test_after_the_last_epoch_there_is_no_other(tiny_data, tiny_recipe):
    training = Training(tiny_recipe(epochs=1), **tiny_data.arguments)
    with pytest.raises(ValueError, match="no epoch has been completed"):
        training.outcome()
    training.run_epoch()
    with pytest.raises(ValueError, match="ended after 1 epoch"):
        training.run_epoch()
