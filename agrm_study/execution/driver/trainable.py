"""Tune trainable that runs trials sequentially in a Ray actor, without state carried over between trials.

Tune's own checkpoints are not used, and no exception reaches Tune: the worker writes records and rolling checkpoints
itself, so that Tune sees a failure only when a process dies.
"""

from __future__ import annotations

import os
from typing import Any, Final

from ray.tune import Trainable

from agrm_study.execution.resources.gpu_share import keep_to_share
from agrm_study.execution.trial.events import UNDER_WAY
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.execution.trial.worker import TrialWorker

WORK: Final = "work"
SETTINGS: Final = "settings"
EVENT: Final = "event"
SHARE: Final = "gpu_share"


class StudyTrainable(Trainable):  # type: ignore[misc]
    """Runs a `TrialWorker`; one iteration is one epoch."""

    def setup(self, config: dict[str, Any]) -> None:
        self._settings_text = ""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        text = new_config[SETTINGS]
        if text != self._settings_text:
            self._settings_text = text
            settings = WorkerSettings.from_json(text)
            os.environ["OMP_NUM_THREADS"] = str(settings.threads)
            self._worker = TrialWorker(settings)
            if settings.device.startswith("cuda"):
                keep_to_share(new_config[SHARE])  # an actor keeps one share for its lifetime
        self._worker.begin(Work.from_json(new_config[WORK]))
        self.config: dict[str, Any] = {}  # Tune sends the configuration back with every result
        return True

    def step(self) -> dict[str, Any]:
        event = self._worker.step()
        # One string instead of fields, since Tune computes statistics of every number in a result
        return {EVENT: event.to_json(), "done": event.kind not in UNDER_WAY}

    def cleanup(self) -> None:
        self._worker.drop()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Does nothing: the worker has written everything that another attempt needs."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Does nothing: the next step starts from the worker's own checkpoint."""
