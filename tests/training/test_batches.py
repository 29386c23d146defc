"""Batches: paired across arms, independent of the reader, two views of the same clips."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agrm_study.study.tasks import BUILT_IN, make_task
from agrm_study.training.augment.pixels import Renderer
from agrm_study.training.batches import Batches
from agrm_study.training.clipset import clip_set
from agrm_study.training.device import Device


def batches(tiny_data, recipe, *, label_view=True, ahead=0) -> Batches:
    def part(clip_ids):
        return clip_set(clip_ids, tiny_data.manifest, tiny_data.store, recipe.task)

    return Batches(
        recipe,
        store=tiny_data.store,
        labelled=part(tiny_data.split.train),
        unlabelled=part(tiny_data.split.unlabelled_train),
        renderer=Renderer(recipe.seed, recipe.clip.size),
        device=Device("cpu", recipe),
        label_view=label_view,
        ahead=ahead,
    )


def test_arms_of_one_seed_see_the_same_labelled_pixels_in_the_same_order(tiny_data, tiny_recipe):
    """Another method, pooling, unlabelled batch and strong branch; another seed sees others."""
    arms = [
        batches(tiny_data, tiny_recipe(ssl__method="supervised")).epoch(2, unlabelled=False),
        batches(
            tiny_data, tiny_recipe(ssl__method="agrm", model__pooling={"name": "average"}, batch__unlabelled=7)
        ).epoch(2, unlabelled=True),
        batches(tiny_data, tiny_recipe(ssl__method="fixmatch", augment__strong_branch="both")).epoch(
            2, unlabelled=True
        ),
    ]
    for first, *others in zip(*arms, strict=True):
        for other in others:
            assert torch.equal(first[0].clips_BCTHW, other[0].clips_BCTHW)
            assert torch.equal(first[0].labels_B, other[0].labels_B)
    (one, _), *_ = batches(tiny_data, tiny_recipe(seed=0)).epoch(1, unlabelled=False)
    (two, _), *_ = batches(tiny_data, tiny_recipe(seed=1)).epoch(1, unlabelled=False)
    assert not torch.equal(one.clips_BCTHW, two.clips_BCTHW)


@pytest.mark.parametrize("ahead", [1, 3])
def test_reading_ahead_changes_no_bit(tiny_data, tiny_recipe, ahead):
    recipe = tiny_recipe()
    for (a, b), (c, d) in zip(
        batches(tiny_data, recipe).epoch(1, unlabelled=True),
        batches(tiny_data, recipe, ahead=ahead).epoch(1, unlabelled=True),
        strict=True,
    ):
        assert torch.equal(a.clips_BCTHW, c.clips_BCTHW)
        assert torch.equal(b.student_BCTHW, d.student_BCTHW)
        assert torch.equal(b.label_BCTHW, d.label_BCTHW)
        assert torch.equal(b.ids_B, d.ids_B)


def off(**kept) -> dict[str, float]:
    names = (
        "shift",
        "flip",
        "brightness",
        "contrast",
        "saturation",
        "hue",
        "noise",
        "erase",
        "temporal_jitter",
        "speed",
    )
    return {**dict.fromkeys(names, 0), **kept}


def test_both_views_are_of_the_same_moment_of_the_same_clips(tiny_data, tiny_recipe):
    recipe = tiny_recipe(augment__strong=off(), augment__weak={"shift": 0, "flip": 0})
    for _, unlabelled in batches(tiny_data, recipe).epoch(1, unlabelled=True):
        torch.testing.assert_close(unlabelled.student_BCTHW, unlabelled.label_BCTHW)


def test_a_reversed_view_shows_the_frames_of_the_other_view_backwards(tiny_data, tiny_recipe):
    recipe = tiny_recipe(augment__strong=off(reverse=1.0), augment__weak={"shift": 0, "flip": 0})
    for _, unlabelled in batches(tiny_data, recipe).epoch(1, unlabelled=True):
        torch.testing.assert_close(unlabelled.student_BCTHW, unlabelled.label_BCTHW.flip(2))
        assert not torch.equal(unlabelled.student_BCTHW, unlabelled.label_BCTHW)


@pytest.mark.parametrize(
    ("branch", "student_is_strong", "labeller_is_strong"),
    [("student", True, False), ("teacher", False, True), ("both", True, True), ("none", False, False)],
)
def test_the_strong_branch_is_the_one_that_is_erased(
    tiny_data, tiny_recipe, branch, student_is_strong, labeller_is_strong
):
    recipe = tiny_recipe(
        augment__strong_branch=branch,
        augment__strong=off(erase=1.0, erase_area=(0.1, 0.2)),
        augment__weak={"shift": 0, "flip": 0},
    )
    (_, unlabelled), *_ = batches(tiny_data, recipe).epoch(1, unlabelled=True)
    for view, is_strong in (
        (unlabelled.student_BCTHW, student_is_strong),
        (unlabelled.label_BCTHW, labeller_is_strong),
    ):
        erased = (view == 0).all(dim=(1, 2)).flatten(1).any(dim=1)
        assert erased.tolist() == [is_strong] * len(erased)


def test_a_second_view_of_the_student_is_as_strong_as_the_first_and_changes_no_other_view(tiny_data, tiny_recipe):
    strong = off(erase=1.0, erase_area=(0.1, 0.2))
    one, two = (tiny_recipe(augment__strong=strong, ssl__views=views) for views in (1, 2))
    for (a, b), (c, d) in zip(
        batches(tiny_data, one).epoch(1, unlabelled=True),
        batches(tiny_data, two).epoch(1, unlabelled=True),
        strict=True,
    ):
        assert torch.equal(a.clips_BCTHW, c.clips_BCTHW)
        for name in ("student_BCTHW", "label_BCTHW", "ids_B"):
            assert torch.equal(getattr(b, name), getattr(d, name))
        assert b.second_BCTHW is None
        erased = [(view == 0).all(dim=(1, 2)) for view in (d.student_BCTHW, d.second_BCTHW)]
        assert all(each.flatten(1).any(dim=1).all() for each in erased)
        assert not torch.equal(*erased)
        shown = ~(erased[0] | erased[1])[:, None, None].expand_as(d.student_BCTHW)
        assert torch.equal(d.student_BCTHW[shown], d.second_BCTHW[shown])  # the same moment of the same clips


def test_labels_and_hidden_classes_belong_to_the_clips_shown(tiny_data, tiny_recipe):
    """The brightest channel of a tiny clip is its class."""
    recipe = tiny_recipe(augment__labelled="weak", augment__strong_branch="none")
    seen = 0
    for labelled, unlabelled in batches(tiny_data, recipe).epoch(1, unlabelled=True):
        for clips, labels in (
            (labelled.clips_BCTHW, labelled.labels_B),
            (unlabelled.student_BCTHW, unlabelled.hidden_B),
        ):
            shown = clips * torch.tensor([0.228, 0.221, 0.217])[:, None, None, None]
            shown = shown + torch.tensor([0.432, 0.395, 0.376])[:, None, None, None]
            assert torch.equal(shown.mean(dim=(2, 3, 4)).argmax(dim=1), labels)
            seen += len(labels)
    assert seen == 14 + 3 * 4


def test_moved_clips_join_the_labelled_ones_and_leave_the_unlabelled(tiny_data, tiny_recipe):
    recipe = tiny_recipe()
    moved = np.array([0, 4, 5])
    plain = list(batches(tiny_data, recipe).epoch(1, unlabelled=True))
    steps = list(
        batches(tiny_data, recipe).epoch(1, moved_ids=moved, moved_labels=np.array([2, 2, 2]), unlabelled=True)
    )
    assert sum(len(labelled.labels_B) for labelled, _ in plain) == 14
    assert sum(len(labelled.labels_B) for labelled, _ in steps) == 17
    assert sum(int((labelled.labels_B == 2).sum()) for labelled, _ in steps) == 3 + sum(
        int((labelled.labels_B == 2).sum()) for labelled, _ in plain
    )
    shown = torch.cat([unlabelled.ids_B for _, unlabelled in steps]).tolist()
    assert not set(shown) & {0, 4, 5}
    none_left = batches(tiny_data, recipe).epoch(1, moved_ids=np.arange(9), moved_labels=np.zeros(9), unlabelled=True)
    assert all(unlabelled is None for _, unlabelled in none_left)


def test_two_class_labels_are_normal_and_abnormal(tiny_data, tiny_recipe):
    clips = clip_set(tiny_data.split.train, tiny_data.manifest, tiny_data.store, BUILT_IN["two_class"])
    assert clips.labels_N.tolist() == [min(index % 3, 1) for index in range(14)]


def test_clips_whose_label_the_task_ignores_are_left_out(tiny_data):
    task = make_task("own", {"straight": ["normal"], "bowed": ["genu_varum"]})
    clips = clip_set(tiny_data.split.train, tiny_data.manifest, tiny_data.store, task)
    known = {"normal": 0, "genu_varum": 1}
    kept = [c for c in map(tiny_data.manifest.by_id.__getitem__, tiny_data.split.train) if c.label in known]
    assert 0 < len(kept) < len(tiny_data.split.train)
    assert clips.clip_ids == tuple(clip.clip_id for clip in kept)
    assert clips.labels_N.tolist() == [known[clip.label] for clip in kept]


def test_hidden_labels_that_the_task_ignores_are_unknown(tiny_data):
    task = make_task("own", {"straight": ["normal"], "bowed": ["genu_varum"]})
    clips = clip_set(tiny_data.split.unlabelled_train, tiny_data.manifest, tiny_data.store, task)
    hidden = [tiny_data.manifest.by_id[clip].hidden_label for clip in tiny_data.split.unlabelled_train]
    assert clips.labels_N.tolist() == [{"normal": 0, "genu_varum": 1}.get(label, -1) for label in hidden]
