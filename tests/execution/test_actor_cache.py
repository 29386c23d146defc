"""Workers that are reused between two trials, and the internals of Tune that decide it."""

from __future__ import annotations

import inspect

import pytest

from agrm_study.execution.driver import actor_cache
from agrm_study.execution.driver.actor_cache import ActorCache

pytest.importorskip("ray")


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActorCache, "_distrusted", float("-inf"))


def test_all_workers_stay_warm_until_a_trial_that_asks_for_something_else_is_about_to_start() -> None:
    cache = ActorCache(may_keep_one=True)
    for worker in "abc":
        assert cache.cache_object("quarter", worker)  # Tune's own keeps the first alone
    cache.increase_max("quarter")
    assert list(cache.flush_cached_objects()) == []
    assert cache.pop_cached_object("quarter") == "a"
    cache.decrease_max("quarter")
    assert cache.cache_object("half", "d")
    cache.increase_max("half")
    assert list(cache.flush_cached_objects()) == ["b", "c"], "what the trial waits for may be what they hold"
    assert not cache.cache_object("quarter", "e")
    assert (cache.num_cached_objects, cache.has_cached_object("half"), cache.total_max_objects) == (1, True, 1)
    assert list(cache.flush_cached_objects(force_all=True)) == ["d"]
    assert cache.num_cached_objects == 0


def test_no_worker_is_used_that_waited_when_another_one_died() -> None:
    cache = ActorCache()
    assert cache.cache_object("cpu", "a")
    ActorCache.distrust()
    assert cache.cache_object("cpu", "b")
    assert cache.has_cached_object("cpu")
    assert [cache.pop_cached_object("cpu"), cache.pop_cached_object("cpu")] == ["b", None]
    assert not cache.has_cached_object("cpu")
    assert list(cache.flush_cached_objects()) == ["a"]


def test_a_worker_that_no_trial_has_taken_for_a_minute_gives_its_node_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(actor_cache.time, "monotonic", lambda: now)
    cache = ActorCache()
    assert cache.cache_object("A100", "a")
    now = 50.0
    assert cache.cache_object("T4", "b")
    assert list(cache.flush_cached_objects()) == []
    now = 61.0
    assert list(cache.flush_cached_objects()) == ["a"]
    assert cache.pop_cached_object("T4") == "b"
    assert cache.cache_object("T4", "b"), "it has worked meanwhile"
    now = 120.0
    assert list(cache.flush_cached_objects()) == []
    cache.increase_max("T4")
    now = 200.0
    assert list(cache.flush_cached_objects()) == [], "a trial is about to take it"


def test_it_takes_the_place_of_the_class_that_this_ray_has_and_of_no_other() -> None:
    from ray.tune.execution import tune_controller

    from agrm_study.execution.driver.ray_patches import unlike, warm_workers

    before = tune_controller._ObjectCache
    with warm_workers() as problem:
        assert problem == ""
        assert tune_controller._ObjectCache is ActorCache
    assert tune_controller._ObjectCache is before
    assert "has no _ObjectCache" in unlike(None)

    class Newer(before):  # type: ignore[misc, valid-type]
        def cache_object(self, key: object, obj: object, seconds: float) -> bool:
            return False

    class Wider(before):  # type: ignore[misc, valid-type]
        def evict(self) -> None:
            return None

    assert "_ObjectCache.cache_object" in unlike(Newer)
    assert "_ObjectCache.evict" in unlike(Wider)
    assert inspect.signature(ActorCache.flush_cached_objects).parameters["force_all"].default is False


def test_a_ray_without_that_class_runs_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.tune.execution import tune_controller

    from agrm_study.execution.driver.ray_patches import warm_workers

    monkeypatch.delattr(tune_controller, "_ObjectCache")
    with warm_workers() as problem:
        assert problem == "this Ray has no _ObjectCache"
        assert not hasattr(tune_controller, "_ObjectCache")
