"""The class of a synthetic clip is visible only in the legs.

Two checks: a change of the knees does not change any pixel outside the legs; and a permutation test over many children
finds no association between the class and the pixels outside the legs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from math import radians
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from agrm_study.study.labels import LABELS
from agrm_study.training.data.datasets.synthetic.camera import leg_box
from agrm_study.training.data.datasets.synthetic.cast import Role, labelled_roles, unlabelled_roles
from agrm_study.training.data.datasets.synthetic.classes import DIFFICULTIES
from agrm_study.training.data.datasets.synthetic.clip import ClipPlan, key_boxes, render, walk
from agrm_study.training.data.datasets.synthetic.encode import encode
from agrm_study.training.data.datasets.synthetic.skeleton import Knees

CHILDREN, MOMENTS = 180, 5
PERMUTATIONS, ALPHA = 9_999, 0.001
COLOURS, LAYOUT, BOXES, FILE, PERSON = FEATURES = ("colours", "layout", "boxes", "file", "person")
GREY = 127

Features = dict[str, NDArray[np.float64]]


def small(plan: ClipPlan) -> ClipPlan:
    """The same walk in few and small frames."""
    return dataclasses.replace(
        plan, frames=MOMENTS, fps=plan.fps * MOMENTS / plan.frames, width=plan.width // 2, height=plan.height // 2
    )


def outside_the_legs(plan: ClipPlan) -> NDArray[np.bool_]:
    """Where no leg can be, (T, H, W): left, right and above of a generous square around them."""
    outside = np.ones((plan.frames, plan.height, plan.width), bool)
    for frame, step in enumerate(walk(plan)):
        x, y, w, _ = leg_box(plan.camera, leg=plan.person.body.leg, x=step.x, z=step.z, scale=1.25)
        outside[frame, max(0, round(y)) :, max(0, round(x)) : round(x + w)] = False
    return outside


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_other_knees_change_the_legs_and_no_other_pixel_or_box(difficulty: str) -> None:
    adults = unlabelled_roles(12, 5, difficulty)
    without_coat = [role for role in adults if not role.plan.outfit.coat]  # a coat hangs over the thighs it follows
    for plan in (small(role.plan) for role in labelled_roles(9, 5, difficulty)[:4] + without_coat[:3]):
        clips = [dataclasses.replace(plan, knees=Knees(radians(angle), radians(angle))) for angle in (-26.0, 0.0, 26.0)]
        outside = outside_the_legs(plan)
        valgum, straight, varum = (np.stack(list(render(clip))) for clip in clips)
        assert outside.mean() > 0.2
        for bent in (valgum, varum):
            assert (bent[outside] == straight[outside]).all()
            assert (bent[~outside] != straight[~outside]).mean() > 0.005
        assert len({key_boxes(clip) for clip in clips}) == 1


def describe(role: Role, folder: Path) -> dict[str, NDArray[np.float64]]:
    """Colours, layout, boxes and size of a clip without its legs, and its person: all that a shortcut could use."""
    plan = small(role.plan)
    frames, outside = np.stack(list(render(plan))), outside_the_legs(plan)
    pixels = frames[outside]
    frames[~outside] = GREY
    file = folder / "clip.mp4"
    encode(file, frames, fps=12.5, width=plan.width, height=plan.height, codec=role.codec, quality=plan.scene.quality)
    histograms = [np.histogram(pixels[:, channel], bins=8, range=(0, 256), density=True)[0] for channel in range(3)]
    motion = np.abs(np.diff(frames.astype(np.float64), axis=0)).mean()
    layout = cv2.resize(frames.mean(axis=0), (6, 8), interpolation=cv2.INTER_AREA)
    return {
        COLOURS: np.concatenate([*histograms, pixels.mean(axis=0), pixels.std(axis=0)]),
        LAYOUT: layout.ravel(),
        BOXES: np.array(key_boxes(role.plan))[[0, 2, 4, -1], 1:4].ravel(),
        FILE: np.array([file.stat().st_size, frames.std(), motion]),
        PERSON: np.array([role.plan.person.age, role.plan.person.sex == "male", role.plan.frames, role.plan.fps]),
    }


def shortcut_p(features_NF: NDArray[np.float64], labels_N: NDArray[np.int64]) -> float:
    """How often labels in random order are guessed as well as the true ones: an exact permutation test.

    The score is the five-fold accuracy of a ridge classifier, whose guesses are linear in the labels: one matrix serves
    all orders.
    """
    rng = np.random.default_rng(0)
    count = len(labels_N)
    folds = rng.permutation(count) % 5
    spread = features_NF.std(axis=0)
    scaled = (features_NF - features_NF.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    guess_NN = np.zeros((count, count), np.float32)
    for fold in range(5):
        seen, held = folds != fold, folds == fold
        gram = scaled[seen].T @ scaled[seen] + 10.0 * np.eye(scaled.shape[1])
        guess_NN[np.ix_(held, seen)] = scaled[held] @ np.linalg.solve(gram, scaled[seen].T)
    orders = np.stack([labels_N, *(rng.permutation(labels_N) for _ in range(PERMUTATIONS))], axis=1)
    outputs = np.stack([guess_NN @ ((orders == label).astype(np.float32) - 1 / 3) for label in range(3)])
    right = (outputs.argmax(axis=0) == orders).sum(axis=0)
    return float((right >= right[0]).mean())


@pytest.fixture(scope="module")
def labels() -> NDArray[np.int64]:
    return np.array([LABELS.index(role.label) for role in labelled_roles(CHILDREN, 0, "easy")])


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    folder = tmp_path_factory.mktemp("shortcuts")
    rows = [describe(role, folder) for role in labelled_roles(CHILDREN, 0, "easy")]
    return {name: np.stack([row[name] for row in rows]) for name in FEATURES}


@pytest.mark.parametrize("names", [*[(name,) for name in FEATURES], FEATURES], ids="+".join)
def test_nothing_outside_the_legs_goes_with_the_class(
    names: tuple[str, ...], features: Features, labels: NDArray[np.int64]
) -> None:
    p = shortcut_p(np.hstack([features[name] for name in names]), labels)
    assert p > ALPHA / (len(FEATURES) + 1)


@pytest.mark.parametrize(("name", "shift"), [(COLOURS, 1.0), (LAYOUT, 1.0), (BOXES, 1.0)])
def test_the_same_test_finds_a_shortcut_of_one_standard_deviation(
    name: str, shift: float, features: Mapping[str, NDArray[np.float64]], labels: NDArray[np.int64]
) -> None:
    planted = features[name].copy()
    planted[:, -1] += shift * planted[:, -1].std() * (labels == 1)
    assert shortcut_p(planted, labels) <= ALPHA


def test_the_same_test_sees_the_drawn_angle_when_it_is_given(labels: NDArray[np.int64]) -> None:
    angles = np.array([[role.plan.knees.left] for role in labelled_roles(CHILDREN, 0, "easy")])
    assert shortcut_p(np.hstack([angles, np.abs(angles)]), labels) == 1 / (PERMUTATIONS + 1)
