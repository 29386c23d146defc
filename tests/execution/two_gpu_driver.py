"""A driver process whose local Ray instance has two simulated GPUs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from agrm_study.execution.driver import session
from agrm_study.execution.driver.child import main
from agrm_study.execution.resources.capacity import Resources

if __name__ == "__main__":
    start = session._start

    def start_with_gpus(stack: ExitStack, folder: Path, resources: Resources, slots: int) -> None:
        import ray  # not before: Ray reads the environment of the session when it is imported

        init = ray.init
        ray.init = lambda **options: init(**{**options, "num_gpus": 2})
        start(stack, folder, resources, slots)

    session._start = start_with_gpus
    main()
