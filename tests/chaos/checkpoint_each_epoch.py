"""`agrm-study`, but with a checkpoint after each epoch and the executor that ``CHAOS_EXECUTOR`` names.

Trials of this suite last seconds and are killed every few; with the command's twenty seconds between two checkpoints
they would always begin anew, and nothing would be seen of how they go on.
"""

from __future__ import annotations

import functools
import os

import agrm_study.execution.run as run_module
from agrm_study.cli import main

if __name__ == "__main__":
    run_module.RunOptions = functools.partial(  # type: ignore[assignment, misc]
        run_module.RunOptions,
        checkpoint_every_s=float(os.environ.get("CHAOS_CHECKPOINT_EVERY_S", "0")),
        executor=os.environ.get("CHAOS_EXECUTOR", "ray"),
        retries=int(os.environ.get("CHAOS_RETRIES", "3")),
    )
    main()
