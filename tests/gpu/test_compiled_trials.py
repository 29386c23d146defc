"""Consecutive compiled trials of one worker on a GPU."""

from __future__ import annotations

import pytest

from agrm_study.execution.trial.agrm_runner import AgrmRunner
from agrm_study.training.fit import Training

pytestmark = pytest.mark.gpu


def test_every_trial_of_a_worker_runs_compiled(tiny_data, tiny_recipe, monkeypatch):
    """Without a reset between trials, the networks of later ones count as recompilations and soon run uncompiled."""
    pytest.importorskip("triton", reason="torch.compile needs triton on a GPU")
    import torch._dynamo

    monkeypatch.setattr(torch._dynamo.config, "fail_on_recompile_limit_hit", True)
    for width in (4, 8, 12):
        runner = AgrmRunner()
        runner._training = Training(tiny_recipe(compile=True, model__width=width), **tiny_data.arguments, device="cuda")
        runner.run_epoch()
        runner.close()
