"""A learning rate that was reduced many times before the unlabelled clips had their full weight is reported."""

from __future__ import annotations

import pytest
from synthetic_records import write_results

from agrm_study.report.build import make_report
from agrm_study.report.rate_cuts import fold_before_full_weight

TEXT = """\
name: rates
tasks: [three_class]
seeds: [0, 1, 2]
data: {synthetic: {subjects: 12, unlabelled: 12}}
set: {epochs: 12, ssl.pretrain_epochs: 1, ssl.ramp.epochs: 2}
arms: [{name: A}, {name: B, set: {optimizer.schedule: constant}}]
reference: A
primary_metric: macro_f1
"""


@pytest.mark.parametrize(
    ("weights", "rates", "fold"),
    [
        ([0, 0, 0.5, 1, 1], [8, 4, 2, 1, 0.5], 8),
        ([0, 0, 0.5], [8, 4, 2], 4),  # the ramp never ended: the last λ is the largest
        ([0, 0, 0], [8, 4, 2], 1),
        ([1, 1, 1], [8, 4, 2], 1),
    ],
)
def test_the_fold_is_that_of_the_first_epoch_with_full_weight(weights, rates, fold) -> None:
    epochs = [(epoch, rate, weight) for epoch, (rate, weight) in enumerate(zip(rates, weights, strict=True), start=1)]
    assert fold_before_full_weight(epochs) == fold


def cut(trial, blocks, rows):
    for row in rows:
        if row["split"] == "train":
            row["ramp_weight"] = min(1.0, max(0.0, (row["epoch"] - 1) / 2))
            row["lr"] = 1.0 if trial["seed"] == 0 else 4.0 ** (1 - row["epoch"])


def test_arms_with_a_plateau_are_named_with_the_number_of_their_trials(tmp_path) -> None:
    root = write_results(tmp_path / "rates", TEXT, subjects=18, epochs=4, change=cut)
    table = make_report([root], tables=["arms"], figures=[], formats=["md"]).tables[str(root)]["arms"]
    [note] = [note for note in table.notes if note.startswith("Learning rate")]
    assert "of A: in 2 of 3 trials" in note
    assert "16-fold" in note
