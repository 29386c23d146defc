"""Evaluation: windows, crop, and aggregation of outputs by subject."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import f1_score
from torch import nn

from agrm_study.study.recipe import Loss, Recipe
from agrm_study.study.tasks import BUILT_IN
from agrm_study.training.augment.pixels import MEAN, STD, Renderer
from agrm_study.training.clipset import ClipSet, clip_set
from agrm_study.training.device import Device
from agrm_study.training.evaluate import Evaluator, score, spread
from agrm_study.training.ssl.losses import build_loss

CLASSES = ("normal", "genu_varum", "genu_valgum")


class Probe(nn.Module):
    """Answers with three pixels of the clip, and remembers how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []
        self.training_seen: list[bool] = []

    def forward(self, clips_BCTHW: torch.Tensor) -> torch.Tensor:
        self.seen.append(clips_BCTHW.clone())
        self.training_seen.append(self.training)
        return clips_BCTHW[:, :, 0, 0, 0]


@pytest.fixture
def clips(tiny_data) -> ClipSet:
    return clip_set(tiny_data.split.val, tiny_data.manifest, tiny_data.store, BUILT_IN["three_class"])


def evaluator(tiny_data, recipe: Recipe, batch: int) -> Evaluator:
    return Evaluator(
        store=tiny_data.store,
        renderer=Renderer(0, recipe.clip.size),
        device=Device("cpu", recipe),
        loss=build_loss(Loss(), CLASSES, [1, 1, 1]),
        size=recipe.clip.size,
        batch=batch,
    )


def test_windows_are_named_and_owned_and_a_short_video_has_fewer(tiny_data, tiny_recipe, clips):
    windows = spread(clips, tiny_recipe().clip, 3)
    lengths = [tiny_data.store.frames(row) for row in clips.rows_N]
    counts = [min(3, length - 4 + 1) for length in lengths]
    assert windows.names == tuple(f"{c}#{k}" for c, n in zip(clips.clip_ids, counts, strict=True) for k in range(n))
    assert np.bincount(windows.owners_N).tolist() == counts
    assert windows.subjects == clips.subject_ids


def test_a_network_sees_normalised_centre_crops_in_eval_mode_and_gets_its_mode_back(tiny_data, tiny_recipe, clips):
    recipe, probe = tiny_recipe(), Probe().train()
    windows = spread(clips, recipe.clip, 2)
    evaluator(tiny_data, recipe, 3).logits({"student": probe}, windows)
    seen = torch.cat(probe.seen)
    for index in range(len(windows.names)):
        row, frames = windows.clips.rows_N[index], windows.view.frames_NT[index]
        crop = tiny_data.store.gather([row], [frames], [3], [2], 24)[0] / 255
        wanted = (crop - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
        np.testing.assert_allclose(seen[index].numpy(), wanted.transpose(1, 0, 2, 3), atol=1e-5)
    assert set(probe.training_seen) == {False}
    assert probe.training


def test_the_batch_size_changes_no_answer_and_two_networks_share_one_reading(tiny_data, tiny_recipe, clips):
    recipe = tiny_recipe()
    windows = spread(clips, recipe.clip, 2)
    before = tiny_data.store.gathers
    both = evaluator(tiny_data, recipe, 100).logits({"student": Probe(), "teacher": Probe()}, windows)
    assert tiny_data.store.gathers == before + 1
    single = evaluator(tiny_data, recipe, 1).logits({"student": Probe()}, windows)
    np.testing.assert_array_equal(both["student"], single["student"])
    np.testing.assert_array_equal(both["student"], both["teacher"])


def test_a_score_is_computed_from_probabilities_averaged_per_subject(clips, tiny_recipe):
    windows = spread(clips, tiny_recipe().clip, 2)
    logits = np.random.default_rng(0).normal(size=(len(windows.names), 3)).astype(np.float32) * 3
    mean = np.stack([softmax(logits[windows.owners_N == s].astype(float), axis=1).mean(0) for s in range(5)])
    mine = score(logits, windows)
    assert mine.loss == pytest.approx(-np.log(mean[np.arange(5), windows.labels_S]).mean(), rel=1e-6)
    macro = f1_score(windows.labels_S, mean.argmax(1), average="macro", labels=range(3), zero_division=0)
    assert mine.metrics["macro_f1"] == pytest.approx(macro)


def test_a_subject_with_two_clips_votes_once(tiny_data, tiny_recipe, clips, make_record):
    twice = clips.take(np.array([0, 1, 2]))
    twice = type(twice)(**{**{f: getattr(twice, f) for f in twice.__slots__}, "subject_ids": ("a", "b", "a")})
    windows = spread(twice, tiny_recipe().clip, 1)
    assert windows.subjects == ("a", "b")
    assert windows.owners_N.tolist() == [0, 1, 0]
