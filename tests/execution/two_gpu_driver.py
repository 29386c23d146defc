"""A driver process whose local Ray has two GPUs, as far as it knows."""

from __future__ import annotations

import ray

from agrm_study.execution.driver.child import main

if __name__ == "__main__":
    init = ray.init
    ray.init = lambda **options: init(**{**options, "num_gpus": 2})
    main()
