"""Checkpoints are written atomically, refused if they belong to a different trial, and survive kills."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from agrm_study.training import checkpoint
from agrm_study.training.checkpoint import BEST, ROLLING, drop_rolling, load_checkpoint, save_checkpoint, trial_identity
from agrm_study.training.failures import CheckpointError, DeviceMemoryError, NanLossError


def save(folder: Path, epoch: int, *, best_epoch: int = 0, best: bool = False, identity: str = "me") -> None:
    weights = {"student.w": torch.full((2,), float(best_epoch))} if best else None
    save_checkpoint(folder, identity, {"epoch": epoch}, best_epoch=best_epoch, best=weights)


def load(folder: Path) -> tuple[int, float | None]:
    found = load_checkpoint(folder, "me")
    assert found is not None
    state, best = found
    return state["epoch"], best["student.w"][0].item() if best else None


def test_a_folder_without_a_checkpoint_has_none(tmp_path):
    assert load_checkpoint(tmp_path, "me") is None


def test_state_and_best_weights_come_back_and_only_two_files_are_kept(tmp_path):
    save(tmp_path, 1, best_epoch=1, best=True)
    save(tmp_path, 2, best_epoch=1)
    save(tmp_path, 3, best_epoch=3, best=True)
    assert load(tmp_path) == (3, 3.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [BEST, ROLLING]


def test_another_trials_checkpoint_is_refused(tmp_path):
    save(tmp_path, 1, identity="somebody else")
    with pytest.raises(CheckpointError, match=r"rolling\.pt: the checkpoint belongs to a different trial"):
        load_checkpoint(tmp_path, "me")


def test_another_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    save(tmp_path, 1)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="must have format 1, found 99"):
        load_checkpoint(tmp_path, "me")


def test_a_truncated_checkpoint_is_refused(tmp_path):
    save(tmp_path, 1)
    path = tmp_path / ROLLING
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path, "me")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    torch.save({"format": 1, "identity": "me", "best_epoch": 0, "state": Path("/")}, tmp_path / ROLLING)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path, "me")


def test_missing_best_weights_are_refused(tmp_path):
    save(tmp_path, 1, best_epoch=1, best=True)
    (tmp_path / BEST).unlink()
    with pytest.raises(CheckpointError, match=r"the best weights \(epoch 1\) are missing"):
        load_checkpoint(tmp_path, "me")


@pytest.mark.parametrize("moment", range(3))
def test_a_kill_between_any_two_renames_leaves_a_checkpoint_with_its_own_best_weights(tmp_path, monkeypatch, moment):
    """A save with a new best renames three files; it is stopped before each of them."""
    save(tmp_path, 1, best_epoch=1, best=True)
    renames = 0
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        nonlocal renames
        renames += target.parent == tmp_path
        if renames == moment + 1:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 2, best_epoch=2, best=True)
    monkeypatch.undo()
    assert load(tmp_path) == ((2, 2.0) if moment == 2 else (1, 1.0))
    save(tmp_path, 3, best_epoch=3, best=True)
    assert load(tmp_path) == (3, 3.0)


def test_a_finished_trial_keeps_its_best_weights_only(tmp_path):
    save(tmp_path, 1, best_epoch=1, best=True)
    drop_rolling(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [BEST]


def test_the_identity_follows_settings_and_data_but_not_where_files_lie(tiny_recipe):
    one = trial_identity(tiny_recipe(data__manifest="a.csv"), "data", "split")
    assert one == trial_identity(tiny_recipe(data__manifest="elsewhere/b.csv"), "data", "split")
    assert one != trial_identity(tiny_recipe(seed=1), "data", "split")
    assert one != trial_identity(tiny_recipe(), "other data", "split")
    assert one != trial_identity(tiny_recipe(), "data", "other split")


@pytest.mark.parametrize(
    "error",
    [
        NanLossError(3, 7, {"loss_supervised": float("nan")}),
        DeviceMemoryError("cuda", "NVIDIA X", 2**31, "16 clips"),
        CheckpointError("rolling.pt", "is damaged"),
    ],
)
def test_failures_survive_the_way_between_processes(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.failure == error.failure
    assert copy.facts.keys() == error.facts.keys()
