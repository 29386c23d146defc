"""Can the class be guessed from anything but the legs?"""

from __future__ import annotations

import cv2
import decord
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agrm_study.training.data.datasets.synthetic import write_synthetic
from agrm_study.training.data.manifest import ClipRecord, Manifest, read_manifest

SUBJECTS = 120
FEATURES = ("colours", "thumbnail", "boxes", "file")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    out = tmp_path_factory.mktemp("shortcuts") / "set"
    return read_manifest(write_synthetic(out, subjects=SUBJECTS, unlabelled=0, seed=0, difficulty="easy", workers=2))


@pytest.fixture(scope="module")
def features(manifest: Manifest) -> dict[str, NDArray[np.float64]]:
    rows = [describe(clip) for clip in manifest.labelled]
    return {name: np.stack([row[name] for row in rows]) for name in FEATURES}


def describe(clip: ClipRecord) -> dict[str, NDArray[np.float64]]:
    """Colours, layout and size of a clip: all that a shortcut could use."""
    frames = decord.VideoReader(str(clip.path), num_threads=1).get_batch(range(0, clip.frames, 6)).asnumpy()
    histograms = [np.histogram(frames[..., channel], bins=8, range=(0, 256), density=True)[0] for channel in range(3)]
    mean = frames.mean(axis=0)
    return {
        "colours": np.concatenate([*histograms, mean.mean(axis=(0, 1)), frames.std(axis=(0, 1, 2))]),
        "thumbnail": cv2.resize(mean, (6, 8), interpolation=cv2.INTER_AREA).ravel(),
        "boxes": np.array(clip.boxes)[[0, 2, 4, -1], 1:4].ravel(),
        "file": np.array(
            [clip.path.stat().st_size, frames.std(), np.abs(np.diff(frames.astype(float), axis=0)).mean()]
        ),
    }


@pytest.mark.parametrize("names", [*[(name,) for name in FEATURES], FEATURES], ids=lambda names: "+".join(names))
def test_a_linear_classifier_on_colours_and_layout_stays_at_chance(
    names: tuple[str, ...], manifest: Manifest, features: dict[str, NDArray[np.float64]]
) -> None:
    labels = [clip.label for clip in manifest.labelled]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    guesses = cross_val_predict(model, np.hstack([features[name] for name in names]), labels, cv=folds)
    right = int(np.sum(guesses == np.array(labels)))
    assert right <= binom.ppf(0.999, SUBJECTS, 1.0 / 3.0), f"{right} of {SUBJECTS} right"


def test_the_same_classifier_sees_the_drawn_angle_when_it_is_given(manifest: Manifest) -> None:
    from agrm_study.training.data.datasets.synthetic.cast import labelled_roles

    angles = np.array([[role.plan.knees.left] for role in labelled_roles(SUBJECTS, 0, "easy")])
    labels = [clip.label for clip in manifest.labelled]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    assert np.mean(cross_val_predict(model, angles, labels, cv=5) == np.array(labels)) > 0.95


def test_sex_age_and_file_length_do_not_follow_the_class(manifest: Manifest) -> None:
    assert len({(clip.frames, clip.fps, clip.width, clip.height) for clip in manifest.labelled}) == 1
    ages = {
        label: [clip.age for clip in manifest.labelled if clip.label == label] for label in ("normal", "genu_varum")
    }
    assert abs(np.mean(ages["normal"]) - np.mean(ages["genu_varum"])) < 4.0 * 2.6 * np.sqrt(2.0 / 40.0)
