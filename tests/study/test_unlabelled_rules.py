"""Incompatible settings of unlabelled clips are refused with their line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agrm_study.study.errors import InputError


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ("ssl.batch_norm: joint, batch.accumulate: 2", "batch.accumulate", "must be 1 with ssl.batch_norm joint"),
        ("ssl.batch_norm: per_domain, ssl.ema.buffers: own", "ssl.ema.buffers", "must not be own"),
        ("ssl.batch_norm: labelled_only, ssl.ema.buffers: own", "ssl.ema.buffers", "must not be own"),
        ("ssl.threshold.policy: relative, ssl.pseudo.mode: rounds", "ssl.threshold.policy", "must be online"),
        ("ssl.threshold.alignment: predictions, ssl.pseudo.mode: rounds", "ssl.threshold.alignment", "must be online"),
        ("ssl.pseudo: {uncertainty: views, mode: rounds}", "ssl.pseudo.uncertainty", "online"),
        ("ssl.pseudo.uncertainty: views, ssl.method: pseudo_label", "ssl.pseudo.uncertainty", "two views"),
        ("ssl.views: 2, ssl.method: pseudo_label", "ssl.views", "labels the view that it learns from"),
        ("ssl.pseudo.uncertainty: dropout, ssl.method: fixmatch", "ssl.pseudo.uncertainty", "requires a teacher"),
        ("ssl.pseudo.uncertainty: dropout", "ssl.pseudo.uncertainty", "model.dropout above 0"),
    ],
)
def test_what_cannot_go_together_is_refused(
    load_settings: Callable[[str], None], settings: str, field: str, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load_settings(settings)
    assert (caught.value.field, caught.value.line) == (field, 6)


@pytest.mark.parametrize(
    "settings",
    [
        "ssl.batch_norm: joint, batch.accumulate: 2, ssl.method: supervised",
        "ssl.pseudo: {uncertainty: dropout}, ssl.method: mean_teacher",
        "ssl.pseudo: {uncertainty: dropout}, model.dropout: 0.2",
        "ssl.batch_norm: per_domain, ssl.ema.buffers: own, ssl.method: fixmatch",
    ],
)
def test_what_cannot_act_is_not_refused(load_settings: Callable[[str], None], settings: str) -> None:
    load_settings(settings)
