"""Does Tune count what a study wants to be counted?"""

from __future__ import annotations

import pytest

from agrm_study.execution.trial.failures import NODE_LOSSES_FORGIVEN

pytest.importorskip("ray")


def test_losing_its_node_does_not_use_up_a_trials_retries_but_its_workers_deaths_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ray.exceptions import OutOfMemoryError, RayActorError
    from ray.tune.experiment import Trial

    from agrm_study.execution.driver.ray_patches import last_error, patched_tune

    monkeypatch.setattr(Trial, "local_path", None)  # Tune's error files go nowhere
    trial = Trial("trial", stub=True, max_failures=2)
    lost = RayActorError(error_msg="The actor died because its node has died. Node Id: 12ab")
    with patched_tune():
        for _ in range(NODE_LOSSES_FORGIVEN):
            trial.handle_error(lost)
        assert (trial.run_metadata.num_failures, trial.should_recover()) == (0, True)
        trial.handle_error(lost)  # one node after the other falls: it may be the trial
        assert trial.run_metadata.num_failures == 1
        trial.handle_error(RayActorError(error_msg="The actor died unexpectedly before finishing this task."))
        assert (trial.run_metadata.num_failures, trial.should_recover()) == (2, True)
        trial.handle_error(OutOfMemoryError("Task was killed due to the node running low on memory."))
        assert (trial.run_metadata.num_failures, trial.should_recover()) == (3, False)
        assert type(last_error(trial)).__name__ == "HostOutOfMemory"


def test_all_workers_stay_warm_until_a_trial_that_asks_for_something_else_is_about_to_start() -> None:
    from ray.tune.execution import tune_controller

    from agrm_study.execution.driver.ray_patches import patched_tune

    with patched_tune():
        cache = tune_controller._ObjectCache(may_keep_one=True)
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
    assert (cache.num_cached_objects, cache.has_cached_object("half")) == (1, True)
    assert list(cache.flush_cached_objects(force_all=True)) == ["d"]
    assert cache.num_cached_objects == 0


def test_no_worker_stays_warm_beside_one_that_has_died(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.tune.execution.tune_controller import TuneController

    from agrm_study.execution.driver.ray_patches import patched_tune

    told: list[object] = []
    monkeypatch.setattr(TuneController, "_process_trial_failure", lambda self, trial, exception: told.append(trial))
    monkeypatch.setattr(TuneController, "_cleanup_cached_actors", lambda self, force_all: told.append(force_all))
    with patched_tune():
        TuneController._process_trial_failure(TuneController.__new__(TuneController), "trial", None)
    assert told == [True, "trial"]


def test_a_worker_that_no_trial_has_taken_for_a_minute_gives_its_node_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from agrm_study.execution.driver import actor_cache as warm

    now = 0.0
    monkeypatch.setattr(warm.time, "monotonic", lambda: now)
    cache = warm.ActorCache(may_keep_one=True)
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


@pytest.mark.parametrize("stopped", [False, True])
def test_a_trial_that_waits_for_a_worker_is_let_go_when_the_run_stops_and_one_that_has_one_is_not(
    monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial

    from agrm_study.execution.driver.ray_patches import patched_tune

    told: list[str] = []

    class Search:
        stopped = False

        def on_trial_complete(self, trial_id: str) -> None:
            told.append(trial_id)

    monkeypatch.setattr(Trial, "local_path", None)
    monkeypatch.setattr(TuneController, "_stop_experiment_if_needed", lambda self: None)
    monkeypatch.setattr(TuneController, "_schedule_trial_stop", lambda self, trial: told.append("stopped"))
    waits, starts, resets = (Trial("trial", stub=True, trial_id=name) for name in ("waits", "starts", "resets"))
    starts.temporary_state.ray_actor = object()
    controller = TuneController.__new__(TuneController)
    controller._search_alg, controller._resetting_trials = Search(), {resets}
    controller._pending_trials = {waits, starts, resets}
    controller._live_trials = {waits, starts, resets}
    Search.stopped = stopped
    with patched_tune():
        controller._stop_experiment_if_needed()
    assert told == (["waits", "stopped"] if stopped else [])
    assert (waits in controller._live_trials) is not stopped
