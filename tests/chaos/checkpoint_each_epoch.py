"""`agrm-study` with a checkpoint after each epoch and the executor named by ``CHAOS_EXECUTOR``.

The leases of joined runs expire after ``CHAOS_LEASE_S``.

Trials of this suite last seconds and are killed every few seconds; with the default of twenty seconds between two
checkpoints, they would always start from scratch, and resuming would not be tested.
"""

from __future__ import annotations

import functools
import os

from agrm_study.cli import main
from agrm_study.execution import options
from agrm_study.execution.results_folder import leases

if __name__ == "__main__":
    options.RunOptions = functools.partial(  # type: ignore[assignment, misc]
        options.RunOptions,
        checkpoint_every_s=float(os.environ.get("CHAOS_CHECKPOINT_EVERY_S", "0")),
        executor=os.environ.get("CHAOS_EXECUTOR", "ray"),
        retries=int(os.environ.get("CHAOS_RETRIES", "3")),
    )
    leases.EXPIRES_AFTER_S = float(os.environ.get("CHAOS_LEASE_S", "60"))  # type: ignore[misc]
    main()
