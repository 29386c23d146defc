"""MLflow hook: one experiment per study, one run per trial."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from agrm_study.hooks.base import Hook
from agrm_study.hooks.trial_log import TrialLog
from agrm_study.study.errors import InputError

TRIAL: Final = "agrm_study.trial_id"
STAMP: Final = "agrm_study.stamp"
"""Names of the tags for a run's trial id and stamp."""
METRICS_A_CALL, PARAMS_A_CALL, VALUE_LIMIT = 1000, 100, 500
"""MLflow's limits on metrics and parameters per call, and the parameter length that every version accepts."""


class MlflowHook(Hook):
    """Writes runs with the MLflow client, to a SQLite store in a folder or to the URI of a tracking server."""

    name: ClassVar[str] = "mlflow"
    package: ClassVar[str] = "mlflow"

    @property
    def where(self) -> str:
        return f"mlflow ui --backend-store-uri {self.out}"

    def stamps(self) -> Mapping[str, str]:
        return {run.data.tags[TRIAL]: run.data.tags.get(STAMP, "") for run in self._runs()}

    def write(self, trial: TrialLog) -> None:
        from mlflow.entities import Metric, Param

        for run in self._runs(f"tags.`{TRIAL}` = '{trial.trial_id}'"):
            self._client.delete_run(run.info.run_id)
        start = round(1000 * trial.time_of(0))
        tags = {TRIAL: trial.trial_id, "agrm_study.study": self.study.study.name}
        tags["agrm_study.status"] = str(trial.record["status"])
        tags |= {f"agrm_study.{n}": str(trial.record[n]) for n in ("code_version", "failure") if n in trial.record}
        created = self._client.create_run(self._experiment, start_time=start, run_name=trial.title, tags=tags)
        run_id = created.info.run_id
        metrics = [
            Metric(name, value, round(1000 * trial.time_of(epoch)), epoch)
            for epoch, values in trial.curves.items()
            for name, value in values.items()
        ]
        end = round(1000 * trial.time_of(1 << 30))
        best = int(trial.record.get("best_epoch", 0))
        metrics += [Metric(f"final/{name}", value, end, best) for name, value in trial.final.items()]
        for first in range(0, len(metrics), METRICS_A_CALL):
            self._client.log_batch(run_id, metrics=metrics[first : first + METRICS_A_CALL])
        params = [Param(name, str(value)[:VALUE_LIMIT]) for name, value in trial.hparams.items()]
        for first in range(0, len(params), PARAMS_A_CALL):
            self._client.log_batch(run_id, params=params[first : first + PARAMS_A_CALL])
        if trial.failed:
            self._client.set_tag(run_id, "mlflow.note.content", str(trial.record.get("error", ""))[-5000:])
        self._client.set_terminated(run_id, status="FAILED" if trial.failed else "FINISHED", end_time=end)
        self._client.set_tag(run_id, STAMP, trial.stamp)  # written last, so that an incomplete run is replaced

    def _place(self, out: str | None) -> str:
        if out is not None and "://" in out:
            return out
        folder = self._in_results("mlflow") if out is None else Path(out).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{folder / 'mlflow.db'}"

    def _open(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # no telemetry unless the user enables it
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        name = self.study.study.name
        try:
            self._client = MlflowClient(tracking_uri=self.out)
            found = self._client.get_experiment_by_name(name)
            self._experiment: str = (
                found.experiment_id
                if found is not None
                else self._client.create_experiment(name, artifact_location=self._artifacts())
            )
        except MlflowException as fault:
            raise InputError(
                "MLflow cannot use this store", field="--out", given=self.out, hint=str(fault).strip().splitlines()[0]
            ) from None
        if found is not None and found.lifecycle_stage != "active":
            raise InputError(
                "the experiment was deleted; restore it, or choose a different location",
                field="--out",
                given=self.out,
                hint=f"mlflow experiments restore --experiment-id {found.experiment_id}",
            )

    def _artifacts(self) -> str | None:
        """Artifact location of a local store: next to its database instead of in the working directory."""
        if not self.out.startswith("sqlite:///"):
            return None
        return (Path(self.out.removeprefix("sqlite:///")).absolute().parent / "artifacts").as_uri()

    def _runs(self, which: str = "") -> list[Any]:
        runs: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment], which, max_results=1000, page_token=token)
            runs += [run for run in page if TRIAL in run.data.tags]
            token = page.token
            if not token:
                return runs
