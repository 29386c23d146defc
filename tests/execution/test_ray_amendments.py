"""Does Tune count what a study wants to be counted?"""

from __future__ import annotations

import pytest

from agrm_study.execution.failures import NODE_LOSSES_FORGIVEN

pytest.importorskip("ray")


def test_losing_its_node_does_not_use_up_a_trials_retries_but_its_workers_deaths_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ray.exceptions import OutOfMemoryError, RayActorError
    from ray.tune.experiment import Trial

    from agrm_study.execution.on_ray.amendments import amended_tune, last_error

    monkeypatch.setattr(Trial, "local_path", None)  # Tune's error files go nowhere
    trial = Trial("trial", stub=True, max_failures=2)
    lost = RayActorError(error_msg="The actor died because its node has died. Node Id: 12ab")
    with amended_tune():
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

    from agrm_study.execution.on_ray.amendments import amended_tune

    with amended_tune():
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

    from agrm_study.execution.on_ray.amendments import amended_tune

    told: list[object] = []
    monkeypatch.setattr(TuneController, "_process_trial_failure", lambda self, trial, exception: told.append(trial))
    monkeypatch.setattr(TuneController, "_cleanup_cached_actors", lambda self, force_all: told.append(force_all))
    with amended_tune():
        TuneController._process_trial_failure(TuneController.__new__(TuneController), "trial", None)
    assert told == [True, "trial"]
