"""A joined run, in this process, of trials that sleep: `python sleeping_run.py RESULTS ARMS SEEDS`.

The plan, the claims, the checkpoints and the records are real; only data and training are simulated, so that 30 runs
fit on a small machine. ``script.json`` in the results folder specifies the duration of an epoch; leases expire after
``CHAOS_LEASE_S``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "execution"))

from named_data import RUNNER, NamedData

from agrm_study.execution import run as execution
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.options import RunOptions
from agrm_study.execution.progress.lines import choose_view
from agrm_study.execution.results_folder import leases
from agrm_study.study.load import load_study


def main(results: Path, arms: int, seeds: int) -> int:
    """Runs the study; returns the exit code."""
    content = {
        "name": "sleeping",
        "tasks": ["three_class"],
        "seeds": seeds,
        "data": {"synthetic": {"subjects": 6}},
        "arms": [{"name": f"A{i}", "set": {"ssl.threshold.tau": round(0.5 + i / 1000, 3)}} for i in range(arms)],
        "set": {"ssl.pretrain_epochs": 1},
        "sharing": True,
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.yaml"
        file.write_text(json.dumps(content))
        study = load_study(file)
    leases.EXPIRES_AFTER_S = float(os.environ.get("CHAOS_LEASE_S", "60"))  # type: ignore[misc]
    execution.prepare = lambda *a, **k: NamedData()  # type: ignore[assignment, return-value]
    options = RunOptions(results=results, executor="inline", runner=RUNNER, checkpoint_every_s=0.0, join=True)
    with Interrupt() as interrupt:
        summary = execution.run_study(study, options, view=choose_view(sys.stderr), interrupt=interrupt)
    print(json.dumps(summary.to_dict()), flush=True)
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
