import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from manifest_clips import clip
from pydantic import ValidationError

from agrm_study.study.data_settings import Data, SplitFractions
from agrm_study.study.errors import InputError
from agrm_study.study.labels import LABELS
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import SIDE, Split, check_leakage, make_split, write_split_file
from agrm_study.training.data.strata import largest_remainder, stratified_counts


def hybrid(sizes: tuple[int, ...] = (87, 87, 87), adults: int = 124, sequences: int = 10) -> Manifest:
    children = [
        clip(f"{label}-{i}", f"{label}-{i}", label=label)
        for label, size in zip(LABELS, sizes, strict=False)
        for i in range(size)
    ]
    walks = [
        clip(f"cb-{a:03d}", f"cb-{a:03d}-{s}-{view}", view=view)
        for a in range(adults)
        for s in range(sequences)
        for view in (0, 90, 180)
    ]
    return Manifest(Path("/m"), (*children, *walks))


def test_the_papers_set_is_split_167_42_52_with_each_label_within_one_of_its_share():
    manifest = hybrid()
    split = make_split(manifest, Data(), 0)
    assert (len(split.train), len(split.val), len(split.test)) == (167, 42, 52)
    for part, share in (("train", 0.64), ("val", 0.16), ("test", 0.20)):
        labels = Counter(manifest.by_id[c].label for c in split.clips(part))
        assert all(abs(count - 87 * share) < 1 for count in labels.values())
    assert (len(split.unlabelled_train), len(split.unlabelled_val)) == (364, 324)
    assert {manifest.by_id[c].view for c in split.unlabelled_train + split.unlabelled_val} == {0, 180}


@example([30, 31, 31, 60], (0.64, 0.16, 0.2))
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=4),
    st.sampled_from([(0.64, 0.16, 0.2), (0.5, 0.25, 0.25), (0.9, 0.1)]),
)
def test_stratified_counts_keep_every_row_and_stay_within_one_of_the_exact_share(sizes, shares):
    table = stratified_counts(sizes, shares)
    exact = np.outer(sizes, shares)
    assert table.sum(axis=1).tolist() == sizes
    assert (np.abs(table - exact) < 1).all()
    assert np.abs(table.sum(axis=0) - sum(sizes) * np.asarray(shares)).max() <= 1 + 1e-9


@given(st.lists(st.integers(1, 60), max_size=5), st.integers(0, 5))
def test_seven_subjects_of_a_label_reach_every_part_of_the_default_split_and_two_never_do(others, place):
    """0.16 · 7 and 0.2 · 7 are above 1, and a cell is never below its exact value rounded down."""
    shares = SplitFractions()
    for size, reaches in ((7, True), (2, False)):
        sizes = [*others[:place], size, *others[place:]]
        table = stratified_counts(sizes, (shares.train, shares.val, shares.test))
        assert table[min(place, len(others))].all() == reaches


def test_largest_remainder_is_hamiltons_method():
    assert largest_remainder(261, (0.64, 0.16, 0.20)) == (167, 42, 52)
    assert largest_remainder(10, (1 / 3, 1 / 3, 1 / 3)) == (4, 3, 3)


def test_a_split_is_a_function_of_content_and_seed_alone():
    manifest = hybrid((20, 20, 20), 12)
    shuffled = Manifest(Path("/n"), tuple(np.random.default_rng(0).permutation(np.array(manifest.clips, dtype=object))))
    first = make_split(manifest, Data(), 3)
    assert first == make_split(shuffled, Data(), 3)
    assert first.fingerprint == make_split(shuffled, Data(), 3).fingerprint
    assert first.fingerprint != make_split(manifest, Data(), 4).fingerprint


def test_nobody_stands_on_two_sides_for_any_seed():
    manifest = hybrid((9, 10, 7), 9)
    for seed in range(30):
        split = make_split(manifest, Data(), seed)
        sides: dict[str, set[str]] = {}
        for part, side in SIDE.items():
            for subject in split.subjects(part):
                sides.setdefault(subject, set()).add(side)
        assert all(len(each) == 1 for each in sides.values())


def test_balanced_takes_as_many_of_each_label_as_the_rarest_has():
    manifest = hybrid((40, 12, 30), 0)
    split = make_split(manifest, Data(subset="balanced"), 0)
    labels = Counter(manifest.by_id[c].label for c in split.train + split.val + split.test)
    assert set(labels.values()) == {12}


def test_a_smaller_labelled_fraction_is_nested_in_a_larger_one_and_leaves_val_and_test_alone():
    manifest = hybrid((50, 50, 50), 4)
    splits = [make_split(manifest, Data(labelled_fraction=f), 1) for f in (0.05, 0.1, 0.5, 1.0)]
    for small, large in itertools.pairwise(splits):
        assert set(small.train) < set(large.train)
        assert (small.val, small.test, small.unlabelled_train) == (large.val, large.test, large.unlabelled_train)
    assert Counter(manifest.by_id[c].label for c in splits[1].train) == dict.fromkeys(LABELS, 3)


def test_an_excluded_subject_is_gone_and_an_unknown_one_is_refused_by_name():
    manifest = hybrid((5, 5, 5), 3)
    split = make_split(manifest, Data(exclude=("normal-1", "cb-001")), 0)
    assert not {"normal-1", "cb-001"} & set(split.subject_of.values())
    with pytest.raises(InputError, match=r"normal-11.*Did you mean"):
        make_split(manifest, Data(exclude=("normal-11",)), 0)


def test_unlabelled_subjects_are_divided_in_proportion_to_the_clips_asked_for():
    manifest = hybrid((5, 5, 5), 20, 4)
    split = make_split(manifest, Data(unlabelled_train=30, unlabelled_val=10), 0)
    assert (len(split.unlabelled_train), len(split.unlabelled_val)) == (30, 10)
    everything = make_split(manifest, Data(unlabelled_train=10_000, unlabelled_val=0), 0)
    assert len(everything.unlabelled_train) == 20 * 4 * 2
    none = make_split(manifest, Data(unlabelled_train=0, unlabelled_val=0), 0)
    assert none.unlabelled_train == none.unlabelled_val == ()


def test_unlabelled_clips_of_a_labelled_subject_stay_on_its_side():
    manifest = hybrid((10, 10, 10), 0)
    extra = tuple(clip(c.subject_id, f"{c.clip_id}-extra") for c in manifest.clips)
    split = make_split(Manifest(Path("/m"), manifest.clips + extra), Data(), 0)
    assert set(split.subjects("unlabelled_train")) == set(split.subjects("train"))
    assert set(split.subjects("unlabelled_val")) == set(split.subjects("val"))


def test_folds_test_every_subject_once_and_differ_in_size_by_one_at_most():
    manifest = hybrid((11, 12, 13), 4)
    splits = [make_split(manifest, Data(folds=5, fold=fold), 0) for fold in range(5)]
    tested = Counter(subject for split in splits for subject in split.subjects("test"))
    assert set(tested.values()) == {1}
    assert len(tested) == 36
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    for split in splits:
        labels = Counter(manifest.by_id[c].label for c in split.test)
        assert all(2 <= labels[label] <= 3 for label in LABELS)
    with pytest.raises(ValidationError, match="fold must be less than folds"):
        Data(folds=5, fold=5)


@pytest.mark.parametrize("sizes", [(11, 12, 13), (40, 40, 20), (7, 5, 90)])
def test_folds_around_the_split_keep_it_as_fold_0_and_test_every_subject_once(sizes):
    manifest = hybrid(sizes, 4)
    around = {"folds": 5, "first_fold": "split"}
    splits = [make_split(manifest, Data(**around, fold=fold), 3) for fold in range(5)]
    assert splits[0] == make_split(manifest, Data(), 3)
    tested = Counter(subject for split in splits for subject in split.subjects("test"))
    assert tested == Counter(
        subject for split in splits[:1] for part in ("train", "val", "test") for subject in split.subjects(part)
    )
    total = len(tested)
    for split in splits:
        assert abs(len(split.subjects("test")) - total / 5) <= 1
        assert abs(len(split.subjects("val")) - 0.16 * total) <= 2
        labels = Counter(manifest.by_id[c].label for c in split.test)
        assert all(abs(labels[label] - size / 5) < 2 for label, size in zip(LABELS, sizes, strict=True))
    with pytest.raises(ValidationError, match=r"split\.test is 1/4"):
        Data(folds=4, fold=1, first_fold="split")


def test_a_users_split_is_taken_as_it_stands_and_reads_back(tmp_path):
    manifest = hybrid((6, 6, 6), 6)
    path = tmp_path / "split.csv"
    drawn = make_split(manifest, Data(), 7)
    write_split_file(drawn, path)
    given = make_split(manifest, Data(split_file=path), 0)
    assert {p: given.clips(p) for p in ("train", "val", "test")} == {
        p: drawn.clips(p) for p in ("train", "val", "test")
    }
    assert given.subjects("unlabelled_train") == drawn.subjects("unlabelled_train")


def every_table(sizes, shares):
    """All tables whose cells are the exact share rounded down or up, and whose rows sum to the sizes."""
    exact = np.outer(sizes, shares)
    floors = np.floor(exact + 1e-9).astype(int)
    rows = []
    for row, floor, size in zip(exact, floors, sizes, strict=True):
        open_parts = [part for part in range(len(shares)) if row[part] - floor[part] > 1e-9]
        picks = itertools.combinations(open_parts, size - floor.sum())
        rows.append([floor + np.isin(np.arange(len(shares)), pick) for pick in picks])
    return exact, floors, [np.stack(table) for table in itertools.product(*rows)]


@pytest.mark.parametrize("case", range(40))
def test_stratified_counts_are_the_best_of_all_tables_by_column_sums_and_then_by_remainders(case):
    rng = np.random.default_rng(case)
    sizes = rng.integers(0, [5, 30, 200][case % 3], rng.integers(1, 6)).tolist()
    shares = [(0.64, 0.16, 0.20), (0.8, 0.2), (1 / 3, 1 / 3, 1 / 3), tuple(rng.dirichlet(np.ones(3)))][case % 4]
    exact, floors, tables = every_table(sizes, shares)

    def value(table):
        wanted = np.array(largest_remainder(sum(sizes), shares))
        off = np.abs(table.sum(axis=0) - wanted).sum()
        return off, -round(float(((exact - floors) * (table - floors)).sum()), 7)

    table = stratified_counts(sizes, shares)
    assert value(table) == min(map(value, tables))


def test_fifty_labels_are_divided_at_once():
    sizes = [3 + i % 17 for i in range(50)]
    table = stratified_counts(sizes, (0.64, 0.16, 0.20))
    assert table.sum(axis=1).tolist() == sizes
    assert table.sum(axis=0).tolist() == list(largest_remainder(sum(sizes), (0.64, 0.16, 0.20)))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("normal-9,train", ["split.csv:2", "normal-9", "unknown subject"]),
        ("normal-0,trian", ["split.csv:2", "trian", "Did you mean `train`"]),
        ("normal-0,train\nnormal-0,test", ["split.csv:3", "already in train"]),
        ("normal-0,train", ["labelled subjects are not in the split file"]),
    ],
)
def test_a_wrong_split_file_is_told_by_line(tmp_path, line, words):
    path = tmp_path / "split.csv"
    path.write_text(f"subject_id,split\n{line}\n")
    with pytest.raises(InputError) as error:
        make_split(hybrid((6, 6, 6), 0), Data(split_file=path), 0)
    assert all(word in str(error.value) for word in words)


def test_one_video_under_two_names_on_two_sides_is_refused():
    manifest = hybrid((10, 10, 10), 0)
    split = make_split(manifest, Data(), 0)
    twins = {split.train[0]: "same", split.test[0]: "same"}
    clips = tuple(dataclasses.replace(c, checksum=twins.get(c.clip_id, c.checksum)) for c in manifest.clips)
    with pytest.raises(InputError, match="same video is on two sides"):
        make_split(Manifest(Path("/m"), clips), Data(), 0)


def test_a_subject_on_two_sides_is_refused():
    manifest = Manifest(Path("/m"), (clip("s", "a", label="normal"), clip("s", "b", label="normal")))
    with pytest.raises(InputError, match="one side"):
        check_leakage(manifest, Split(train=("a",), val=("b",), test=(), subject_of={"a": "s", "b": "s"}))


def test_a_set_without_labels_is_refused():
    with pytest.raises(InputError, match="no labelled subject"):
        make_split(hybrid((0, 0, 0), 4), Data(), 0)


def test_the_training_subjects_whose_label_is_not_used_join_the_unlabelled_part_on_request():
    """Their clips come beside those that are drawn, the other parts stay as they are, and no label is on two sides."""
    manifest = hybrid()
    asked = {"labelled_fraction": 0.1, "unlabelled_train": 30, "unlabelled_val": 20}
    dropped = make_split(manifest, Data(**asked), 0)
    joined = make_split(manifest, Data(**asked, remainder="unlabelled"), 0)
    every = make_split(manifest, Data(**{**asked, "labelled_fraction": 1.0}), 0)
    for part in ("train", "val", "test", "unlabelled_val"):
        assert joined.clips(part) == dropped.clips(part)
    assert set(joined.unlabelled_train) == set(dropped.unlabelled_train) | (set(every.train) - set(dropped.train))
    assert not set(joined.subjects("unlabelled_train")) & set(joined.subjects("train"))
    assert make_split(manifest, Data(**{**asked, "labelled_fraction": 1.0}, remainder="unlabelled"), 0) == every
