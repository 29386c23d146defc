"""Tune counts what a study requires, and stores no state that is never read."""

from __future__ import annotations

import pytest

from agrm_study.execution.trial.failures import NODE_LOSSES_FORGIVEN

pytest.importorskip("ray")

KILLED = "The actor died unexpectedly before finishing this task.\n\tpid: 7\n\tip: 10.0.0.7\nThe actor is dead."
CREATION = (
    "The actor died because of an error raised in its creation task, ray::A.__init__() (pid=7, ip=10.0.0.7)\n"
    "  File \"trainable.py\", line 1\nModuleNotFoundError: No module named 'agrm_study'"
)


def test_losing_its_node_does_not_use_up_a_trials_retries_but_its_workers_deaths_do() -> None:
    from ray.exceptions import RayActorError

    from agrm_study.execution.driver.study_trial import StudyTrial

    trial = StudyTrial("trial", stub=True, max_failures=2)
    lost = RayActorError(error_msg="The actor died because its node has died. Node Id: 12ab")
    for _ in range(NODE_LOSSES_FORGIVEN):
        trial.begin()
        trial.handle_error(lost)
    assert (trial.run_metadata.num_failures, trial.should_recover()) == (0, True)
    trial.begin()
    trial.handle_error(lost)  # one node after the other falls: it may be the trial
    assert trial.run_metadata.num_failures == 1
    trial.begin()
    trial.handle_error(RayActorError(error_msg=KILLED))
    assert (trial.run_metadata.num_failures, trial.should_recover()) == (2, True)
    assert (trial.failure.kind, trial.unborn) == ("worker_killed", False)
    assert trial.failure.message == KILLED.splitlines()[0]
    trial.begin()
    trial.handle_error(RayActorError(error_msg=KILLED))
    assert (trial.run_metadata.num_failures, trial.should_recover()) == (3, False)


def test_a_worker_that_has_not_taken_the_trial_says_nothing_about_it() -> None:
    from ray.exceptions import RayActorError

    from agrm_study.execution.driver.study_trial import StudyTrial

    trial = StudyTrial("trial", stub=True, max_failures=0)
    trial.handle_error(RayActorError(error_msg=CREATION, actor_init_failed=True))
    assert (trial.unborn, trial.unborn_on, trial.should_recover()) == (True, "10.0.0.7", True)
    assert trial.failure.message == "a worker could not be created: ModuleNotFoundError: No module named 'agrm_study'"
    trial.handle_error(RayActorError(error_msg=KILLED))
    assert (trial.unborn, trial.unborn_on, trial.should_recover()) == (True, None, True)
    trial.begin()
    trial.handle_error(RayActorError(error_msg=KILLED))
    assert (trial.unborn, trial.should_recover()) == (False, False)


def test_a_result_leaves_no_statistics_behind() -> None:
    from agrm_study.execution.driver.study_trial import StudyTrial

    trial = StudyTrial("trial", stub=True)
    trial.update_last_result({"event": "text", "time_total_s": 1.0, "done": True})
    assert trial.last_result["event"] == "text"
    assert trial.run_metadata.metric_analysis == {}
    assert trial.get_json_state() == ("{}", "{}")
