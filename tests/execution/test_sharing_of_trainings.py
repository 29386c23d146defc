"""Training runs that share their first epochs leave, bit for bit, the records of runs that share nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_run_inline import Watcher

from agrm_study.api.planning import plan_study
from agrm_study.execution.options import RunOptions
from agrm_study.execution.run import run_study
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.records.reader import Ledger
from agrm_study.study.load import load_study

NOT_COMPARED = ["wall_s", "clips_per_s", "started_at", "host", "attempt", "row_digest"]
STUDY: dict[str, Any] = {
    "name": "shared",
    "tasks": ["three_class"],
    "seeds": [0],
    "data": {
        "synthetic": {"subjects": 18, "unlabelled": 8, "seed": 0, "difficulty": "easy"},
        "unlabelled_train": 6,
        "unlabelled_val": 2,
    },
    "set": {
        "epochs": 4,
        "clip": {"frames": 4, "fps": 4.1667, "crop": "person_box", "resize": 20, "size": 16},
        "model": {"width": 4, "depth": 10},
        "ssl": {"pretrain_epochs": 2, "ramp": {"epochs": 1}, "ema": {"alpha": 0.5}, "threshold": {"tau": 0.34}},
        "optimizer.lr": 1e-2,
        "batch": {"labelled": 4, "unlabelled": 4},
        "early_stop.patience": 1000,
        "evaluate.clips": 2,
    },
    "resources": {"cpu": 1, "gpu": 0},
}
ARMS = {
    "AGRM": {},
    "w/o MTM": {"ssl.method": "supervised"},
    "τ": {"ssl.threshold.tau": 0.4},
    "α": {"ssl.ema.alpha": 0.9},
    "ramp": {"ssl.ramp.epochs": 2, "early_stop.armed_after": 3},
    "FreeMatch": {"ssl.threshold.policy": "freematch"},
    "rounds": {"ssl.pseudo.mode": "rounds", "ssl.pseudo.round_epochs": 1},
    "FixMatch": {"ssl.method": "fixmatch", "ssl.threshold.policy": "flexmatch"},
    "student": {"evaluate.network": "student"},
}

Run = Callable[..., RunSummary]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos and clip store, made once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def train(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs arms (or a grid) of the study inline into a folder of that name."""
    monkeypatch.setenv("AGRM_STUDY_CACHE", str(data))

    def train(name: str, *, sharing: bool | str, view: Any = None, set: Any = None, **asked: Any) -> RunSummary:
        content = STUDY | asked | {"sharing": sharing, "set": STUDY["set"] | (set or {})}
        if "arms" in asked:
            content["arms"] = [{"name": arm, "set": settings} for arm, settings in asked["arms"].items()]
        file = tmp_path / f"{name}.yaml"
        file.write_text(json.dumps(content))
        options = RunOptions(results=tmp_path / name, executor="inline", checkpoint_every_s=0.0, workers=1)
        return run_study(load_study(file), options, view=view)

    return train


def records(results: Path) -> dict[str, pd.DataFrame]:
    ledger = Ledger(results)
    found = {
        "trials": ledger.trials().drop(columns=NOT_COMPARED),
        "epochs": ledger.epochs(),
        "predictions": ledger.predictions().assign(logits=lambda rows: rows["logits"].map(bytes)),
    }
    assert not ledger.problems
    return found


def assert_same(one: Path, other: Path) -> None:
    expected = records(other)
    for kind, rows in records(one).items():
        assert len(rows)
        pd.testing.assert_frame_equal(rows, expected[kind], check_exact=True)


def weights(results: Path) -> dict[str, bytes]:
    """What the best weights hold, but for the header that names the trial."""
    from safetensors.torch import load_file

    found = {}
    for file in sorted((results / "checkpoints").glob("*/best.safetensors")):
        tensors = load_file(file)
        found[file.parent.name] = b"".join(name.encode() + tensors[name].numpy().tobytes() for name in sorted(tensors))
    return found


FEW = {arm: ARMS[arm] for arm in ("AGRM", "w/o MTM", "τ", "α")}


@pytest.mark.parametrize("arms", [FEW, pytest.param(ARMS, marks=pytest.mark.slow)], ids=["few", "every kind"])
def test_arms_that_part_after_pretraining_leave_the_records_of_arms_trained_alone(
    train: Run, tmp_path: Path, arms: dict[str, Any]
) -> None:
    alone = train("alone", sharing=False, arms=arms)
    watcher = Watcher()
    shared = train("shared", sharing=True, arms=arms, view=watcher)
    assert (alone.exit_code, shared.exit_code) == (0, 0), (alone.failed, shared.failed)
    assert_same(tmp_path / "shared", tmp_path / "alone")
    assert weights(tmp_path / "shared") == weights(tmp_path / "alone")
    assert shared.inherited >= 2 * (len(arms) - 1)
    assert alone.inherited == 0
    assert sum(event.kind == "epoch" or event.kind == "finished" for event in watcher.events) < 4 * len(arms)
    assert not (tmp_path / "shared" / "stages").exists()


def test_a_longer_training_goes_on_where_the_shorter_one_ends(train: Run, tmp_path: Path) -> None:
    grid = {"epochs": [3, 4], "ssl.threshold.tau": [0.34, 0.4]}
    train("alone", sharing=False, grid=grid)
    shared = train("shared", sharing=True, grid=grid)
    assert_same(tmp_path / "shared", tmp_path / "alone")
    assert shared.inherited == 2 + 3 + 3  # of 14 epochs; one pre-training, and twice the first three


def test_a_training_that_stops_early_does_so_for_all_that_share_the_stage(train: Run, tmp_path: Path) -> None:
    asked = {
        "grid": {"epochs": [30, 40, 50]},
        "set": {"early_stop.patience": 2, "early_stop.armed_after": 3, "ssl.method": "supervised"},
    }
    train("alone", sharing=False, **asked)
    shared = train("shared", sharing=True, **asked)
    assert_same(tmp_path / "shared", tmp_path / "alone")
    ended = records(tmp_path / "alone")["trials"]
    assert set(ended["stop_reason"]) == {"early_stop"}
    assert shared.inherited == 2 * ended["epochs"].iloc[0]


def test_a_stage_that_is_lost_half_way_is_trained_again(train: Run, tmp_path: Path) -> None:
    arms = dict(list(ARMS.items())[:3])

    def lose(event: TrialEvent) -> None:
        if event.kind == "finished":
            shutil.rmtree(tmp_path / "shared" / "stages", ignore_errors=True)

    train("alone", sharing=False, arms=arms)
    shared = train("shared", sharing=True, arms=arms, view=Watcher(lose))
    assert_same(tmp_path / "shared", tmp_path / "alone")
    assert shared.inherited == 0


def test_a_stage_that_is_damaged_is_removed_and_trained_again(train: Run, tmp_path: Path) -> None:
    arms = dict(list(ARMS.items())[:3])
    damaged: list[Path] = []

    def damage(event: TrialEvent) -> None:
        if event.saved_stage and not damaged:
            damaged.append(tmp_path / "shared" / "stages" / event.saved_stage / "rolling.pt")
            damaged[0].write_bytes(damaged[0].read_bytes()[:-100])

    train("alone", sharing=False, arms=arms)
    shared = train("shared", sharing=True, arms=arms, view=Watcher(damage))
    assert_same(tmp_path / "shared", tmp_path / "alone")
    assert damaged
    assert shared.inherited == 2  # the second trial trains the stage anew, the third takes that over


@pytest.mark.parametrize("at", [(1, 2), (1, 3), (2, 4)], ids=["leader in the stage", "leader beyond", "follower"])
def test_a_study_that_was_interrupted_goes_on_to_the_same_records(
    train: Run, tmp_path: Path, at: tuple[int, int]
) -> None:
    arms = dict(list(ARMS.items())[:3])
    trial, epoch = at
    started: list[str] = []

    def interrupt(event: TrialEvent) -> None:
        if event.kind == "started":
            started.append(event.trial_id)
        if event.kind == "epoch" and len(started) == trial and event.epoch == epoch - 1:
            os.kill(os.getpid(), signal.SIGINT)

    train("alone", sharing=False, arms=arms)
    assert train("shared", sharing=True, arms=arms, view=Watcher(interrupt)).exit_code == 130
    assert train("shared", sharing=True, arms=arms).exit_code == 0
    assert_same(tmp_path / "shared", tmp_path / "alone")
    assert not (tmp_path / "shared" / "stages").exists()


def test_kept_states_let_a_wider_and_longer_study_go_on(train: Run, tmp_path: Path) -> None:
    train("shared", sharing="keep", grid={"ssl.threshold.tau": [0.34]}, set={"epochs": 3})
    kept = {file.name for file in (tmp_path / "shared" / "stages").iterdir()}
    assert len(kept) == 2  # at the end of its pre-training, and its last
    wider = train("shared", sharing="keep", grid={"ssl.threshold.tau": [0.34, 0.4]})
    assert wider.inherited == 3 + 2
    train("alone", sharing=False, grid={"ssl.threshold.tau": [0.34]}, set={"epochs": 3})
    train("alone", sharing=False, grid={"ssl.threshold.tau": [0.34, 0.4]})
    assert_same(tmp_path / "shared", tmp_path / "alone")


def sentences(results: Path, name: str) -> list[str]:
    """The notes of `plan` on the study file of a name and its results folder."""
    return [note for note in plan_study(load_study(results / f"{name}.yaml"), results / name).notes if "→" in note]


def test_more_epochs_continue_trials_of_every_kind_to_the_records_of_a_longer_run(train: Run, tmp_path: Path) -> None:
    arms = {arm: ARMS[arm] for arm in ("AGRM", "w/o MTM", "FreeMatch")}
    shorter, longer = {"epochs": 3}, {"epochs": 6}
    train("kept", sharing="keep", arms=arms, set=shorter)
    went_on = train("kept", sharing="keep", arms=arms, set=longer)
    assert went_on.inherited == 3 * 3
    train("alone", sharing=False, arms=arms, set=shorter)
    train("alone", sharing=False, arms=arms, set=longer)
    assert_same(tmp_path / "kept", tmp_path / "alone")
    assert weights(tmp_path / "kept") == weights(tmp_path / "alone")


def test_a_plateau_that_has_halved_the_rate_is_continued_too(train: Run, tmp_path: Path) -> None:
    arms = {"w/o MTM": {**ARMS["w/o MTM"], "optimizer.plateau_patience": 1}}
    train("kept", sharing="keep", arms=arms, set={"epochs": 5})
    assert train("kept", sharing="keep", arms=arms, set={"epochs": 9}).inherited == 5
    train("alone", sharing=False, arms=arms, set={"epochs": 5})
    train("alone", sharing=False, arms=arms, set={"epochs": 9})
    assert_same(tmp_path / "kept", tmp_path / "alone")
    rates = Ledger(tmp_path / "alone").epochs()["lr"].dropna()
    assert rates.nunique() > 1


def test_trials_that_stopped_early_stay_ended_when_epochs_are_raised(train: Run, tmp_path: Path) -> None:
    early = {"early_stop.patience": 2, "early_stop.armed_after": 3, "ssl.method": "supervised"}
    arms: dict[str, Any] = {"AGRM": {}}
    train("kept", sharing="keep", arms=arms, set=early | {"epochs": 30})
    [ended] = Ledger(tmp_path / "kept").trials()["epochs"]
    assert ended < 30
    watcher = Watcher()
    assert train("kept", sharing="keep", arms=arms, set=early | {"epochs": 40}, view=watcher).inherited == ended
    assert [event.kind for event in watcher.events] == ["started", "finished"]
    trials = Ledger(tmp_path / "kept").trials()
    assert set(trials["stop_reason"]) == {"early_stop"}
    assert set(trials["epochs"]) == {ended}
    train("alone", sharing=False, arms=arms, set=early | {"epochs": 30})
    train("alone", sharing=False, arms=arms, set=early | {"epochs": 40})
    assert_same(tmp_path / "kept", tmp_path / "alone")


def test_a_cosine_schedule_is_trained_from_epoch_1_and_plan_says_why(train: Run, tmp_path: Path) -> None:
    cosine = {"optimizer.schedule": "cosine"}
    arms: dict[str, Any] = {"w/o MTM": ARMS["w/o MTM"]}
    train("kept", sharing="keep", arms=arms, set=cosine | {"epochs": 3})
    content = json.loads((tmp_path / "kept.yaml").read_text())
    content["set"]["epochs"] = 4
    (tmp_path / "kept.yaml").write_text(json.dumps(content))
    [note] = sentences(tmp_path, "kept")
    assert note == (
        "epochs 3 → 4: trials that start from epoch 1 although shorter ones have finished: 1, because their learning "
        "rate depends on `epochs` (`optimizer.schedule: cosine`)."
    )
    assert train("kept", sharing="keep", arms=arms, set=cosine | {"epochs": 4}).inherited == 0


@pytest.mark.parametrize("sharing", [True, "keep"])
def test_plan_says_whether_states_were_kept_to_continue_from(train: Run, tmp_path: Path, sharing: bool | str) -> None:
    arms: dict[str, Any] = {"AGRM": {}, "w/o MTM": ARMS["w/o MTM"]}
    train("kept", sharing=sharing, arms=arms, set={"epochs": 3})
    assert sentences(tmp_path, "kept") == []
    content = json.loads((tmp_path / "kept.yaml").read_text())
    content["set"]["epochs"] = 5
    (tmp_path / "kept.yaml").write_text(json.dumps(content))
    [note] = sentences(tmp_path, "kept")
    if sharing == "keep":
        assert note == "epochs 3 → 5: trials that resume from saved states of finished ones: 2."
    else:
        assert note == (
            "epochs 3 → 5: trials that start from epoch 1 although shorter ones have finished: 2, because no states "
            "of these trials were saved (`sharing: keep` saves the states of later trials)."
        )
