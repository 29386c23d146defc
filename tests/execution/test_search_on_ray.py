"""A search on Ray Tune equals an inline search, prunes between epochs, and survives a killed worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_run_inline import Watcher
from test_search import drawn, searched

from agrm_study.execution.progress.status import status
from agrm_study.execution.summary import RunSummary
from agrm_study.study.study import Study

pytest.importorskip("ray")

PRUNER = {"name": "asha", "grace_epochs": 1, "reduction_factor": 3}


def test_one_slot_on_ray_draws_and_prunes_what_inline_does_also_when_a_worker_dies(
    search_of: Callable[..., Study],
    run: Callable[..., RunSummary],
    results: Path,
    script: Callable[..., None],
    tmp_path: Path,
) -> None:
    study = search_of(trials=7, promote=1, sampler="tpe", pruner=PRUNER)
    inline = tmp_path / "inline"
    inline.mkdir()
    (inline / "script.json").write_text('{"*": {"epochs": 4}}')
    run(study, results=inline, runner="search_runner:SearchRunner")
    killed = searched(inline).set_index("stop_reason").loc["epochs", "arm"].iloc[-1]
    script(**{"*": {"epochs": 4}, killed: {"epochs": 4, "fail": "kill", "at": 3, "times": 1, "seeds": [1000]}})
    watcher = Watcher()
    summary = run(study, executor="ray", slots=1, view=watcher, results=results, runner="search_runner:SearchRunner")
    assert (summary.exit_code, summary.total) == (0, 7 + 2 * 2), summary.failed
    assert [e.kind for e in watcher.events].count("retried") == 1
    assert drawn(results) == drawn(inline)
    columns = ["trial_id", "epochs", "stop_reason", "status"]
    assert searched(results)[columns].equals(searched(inline)[columns])
    assert (searched(results)["stop_reason"] == "pruned").any()
    found = status(results)
    assert found.search is not None
    assert (found.total, found.finished, found.search.waiting, found.search.to_promote) == (11, 11, 0, 0)
