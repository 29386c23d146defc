"""Runs a study like `agrm-study run`, but with all trials on the CPU and frequent checkpoints.

`python run_study.py '{"study": …, "results": …, "address": …, …}'`: the other keys are fields of `RunOptions`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(asked: dict[str, Any]) -> int:
    """The exit code of the run; what went wrong is printed."""
    from agrm_study.execution.interrupt import Interrupt
    from agrm_study.execution.options import RunOptions
    from agrm_study.execution.progress.lines import choose_view
    from agrm_study.execution.run import run_study
    from agrm_study.study.errors import InputError
    from agrm_study.study.load import load_study

    study = load_study(Path(asked.pop("study")))
    options = RunOptions(device="cpu", checkpoint_every_s=0.5, **asked)
    try:
        with Interrupt() as interrupt:
            summary = run_study(study, options, view=choose_view(sys.stderr), interrupt=interrupt)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(summary.to_dict()), file=sys.stderr)
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
