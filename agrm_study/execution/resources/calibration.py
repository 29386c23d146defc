"""Timing of training steps on this machine before the first trial has run.

A child process times a few steps of each shape of trial, so that the caller need not import torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from agrm_study.execution.resources.gpu_share import kind_of
from agrm_study.plan.order import rough_cost
from agrm_study.plan.rehearsed import Rehearsed
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.errors import InputError
from agrm_study.study.parts.loaded import offer_portable, portable_sources
from agrm_study.study.recipe import Recipe
from agrm_study.training.failures import DeviceMemoryError

MOST_SHAPES: Final = 6
"""Maximum number of timed shapes; the shapes on which the study spends the most time are timed."""

OnShape = Callable[[int, int, str], None]
"""Called with the number of the shape being timed, the total, and a description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Timed steps and the device that they ran on.

    Attributes:
        device: ``cpu``, or the name of the GPU; empty if the process ended before reporting it.
        trials: Step times of the trial's shape, by trial.
        problems: Reasons why shapes could not be timed.
    """

    device: str
    threads: int
    trials: Mapping[str, Rehearsed]
    shapes: tuple[tuple[str, Rehearsed], ...]
    problems: tuple[str, ...]

    @property
    def steps(self) -> int:
        """Number of timed steps."""
        return sum(len(times.supervised) + len(times.full) for _, times in self.shapes)


def calibrate(
    trials: Iterable[TrialSpec], *, cpu: int, gpu: bool, on_shape: OnShape = lambda index, total, words: None
) -> Calibration:
    """Times the steps of trials, once per shape; the CPU is timed if a GPU is requested but not available."""
    kinds: dict[str, list[TrialSpec]] = {}
    for trial in trials:
        kinds.setdefault(kind_of(trial.recipe), []).append(trial)
    spent = Counter({kind: sum(rough_cost(trial.recipe) for trial in of_kind) for kind, of_kind in kinds.items()})
    chosen = {kind: kinds[kind][0].recipe for kind, _ in spent.most_common(MOST_SHAPES)}
    where: dict[str, Any] = {"device": "", "threads": 0}
    times: dict[str, Rehearsed] = {}
    problems: list[str] = []
    for answer in _answers(chosen, cpu=cpu, gpu=gpu, on_shape=on_shape):
        if "device" in answer:
            where = answer
        elif "times" in answer:
            values = answer["times"]
            series = {name: tuple(values[name]) for name in ("supervised", "full", "window")}
            times[answer["name"]] = Rehearsed(**series, network_bytes=values["network_bytes"])
        else:
            problems.append(answer["problem"])
    return Calibration(
        device=where["device"],
        threads=where["threads"],
        trials={trial.trial_id: found for kind, found in times.items() for trial in kinds[kind]},
        shapes=tuple((shape_words(chosen[kind]), found) for kind, found in times.items()),
        problems=tuple(problems),
    )


def shape_words(recipe: Recipe) -> str:
    """Description of a trial's shape: ``r3d_18 with shpm, agrm, 16 frames of 224², batch 16 + 16``."""
    model, clip, batch = recipe.model, recipe.clip, recipe.batch
    views = "2 × " if recipe.ssl.views == 2 else ""
    unlabelled = f" + {views}{batch.unlabelled}" if recipe.uses_unlabelled else ""
    return (
        f"{model.backbone} with {model.pooling.name}, {recipe.ssl.method}, {clip.frames} frames of {clip.size}², "
        f"batch {batch.labelled}{unlabelled}"
    )


def _answers(recipes: Mapping[str, Recipe], *, cpu: int, gpu: bool, on_shape: OnShape) -> Iterable[dict[str, Any]]:
    """Yields the output of the process as it arrives, then a problem if it ends early."""
    if not recipes:
        return
    threads = {name: str(cpu) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    texts = {name: recipe.settings() for name, recipe in recipes.items()}
    open_shapes = [shape_words(recipe) for recipe in recipes.values()]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "agrm_study.execution.resources.calibration"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **threads},
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:  # its result is reported below
                json.dump({"gpu": gpu, "recipes": texts, "parts": portable_sources()}, stdin)
            for done, line in enumerate(process.stdout):
                yield json.loads(line)
                if done < len(open_shapes):
                    on_shape(done + 1, len(open_shapes), open_shapes[done])
            if process.wait() != 0:
                errors.seek(0)
                last = errors.read().strip().splitlines()[-1:] or [f"the process exited with code {process.returncode}"]
                yield {"problem": last[0]}
        finally:
            process.kill()


def main() -> None:
    """Entry point of the child process.

    It reads one JSON object, ``{"gpu": bool, "recipes": {name: recipe}, "parts": [source]}``, from stdin and writes
    JSON objects to stdout, one per line: the device, then the times of each recipe or the reason why it has none.
    """
    import torch

    from agrm_study.training.step_time import step_time

    def write(**facts: Any) -> None:
        print(json.dumps(facts), flush=True)

    asked = json.load(sys.stdin)
    offer_portable(asked["parts"])
    on_gpu = asked["gpu"] and torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    write(device=torch.cuda.get_device_name() if on_gpu else "cpu", threads=torch.get_num_threads())
    for name, recipe in asked["recipes"].items():
        try:
            write(name=name, times=asdict(step_time(Recipe.model_validate(recipe), device)))
        except (InputError, DeviceMemoryError) as error:
            write(name=name, problem=str(error))


if __name__ == "__main__":
    main()
