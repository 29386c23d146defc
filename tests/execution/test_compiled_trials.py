"""Compiled networks of a warm worker: each trial begins with an empty cache of torch's compiler."""

from __future__ import annotations

import pytest
import torch
from tiny_training import tiny_data, tiny_recipe

from agrm_study.execution.trial.agrm_runner import AgrmRunner
from agrm_study.training.loop import Training

__all__ = ["tiny_data", "tiny_recipe"]


@pytest.mark.parametrize("compiled", [False, True])
def test_the_compiler_is_reset_when_a_compiled_trial_is_closed(tiny_data, tiny_recipe, monkeypatch, compiled) -> None:
    resets: list[bool] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(True))
    runner = AgrmRunner()
    runner._training = Training(tiny_recipe(compile=compiled), **tiny_data.arguments)
    runner.close()
    assert len(resets) == compiled
