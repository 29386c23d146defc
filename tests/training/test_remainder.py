"""Training clips whose labels are not used: unlabelled clips whose labels serve only for measurement."""

from __future__ import annotations

import dataclasses

import numpy as np

from agrm_study.study.tasks import BUILT_IN
from agrm_study.training.clipset import clip_set, clips_of_parts, with_shuffled_labels
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.loop import Training


def relabelled(data, moved):
    """The data with the labels of the moved clips changed to other ones."""
    other = {"normal": "genu_varum", "genu_varum": "genu_valgum", "genu_valgum": "normal"}
    clips = tuple(
        dataclasses.replace(clip, label=other[clip.label]) if clip.clip_id in moved else clip
        for clip in data.manifest.clips
    )
    return dataclasses.replace(data, manifest=Manifest(data.manifest.path, clips))


def test_the_hidden_labels_of_the_remainder_measure_and_teach_nothing(tiny_data, tiny_recipe):
    split = tiny_data.split
    moved = split.train[6:]
    data = dataclasses.replace(
        tiny_data,
        split=dataclasses.replace(split, train=split.train[:6], unlabelled_train=(*moved, *split.unlabelled_train)),
    )
    ids, both = data.split.unlabelled_train, (data, relabelled(data, moved))
    parts = [clip_set(ids, each.manifest, each.store, BUILT_IN["three_class"]) for each in both]
    assert (parts[0].labels_N >= 0).all()
    assert (parts[0].labels_N[: len(moved)] != parts[1].labels_N[: len(moved)]).all()
    recipe = tiny_recipe(epochs=4, ssl__threshold={"tau": 0.0})
    one, two = (Training(recipe, **each.arguments) for each in both)
    purities = []
    for training in (one, two):
        while not training.done:
            training.run_epoch()
        purities.append([row.training.get("pseudo_accuracy") for row in training.rows if row.split == "train"])
    assert purities[0] != purities[1]
    for row, again in zip(one.rows, two.rows, strict=True):
        assert {**row.training, "pseudo_accuracy": 0} == {**again.training, "pseudo_accuracy": 0}
        assert (row.loss, row.metrics) == (again.loss, again.metrics)


def test_shuffled_labels_are_permuted_by_subject_and_only_in_training(tiny_data, tiny_recipe):
    plain, shuffled = (
        clips_of_parts(
            tiny_recipe(shuffle_labels=on), tiny_data.manifest, tiny_data.store, tiny_data.split, needs_test=True
        )
        for on in (False, True)
    )
    assert sorted(plain["train"].labels_N) == sorted(shuffled["train"].labels_N)
    assert (plain["train"].labels_N != shuffled["train"].labels_N).any()
    for part in ("val", "test", "unlabelled_train"):
        assert (plain[part].labels_N == shuffled[part].labels_N).all()


def test_clips_of_a_subject_keep_one_label_when_labels_are_shuffled(tiny_data):
    clips = clip_set(tiny_data.split.train, tiny_data.manifest, tiny_data.store, BUILT_IN["three_class"])
    twice = clips.take(np.repeat(np.arange(len(clips)), 2))
    found = with_shuffled_labels(twice, np.random.default_rng(0)).labels_N.reshape(-1, 2)
    assert (found[:, 0] == found[:, 1]).all()
