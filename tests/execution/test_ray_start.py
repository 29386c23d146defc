"""Obstacles to starting a local Ray instance are found beforehand, by `doctor` and by a run, with a remedy."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest

from agrm_study.execution.driver.session import ray_session
from agrm_study.execution.fitness import machine
from agrm_study.execution.fitness.machine import check_ray_start
from agrm_study.execution.resources import ray_folder
from agrm_study.execution.resources.capacity import Placement
from agrm_study.study.errors import InputError


def problems() -> dict[str, str]:
    return {found.check: f"{found.text} -> {found.advice}" for found in check_ray_start() if found.level == "problem"}


def test_this_machine_can_start_ray_and_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="a", dir="/tmp") as place:
        monkeypatch.setattr(ray_folder, "places", lambda: [Path(place)])
        found = list(check_ray_start())
        assert [(each.check, each.level) for each in found] == [
            (c, "ok") for c in ("ray folder", "loopback", "threads")
        ]
        assert place in found[0].text
        assert list(Path(place).iterdir()) == []


def test_each_place_without_room_for_sockets_is_named_and_no_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    long = Path("/" + "x" * 60)
    monkeypatch.setattr(ray_folder, "places", lambda: [long, Path("/nowhere")])
    (text,) = problems().values()
    assert f"{long} is too long for socket names (61 of at most 21 bytes)" in text
    assert "/nowhere cannot be used (No such file or directory)" in text
    assert "Set RAY_TMPDIR to a writable folder on a local disk, of at most 21 characters." in text
    with (
        pytest.raises(InputError, match="Ray cannot start on this machine: no location for Ray's sockets"),
        ray_session(Placement(slots=1)),
    ):
        pass


def test_a_loopback_interface_that_is_down_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(address: tuple[str, int]) -> socket.socket:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_server", down)
    assert problems() == {
        "loopback": "127.0.0.1 cannot be used (Network is unreachable) -> Bring the interface up: `ip link set lo up`."
    }


def test_a_limit_of_threads_that_leaves_too_few_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pids.max").write_text("500\n")
    (tmp_path / "pids.current").write_text("480\n")
    (limit,) = [each for each in machine._thread_limits(tmp_path) if each[0] != "ulimit -u"]
    assert limit == ("limit of the container", 500, 480)
    (tmp_path / "pids.max").write_text("max\n")
    assert [each[0] for each in machine._thread_limits(tmp_path) if each[0] != "ulimit -u"] == []
    monkeypatch.setattr(machine, "_thread_limits", lambda: [limit])
    assert problems()["threads"].startswith("20 more may be started (limit of the container) -> Ray needs 400")
