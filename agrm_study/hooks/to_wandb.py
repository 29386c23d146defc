"""Weights & Biases hook: one project per study, one run per trial; offline by default."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from agrm_study.hooks.base import Hook
from agrm_study.hooks.trial_log import TrialLog

STATE: Final = "agrm-study.json"
"""File with the stamps of the written trials, by trial id; stored next to the runs."""


class WandbHook(Hook):
    """Writes runs with the W&B client, offline unless WANDB_MODE is set."""

    name: ClassVar[str] = "wandb"
    package: ClassVar[str] = "wandb"

    @property
    def where(self) -> str:
        sync = f"wandb sync {self.out}/wandb/offline-run-*"
        return self.out if self._mode != "offline" else f"{self.out} (`{sync}` uploads it)"

    def stamps(self) -> Mapping[str, str]:
        try:
            found: dict[str, str] = json.loads(self._state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def write(self, trial: TrialLog) -> None:
        import wandb

        if self._mode == "offline":
            for earlier in (Path(self.out) / "wandb").glob(f"offline-run-*-{trial.trial_id}"):
                shutil.rmtree(earlier)
        run = wandb.init(
            project=self.study.study.name,
            id=trial.trial_id,
            name=trial.title,
            group=str(trial.record["arm"]),
            job_type=str(trial.record["phase"]),
            notes=f"{trial.record.get('failure')}: {trial.record.get('error')}" if trial.failed else None,
            config=trial.hparams,
            dir=self.out,
            mode=self._mode,
            resume="allow",
            settings=wandb.Settings(console="off", silent=True, disable_git=True, save_code=False),
        )
        try:
            for epoch, values in trial.curves.items():
                run.log(dict(values) | {"epoch": epoch}, step=epoch)
            run.summary.update({f"final/{name}": value for name, value in trial.final.items()})
            names = ("status", "failure", "best_epoch", "epochs", "wall_s", "n_params", "code_version")
            run.summary.update({name: trial.record[name] for name in names if name in trial.record})
        finally:
            run.finish(exit_code=1 if trial.failed else 0)
        stamps = dict(self.stamps()) | {trial.trial_id: trial.stamp}
        temporary = self._state.with_suffix(".tmp")
        temporary.write_text(json.dumps(stamps, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self._state)

    def _place(self, out: str | None) -> str:
        return str(self._in_results("wandb") if out is None else Path(out).absolute())

    def _open(self) -> None:
        Path(self.out).mkdir(parents=True, exist_ok=True)
        self._state = Path(self.out) / STATE
        self._mode = os.environ.get("WANDB_MODE", "offline")
