"""TensorBoard hook: one run per trial, with curves, hyperparameters and final metrics."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from agrm_study.hooks.base import Hook
from agrm_study.hooks.trial_log import TrialLog

MARK: Final = "agrm-study.json"
"""File in each run's folder with the trial id and stamp."""


class TensorBoardHook(Hook):
    """Writes event files with TensorBoard's writer, without TensorFlow or torch."""

    name: ClassVar[str] = "tensorboard"
    package: ClassVar[str] = "tensorboard"

    @property
    def where(self) -> str:
        return f"tensorboard --logdir {self.out}"

    def stamps(self) -> Mapping[str, str]:
        return {mark["trial_id"]: mark["stamp"] for mark in (_read(file) for file in self._marks()) if mark}

    def write(self, trial: TrialLog) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        for file in self._marks():
            if _read(file).get("trial_id") == trial.trial_id:
                shutil.rmtree(file.parent)
        words = (str(trial.record["arm"]), str(trial.record["task"]), f"seed-{trial.record['seed']}")
        run = Path(self.out).joinpath(*(_file_name(word) for word in words[:-1]), f"{words[-1]}-{trial.trial_id[:8]}")
        if run.exists():  # left by an interrupted call, without a marker file
            shutil.rmtree(run)
        run.mkdir(parents=True)
        writer = EventFileWriter(str(run))
        try:
            for event in _events(trial):
                writer.add_event(event)
        finally:
            writer.close()
        mark = {"trial_id": trial.trial_id, "stamp": trial.stamp}
        (run / MARK).write_text(
            json.dumps(mark) + "\n", encoding="utf-8"
        )  # written last, so that an incomplete run is rewritten

    def _place(self, out: str | None) -> str:
        return str(self._in_results("tensorboard") if out is None else Path(out).absolute())

    def _open(self) -> None:
        Path(self.out).mkdir(parents=True, exist_ok=True)

    def _marks(self) -> list[Path]:
        return sorted(Path(self.out).glob(f"*/*/*/{MARK}"))


def _events(trial: TrialLog) -> list[Any]:
    """Events of a trial: hyperparameters, curves, final metrics and error message."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    def scalar(name: str, value: float) -> Any:
        return Summary.Value(tag=name, simple_value=value)

    start = trial.time_of(0)
    events = [Event(wall_time=start, file_version="brain.Event:2")]
    events.append(Event(wall_time=start, summary=Summary(value=_hparams(trial))))
    for epoch, values in trial.curves.items():
        summary = Summary(value=[scalar(name, value) for name, value in values.items()])
        events.append(Event(wall_time=trial.time_of(epoch), step=epoch, summary=summary))
    end = trial.time_of(int(trial.record.get("epochs", 0)) or 1)
    if trial.final:
        summary = Summary(value=[scalar(f"final/{name}", value) for name, value in trial.final.items()])
        events.append(Event(wall_time=end, step=int(trial.record.get("best_epoch", 0)), summary=summary))
    if trial.failed:
        message = f"{trial.record.get('failure')}: {trial.record.get('error')}"
        events.append(
            Event(wall_time=end, step=int(trial.record.get("epochs", 0)), summary=Summary(value=[_text(message)]))
        )
    return events


def _hparams(trial: TrialLog) -> list[Any]:
    """Summaries for the HPARAMS page: metrics of the experiment, and hyperparameters and status of the session."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams.api_pb2 import (
        DATA_TYPE_BOOL,
        DATA_TYPE_FLOAT64,
        DATA_TYPE_STRING,
        Experiment,
        HParamInfo,
        MetricInfo,
        MetricName,
        Status,
    )
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

    def value(tag: str, **content: Any) -> Any:
        data = HParamsPluginData(version=0, **content)
        plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=data.SerializeToString())
        return Summary.Value(tag=f"_hparams_/{tag}", metadata=SummaryMetadata(plugin_data=plugin))

    infos, started = [], SessionStartInfo(start_time_secs=trial.time_of(0))
    for name, given in trial.hparams.items():
        if isinstance(given, bool):
            started.hparams[name].bool_value = given
            infos.append(HParamInfo(name=name, type=DATA_TYPE_BOOL))
        elif isinstance(given, int | float):
            started.hparams[name].number_value = float(given)
            infos.append(HParamInfo(name=name, type=DATA_TYPE_FLOAT64))
        else:
            started.hparams[name].string_value = str(given)
            infos.append(HParamInfo(name=name, type=DATA_TYPE_STRING))
    metrics = [MetricInfo(name=MetricName(tag=f"final/{name}")) for name in trial.final]
    status = Status.Value("STATUS_FAILURE" if trial.failed else "STATUS_SUCCESS")
    return [
        value("experiment", experiment=Experiment(hparam_infos=infos, metric_infos=metrics)),
        value("session_start_info", session_start_info=started),
        value("session_end_info", session_end_info=SessionEndInfo(status=status, end_time_secs=trial.time_of(1 << 30))),
    ]


def _text(text: str) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=shape)
    plugin = SummaryMetadata.PluginData(plugin_name="text")
    return Summary.Value(tag="failure", metadata=SummaryMetadata(plugin_data=plugin), tensor=tensor)


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.+=-]+", "-", text).strip("-.") or "arm"


def _read(file: Path) -> dict[str, str]:
    try:
        content: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content
