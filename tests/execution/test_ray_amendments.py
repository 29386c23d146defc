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

    from agrm_study.execution.ray_amendments import amended_tune, last_error

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
