"""Order of clips, and prefetching."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from agrm_study.training.order import labelled_batches, unlabelled_batches
from agrm_study.training.prefetch import prefetched


def test_every_labelled_clip_comes_once_in_batches_of_nearly_equal_size():
    batches = labelled_batches(0, 1, 33, 16)
    assert sorted(np.concatenate(batches).tolist()) == list(range(33))
    assert [len(batch) for batch in batches] == [11, 11, 11]


def test_the_order_changes_with_seed_and_epoch_and_repeats_for_the_same():
    first = np.concatenate(labelled_batches(0, 1, 50, 16))
    np.testing.assert_array_equal(first, np.concatenate(labelled_batches(0, 1, 50, 10)))
    assert not np.array_equal(first, np.concatenate(labelled_batches(0, 2, 50, 16)))
    assert not np.array_equal(first, np.concatenate(labelled_batches(1, 1, 50, 16)))


def test_unlabelled_batches_cycle_so_that_no_clip_is_more_than_one_turn_ahead():
    batches = unlabelled_batches(0, 1, 7, np.arange(7), 3, 6)
    assert [len(batch) for batch in batches] == [3] * 6
    counts = np.bincount(np.concatenate(batches), minlength=7)
    assert counts.sum() == 18
    assert counts.max() - counts.min() <= 1


def test_only_open_clips_come_and_in_the_order_that_they_had_among_all():
    every = np.concatenate(unlabelled_batches(0, 1, 10, np.arange(10), 10, 1))
    some = np.concatenate(unlabelled_batches(0, 1, 10, np.array([1, 4, 8]), 3, 1))
    assert some.tolist() == [clip for clip in every if clip in (1, 4, 8)]


def test_a_batch_larger_than_the_set_holds_each_clip_once():
    batches = unlabelled_batches(0, 1, 3, np.arange(3), 16, 2)
    assert [sorted(batch.tolist()) for batch in batches] == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_prefetched_items_come_in_order_and_complete(ahead):
    assert list(prefetched(iter(range(20)), ahead)) == list(range(20))


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_error_of_the_maker_comes_where_its_item_would_have(ahead):
    def make():
        yield 1
        raise OSError("the disk is gone")

    items = prefetched(make(), ahead)
    assert next(items) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)


def test_a_consumer_that_stops_early_stops_the_maker():
    made: list[int] = []

    def make():
        for item in range(1000):
            made.append(item)
            yield item

    before = threading.active_count()
    items = prefetched(make(), 2)
    next(items)
    items.close()
    time.sleep(0.01)
    assert threading.active_count() == before
    assert len(made) < 10
