"""A runner whose trials follow ``script.json`` in the results folder, arm by arm."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agrm_study.execution.trial.runner import RunnerContext, TrialRunner
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.training.failures import CheckpointError, NanLossError
from agrm_study.training.outcome import EpochReport, EpochRow, Predictions, TrialOutcome


class ScriptedRunner(TrialRunner):
    """Each epoch hashes the one before, so that a trial that resumes wrongly ends with other numbers.

    Trials of one seed are alike up to the end of their supervised pre-training.

    Script of an arm, or of all others under ``*``: ``epochs``, ``epoch_s``, ``fail`` (what happens), ``at`` (in which
    epoch), ``times`` (in how many attempts, counted in a file beside the script), ``seeds`` (only these), ``copies``
    (words before its data are there), ``drift`` (added to a logit that is predicted from saved weights). ``wait`` waits
    for a file ``go`` beside the script.
    """

    waited = 0

    def fetch(self, work: Work, settings: WorkerSettings) -> str:
        script: dict[str, Any] = json.loads((Path(settings.results) / "script.json").read_text())
        self.waited += 1
        copies = script.get(work.trial.arm, script.get("*", {})).get("copies", 0)
        return f"copying {self.waited} of {copies}" if self.waited <= copies else ""

    def start(self, work: Work, context: RunnerContext) -> int:
        self.root = Path(context.settings.results)
        script: dict[str, Any] = json.loads((self.root / "script.json").read_text())
        self.script = {"epochs": 3, "epoch_s": 0.0} | script.get(work.trial.arm, script.get("*", {}))
        self.work = work
        self.folder = context.checkpoint_dir
        self.epoch, self.state, self.values = 0, str(work.trial.seed), list[float]()
        note(self.root, f"start {work.trial.arm} {work.trial.seed}")
        rolling = self.folder / "rolling.pt"
        if rolling.exists():
            self._load(json.loads(rolling.read_text()))
        return self.epoch

    def load_stage(self, folder: Path, name: str) -> int:
        try:
            saved = json.loads((folder / "rolling.pt").read_text())
        except (OSError, ValueError):
            raise CheckpointError(folder, "the checkpoint cannot be read") from None
        assert saved["name"] == name
        self._load(saved)
        note(self.root, f"take-over {self.work.trial.arm} {self.work.trial.seed} {self.epoch}")
        return self.epoch

    def save_stage(self, folder: Path, name: str) -> None:
        if self.script.get("fail") == "leave":
            raise OSError(errno.ENOSPC, "No space left on device")
        (folder / "rolling.pt").write_text(json.dumps(self._saved() | {"name": name}))
        note(self.root, f"leave {self.work.trial.arm} {self.work.trial.seed} {self.epoch}")

    def rows(self) -> Sequence[EpochRow]:
        return [row for epoch in range(1, self.epoch + 1) for row in self._rows(epoch)]

    def _load(self, saved: dict[str, Any]) -> None:
        self.epoch, self.state, self.values = saved["epoch"], saved["state"], saved["values"]

    def _saved(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "state": self.state, "values": self.values}

    def run_epoch(self) -> EpochReport:
        if self.epoch >= self.script["epochs"]:
            return EpochReport(epoch=self.epoch, rows=(), done=True)
        time.sleep(self.script["epoch_s"])
        self._misbehave(self.epoch + 1)
        self.epoch += 1
        alike = self.epoch <= self.work.trial.recipe.ssl.pretrain_epochs
        text = self.state + ("" if alike else self.work.trial.trial_id)
        self.state = hashlib.sha256(text.encode()).hexdigest()
        self.values.append(int(self.state[:6], 16) / 16**6)
        return EpochReport(epoch=self.epoch, rows=self._rows(self.epoch), done=self.epoch >= self.script["epochs"])

    def _misbehave(self, epoch: int) -> None:
        what = self.script.get("fail")
        if what is None or epoch != self.script.get("at", 1):
            return
        if self.work.trial.seed not in self.script.get("seeds", [self.work.trial.seed]):
            return
        done = self.root / f"misbehaved-{self.work.trial.trial_id}"
        count = int(done.read_text()) if done.exists() else 0
        if count >= self.script.get("times", 99):
            return
        done.write_text(str(count + 1))
        if what == "bug":
            raise KeyError("no such layer")
        if what == "nan":
            raise NanLossError(epoch, 1, {"loss_supervised": float("nan")})
        if what == "oom":
            raise MemoryError("no memory")
        if what == "disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        if what == "leave":
            return
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "hog":  # what a worker that runs away does; some of it, so that no machine runs out of memory
            held = []
            while len(held) < 16:
                held.append(bytearray(os.urandom(2**20) * 256))
                time.sleep(0.3)
            time.sleep(60)
        if what == "wait":
            while not (self.root / "go").exists():
                time.sleep(0.02)
            return
        if what == "hang":
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        raise AssertionError(what)

    def _rows(self, epoch: int) -> tuple[EpochRow, ...]:
        value = self.values[epoch - 1]
        return (
            EpochRow(epoch=epoch, split="train", network="student", loss=1 - value, training={"lr": 0.1}),
            EpochRow(epoch=epoch, split="val", network="student", loss=1 - value, metrics={"macro_f1": value}),
        )

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "rolling.pt").write_text(json.dumps(self._saved()))
        (self.folder / "best.safetensors").write_text(json.dumps(self.values))

    def predict(self, best_epoch: int) -> Sequence[Predictions]:
        note(self.root, f"predict {self.work.trial.arm} {self.work.trial.seed}")
        kept: list[float] = json.loads((self.folder / "best.safetensors").read_text())
        return [_block(kept, best_epoch, self.script.get("drift", 0.0))]

    def outcome(self) -> TrialOutcome:
        best = int(np.argmax(self.values)) + 1
        block = _block(self.values, best)
        return TrialOutcome(
            stop_reason="epochs",
            best_epoch=best,
            epochs=self.epoch,
            n_params=7,
            class_names=("a", "b"),
            rows=tuple(self.rows()),
            predictions=(block,),
        )

    def close(self) -> None:
        if hasattr(self, "root"):
            note(self.root, f"close {self.work.trial.arm} {self.work.trial.seed}")


def _block(values: list[float], best: int, drift: float = 0.0) -> Predictions:
    return Predictions(
        split="test",
        network="student",
        epoch=best,
        subject_id=("a", "b"),
        clip_id=("a#0", "b#0"),
        label=np.array([0, 1], dtype=np.int8),
        logits=np.array([[0.0, values[0]], [values[-1] + drift, 1.0]], dtype=np.float32),
    )


def note(root: Path, line: str) -> None:
    """Appends to the journal of what was done; one write, so that two workers can share it."""
    with (root / "journal").open("a") as file:
        file.write(line + "\n")


def journal(root: Path) -> list[str]:
    """What was done."""
    path = root / "journal"
    return path.read_text().splitlines() if path.exists() else []
