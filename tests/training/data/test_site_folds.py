"""Folds of whole sites: the subjects that a fold tests, balance of folds, and required content of a manifest."""

import itertools
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_clips import clip
from pydantic import ValidationError
from sklearn.model_selection import StratifiedGroupKFold

from agrm_study.study.data_settings import Data, SplitFractions
from agrm_study.study.errors import InputError
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.site_folds import deal_sites
from agrm_study.training.data.splits import make_split


def drawn(seed: int, most: int = 15) -> tuple[dict[str, str], dict[str, str], int]:
    """Labels and sites of the subjects of sites of random size and mix, and a number of folds."""
    rng = np.random.default_rng(seed)
    sites = int(rng.integers(4, most + 1))
    label_of, site_of = {}, {}
    for site in range(sites):
        mix = rng.dirichlet([1, 1, 1])
        for i in range(int(rng.integers(3, 40))):
            label_of[f"{site}-{i}"], site_of[f"{site}-{i}"] = "abc"[rng.choice(3, p=mix)], f"site {site}"
    return label_of, site_of, int(rng.integers(2, min(sites, 5) + 1))


def unevenness(parts, label_of) -> float:
    """Sum of squared shares of each label and of all subjects in each fold, over that of equal shares: 1 is even."""
    labels = sorted(set(label_of.values()))
    counts = np.array([[sum(label_of[s] == k for s in part) for k in labels] + [len(part)] for part in parts])
    return float(np.square(counts / counts.sum(axis=0)).sum() * len(parts) / counts.shape[1])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_every_site_is_in_one_fold_and_no_fold_is_empty(seed):
    label_of, site_of, folds = drawn(seed)
    parts = deal_sites(label_of, site_of, folds, np.random.default_rng(seed))
    assert len(parts) == folds
    assert all(parts)
    assert Counter(s for part in parts for s in part) == Counter(list(label_of))
    assert sum(len({site_of[s] for s in part}) for part in parts) == len(set(site_of.values()))


def test_folds_are_more_even_than_those_of_scikit_learn_and_nearly_as_even_as_possible():
    ours, theirs, best = [], [], []
    for seed in range(30):
        label_of, site_of, folds = drawn(seed, most=7)
        names = list(label_of)
        y, groups = np.array([label_of[s] for s in names]), np.array([site_of[s] for s in names])
        ours.append(unevenness(deal_sites(label_of, site_of, folds, np.random.default_rng(0)), label_of))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts = [{names[i] for i in test} for _, test in StratifiedGroupKFold(folds).split(y, y, groups)]
        theirs.append(unevenness(parts, label_of))
        if folds ** len(set(groups)) <= 300:
            sites = sorted(set(groups))
            choices = itertools.product(range(folds), repeat=len(sites))
            fold_of = [dict(zip(sites, choice, strict=True)) for choice in choices]
            best.append(
                min(
                    unevenness([{s for s in names if f[site_of[s]] == k} for k in range(folds)], label_of)
                    for f in fold_of
                )
                / ours[-1]
            )
    assert np.mean(ours) < np.mean(theirs)
    assert np.mean(np.array(ours) <= np.array(theirs) + 1e-5) > 0.9
    assert len(best) > 5
    assert min(best) > 0.95


def test_the_largest_site_is_not_added_to_another_although_its_classes_are_balanced():
    # scikit-learn assigns balanced groups last and puts this one on top of a smaller one
    label_of = {f"{site}-{i}": "ab"[i % 2] for site, size in enumerate((20, 20, 20, 120)) for i in range(size)}
    site_of = {s: s.partition("-")[0] for s in label_of}
    assert sorted(map(len, deal_sites(label_of, site_of, 3, np.random.default_rng(0)))) == [20, 40, 120]


def test_folds_depend_on_content_and_seed_alone():
    label_of, site_of, folds = drawn(3)
    turned = dict(reversed(label_of.items()))
    one = deal_sites(label_of, site_of, folds, np.random.default_rng(5))
    assert one == deal_sites(turned, site_of, folds, np.random.default_rng(5))


def manifest(sites: int = 6, each: int = 9) -> Manifest:
    """Children of several sites, unlabelled clips of adults at each site, and of adults without a site."""
    clips = [
        clip(f"{site}-{i}", f"{site}-{i}", label="abc"[i % 3], site=f"site {site}")
        for site in range(sites)
        for i in range(each)
    ]
    clips += [clip(f"adult {s}-{i}", f"adult {s}-{i}", site=f"site {s}") for s in range(sites) for i in range(4)]
    return Manifest(Path("/m"), (*clips, *(clip(f"cb-{i}", f"cb-{i}") for i in range(30))))


def splits_of(found: Manifest, folds: int = 3, **settings: object):
    data = {"folds": folds, "fold_group": "site", "unlabelled_train": 999, "unlabelled_val": 0} | settings
    return [make_split(found, Data(**data, fold=fold), 0) for fold in range(folds)]


def test_nobody_of_a_tested_site_is_trained_or_validated_on_unlabelled_clips_included():
    found = manifest()
    splits = splits_of(found)
    assert Counter(s for split in splits for s in split.subjects("test")) == Counter(
        {c.subject_id: 1 for c in found.labelled}
    )
    for split in splits:
        tested = {found.by_id[c].site for c in split.test}
        others = {found.by_id[c].site for part in ("train", "val", "unlabelled_train") for c in split.clips(part)}
        assert len(tested) == 2
        assert others - {None} == {c.site for c in found.clips} - tested - {None}
        assert sum(c.startswith("cb-") for c in split.unlabelled_train) == 30  # whose site is unknown
        assert len(split.subjects("val")) == round(36 * 0.2)


def test_without_the_setting_sites_are_ignored():
    found = manifest()
    plain = Manifest(found.path, tuple(clip(c.subject_id, c.clip_id, label=c.label) for c in found.clips))
    assert make_split(found, Data(folds=5, fold=1), 0) == make_split(plain, Data(folds=5, fold=1), 0)


def test_as_many_folds_as_sites_leave_one_site_out():
    found = manifest()
    tested = [{found.by_id[c].site for c in split.test} for split in splits_of(found, folds=6)]
    assert sorted(map(len, tested)) == [1] * 6
    assert set().union(*tested) == {f"site {n}" for n in range(6)}


def test_fewer_sites_than_folds_are_one_message_with_the_sites():
    with pytest.raises(InputError) as error:
        splits_of(manifest(sites=2), folds=5)
    for word in ("5 folds of sites require 5 sites", "only 2", "site 0, site 1", "`folds` to at most 2"):
        assert word in str(error.value)


def test_labelled_subjects_without_a_site_are_one_message_that_names_them():
    found = manifest()
    clips = (*found.clips, *(clip(f"new-{i}", f"new-{i}", label="a") for i in range(5)))
    with pytest.raises(InputError) as error:
        splits_of(Manifest(found.path, clips))
    for word in ("5 labelled subjects have no site", "new-0, new-1, new-2 and 2 more", "`site`", "data.exclude"):
        assert word in str(error.value)
    assert splits_of(Manifest(found.path, clips), exclude=tuple(f"new-{i}" for i in range(5)))


def test_folds_of_sites_cannot_keep_the_split_without_folds():
    with pytest.raises(ValidationError, match="requires first_fold: dealt"):
        Data(folds=5, first_fold="split", fold_group="site", split=SplitFractions())
