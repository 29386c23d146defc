"""Files read during execution may have any content: a study still runs, and its status can be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from agrm_study.execution.progress.status import status
from agrm_study.execution.resources.gpu_share import read as measured_before
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.fence import current_fence, raise_fence
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.pruning import ask_to_end, ends_after
from agrm_study.execution.trial.stage_store import StageFacts, StageStore
from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.records.search_log import Proposal, SearchLog
from agrm_study.study.errors import InputError
from agrm_study.study.seeds import Stopped
from agrm_study.study.study import Study

BEAT = Heartbeat(
    trial_id="t", attempt=2, host="h", pid=7, device="cpu", started_at=1e9, updated_at=1e9 + 60, epoch=3, epochs=9,
    metric=0.5, code_version="c",
)  # fmt: skip
NOT_JSON: list[Any] = [b"", b"{", b"\xff\xfe", b"[" * 100_000]
OTHER_JSON: list[Any] = [None, [], 3, "x", [1], {}]


def damaged(good: dict[str, Any], *also: Any) -> list[bytes]:
    """Contents of a file that are no such values: no JSON, other JSON, and each value of another type."""
    found = [*NOT_JSON, *(json.dumps(value).encode() for value in OTHER_JSON)]
    for key, value in good.items():
        wrong = [None, [[1]], 3 if isinstance(value, str | dict) else "x", *also]
        found += [json.dumps(good | {key: other}).encode() for other in wrong]
    return found


def test_a_heartbeat_of_wrong_types_is_none(tmp_path: Path) -> None:
    results = Location.of(tmp_path)
    file = results / ".run" / "heartbeats" / "t.json"
    beat = asdict(BEAT)
    del beat["metric"]  # it may be null, or any number
    for content in damaged(beat, -1e300, 10**30):
        file.write_atomic(content, durable=False)
        assert Heartbeat.read(results, "t") is None, content[:200]
        assert Heartbeat.read_all(results) == []
    BEAT.write(results)
    assert Heartbeat.read(results, "t") == BEAT
    replace(BEAT, metric=float("inf")).write(results)
    assert Heartbeat.read_all(results)[0].metric == float("inf")
    file.write_atomic(json.dumps(asdict(BEAT) | {"of": "a later version"}).encode())
    assert Heartbeat.read(results, "t") == BEAT
    file.write_atomic(json.dumps(beat | {"trial_id": "another"}).encode())
    assert Heartbeat.read(results, "t") is None


def test_logs_of_wrong_types_are_none(tmp_path: Path) -> None:
    results = Location.of(tmp_path)
    stopped = Stopped(arm="A", task="t", n=3, rival="B", pairs=3, difference=0.1, p=0.01, limit=0.02)
    race = RaceLog(study="s", metric="m", first=3, most=9, step=1, level=0.1, looked={"t": 3}, stopped=(stopped,))
    point = Proposal(trial_id="t", arm="A", settings={"a.b": [1, None]}, drawn={"a": 0.5})
    search = SearchLog(
        study="s", task="t", seed=1, trials=3, metric=("m",), directions=("maximize",), to_promote=1, proposals=(point,)
    )
    for log, file in ((race, "race.json"), (search, "search.json")):
        log.write(results)
        assert type(log).read(results) == log
        for content in damaged(json.loads((tmp_path / file).read_text())):
            (results / file).write_atomic(content, durable=False)
            assert type(log).read(results) is None, content[:200]
        (tmp_path / file).unlink()
        (tmp_path / file).mkdir()
        assert type(log).read(results) is None


def test_a_stage_whose_facts_are_damaged_is_not_there(tmp_path: Path) -> None:
    store = StageStore.of(Location.of(tmp_path))
    facts = StageFacts(key="k", epoch=10, wall_s=2.5, code_version="1")
    store.put(facts, lambda folder: None)
    for content in damaged(asdict(facts), -1e300, 10**30):
        (tmp_path / "stages" / "k" / "stage.json").write_bytes(content)
        assert store.find("k") is None, content[:200]


def test_measured_memory_of_wrong_types_is_measured_again(tmp_path: Path) -> None:
    good = {"gpu_memory_version": 1, "gpus": [{"name": "GPU", "total": 10, "peaks": {"k": 3}}]}
    for content in [*damaged(good), json.dumps(good | {"gpus": [{"name": "GPU", "total": 0, "peaks": {}}]}).encode()]:
        (tmp_path / "gpu_memory.json").write_bytes(content)
        assert measured_before(Location.of(tmp_path)) == [], content[:200]


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"1.5", b"9" * 5000, b"\xb2", b"\xff"])
def test_a_request_to_end_that_is_no_epoch_is_none(tmp_path: Path, content: bytes) -> None:
    results = Location.of(tmp_path)
    ask_to_end(results, "t", 12)
    assert ends_after(results, "t") == 12
    (tmp_path / ".run" / "prune" / "t").write_bytes(content)
    assert ends_after(results, "t") is None


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"9" * 5000, b"\xff"])
def test_a_damaged_fence_counts_as_none_and_the_next_driver_writes_it_again(tmp_path: Path, content: bytes) -> None:
    results = Location.of(tmp_path)
    (results / ".run" / "fence").write_atomic(content)
    assert current_fence(results) == 0
    assert [raise_fence(results), raise_fence(results), current_fence(results)] == [1, 2, 2]


def test_a_trial_whose_heartbeat_is_damaged_starts_again_and_the_status_can_be_read(
    make_study: Callable[..., Study], run: Callable[..., RunSummary], results: Path
) -> None:
    study = make_study(arms={"A": 0.5}, seeds=1)
    summary = run(study)
    assert summary.exit_code == 0
    (record,) = (results / "records" / "trials").glob("*.parquet")
    trial_id = record.stem
    for content in (b"[]", json.dumps(asdict(BEAT) | {"trial_id": trial_id, "attempt": "x", "epoch": None}).encode()):
        record.unlink()
        beat = results / ".run" / "heartbeats" / f"{trial_id}.json"
        beat.parent.mkdir(parents=True, exist_ok=True)
        beat.write_bytes(content)
        assert status(results).running == ()
        assert run(study).exit_code == 0
        assert status(results).finished == 1


def test_a_damaged_plan_is_one_message_and_the_next_run_writes_it_again(
    make_study: Callable[..., Study], run: Callable[..., RunSummary], results: Path
) -> None:
    study = make_study(arms={"A": 0.5}, seeds=1)
    run(study)
    good = json.loads((results / "plan.json").read_text())
    del good["study"]  # a name that no reader takes from there
    cells = damaged(good["cells"][0])
    for content in [*damaged(good), *(b'{"plan_version": 1, "cells": [%s]}' % cell for cell in cells if cell)]:
        (results / "plan.json").write_bytes(content)
        with pytest.raises(InputError, match=r"plan\.json"):
            status(results)
    assert run(study).exit_code == 0
    assert status(results).finished == 1
