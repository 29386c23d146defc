"""Output of `plan` about folds of whole sites, and about data that do not allow them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agrm_study.api.folds import folds_summary
from agrm_study.cli.plan import _folds_sentence
from agrm_study.execution.data.prepared import Prepared, source_key, split_key
from agrm_study.execution.data.task_checks import check_tasks
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import make_split

STUDY = {
    "name": "s",
    "tasks": ["two_class"],
    "seeds": [0, 1],
    "data": {"synthetic": {"subjects": 60}},
    "splits": {"folds": 3, "group": "site"},
    "arms": [{"name": "a"}, {"name": "b", "set": {"ssl.method": "supervised"}}],
}
LABELS = ("normal", "genu_varum", "genu_valgum")


def prepared(sizes: dict[str, int], labels: dict[str, tuple[str, ...]] | None = None) -> tuple:
    """The study, and its data with so many subjects at each site, with their labels in turn."""
    study = load_study(STUDY)
    clips = []
    for site, size in sizes.items():
        names = (labels or {}).get(site, LABELS)
        for i in range(size):
            clips.append(
                ClipRecord(
                    subject_id=f"{site}-{i}", clip_id=f"{site}-{i}", path=Path("/x"), label=names[i % len(names)],
                    frames=9, fps=25.0, width=9, height=9, checksum=f"{site}-{i}", source="test", site=site,
                )
            )  # fmt: skip
    manifest = Manifest(Path("/m"), tuple(clips))
    return study, Prepared({source_key(study.base.data): manifest}, {}, {})


def test_plan_names_the_sites_of_each_fold_and_that_nothing_is_reused() -> None:
    study, data = prepared({"north": 12, "south": 30, "east": 15, "west [x]": 24})
    found = folds_summary(study, data, [], set())
    assert found is not None
    assert found.subjects == 81
    assert found.per_fold == (24, 30)
    assert sorted(found.sites or ()) == [("east", "north"), ("south",), ("west [x]",)]
    assert not found.reused
    words = _folds_sentence(found)
    for text in (
        "folds: 3; each of 81",
        "24 to 30 per fold",
        "3 trials per arm",
        "whole sites",
        ": east, north",
        "reused",
    ):
        assert text in words, words
    assert "data.split.test" not in words


def test_folds_of_subjects_have_no_sites() -> None:
    _, data = prepared({"north": 30})
    found = folds_summary(load_study(STUDY | {"splits": {"folds": 5}}), data, [], set())
    assert found is not None
    assert found.sites is None
    assert "site" not in _folds_sentence(found)


def test_a_site_that_leaves_its_fold_without_a_class_is_refused_with_what_helps() -> None:
    study, data = prepared({"north": 30, "south": 30, "sick": 30}, {"sick": LABELS[1:]})
    manifests = dict(data.manifests)
    recipes = [r for _, r in study.divided(study.trial_recipe(study.arms[0], "two_class", 0))]
    [manifest] = manifests.values()
    splits = {split_key(r): make_split(manifest, r.data, r.split_seed) for r in recipes}
    with pytest.raises(InputError) as error:
        check_tasks(study, recipes, manifests, splits)
    for word in ("missing in the test part: normal", "fewer folds", "merge classes"):
        assert word in str(error.value)
    assert "split_seed" not in str(error.value)
