"""Ray's private folder: short enough for its sockets, inaccessible to others, removed only after its owner ended."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from agrm_study.execution.resources import ray_folder as module
from agrm_study.execution.resources.ray_folder import (
    PREFIX,
    NoRayFolder,
    make_ray_folder,
    new_token,
    places,
    ray_folder,
    remove_abandoned_rays,
    unfit,
)
from agrm_study.study.temporary import OWNER


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place for a private folder; short, as tests have long temporary folders."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="a", dir="/tmp") as name:
        monkeypatch.setattr(module, "places", lambda: [Path(name)])
        yield Path(name)


def test_a_folder_and_its_token_are_closed_to_others_and_removed(place: Path) -> None:
    with ray_folder() as folder:
        assert folder.parent == place
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        token = new_token(folder)
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert len(token.read_text()) == 64
        (folder / "ray").mkdir()
    assert list(place.iterdir()) == []


def test_the_users_places_come_first_then_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/scratch/a")
    monkeypatch.setenv("TMPDIR", "relative/is/left/out")
    assert places()[:2] == [Path("/scratch/a"), Path("/tmp")]


def test_each_place_that_is_not_fit_has_its_reason(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unfit(place) == ""
    assert "too long for socket names" in unfit(Path("/" + "x" * 40))
    assert "No such file" in unfit(Path("/nowhere"))
    (place / "f").touch()
    assert unfit(place / "f") == "is not a folder"
    place.chmod(0o777)
    assert "other users" in unfit(place)
    place.chmod(0o1777)
    assert unfit(place) == ""
    monkeypatch.setattr(module, "LEAST_FREE_BYTES", 2**62)
    assert "MiB free" in unfit(place)
    with pytest.raises(NoRayFolder, match="MiB free"):
        make_ray_folder()


def test_the_longest_name_of_a_socket_is_just_short_enough(place: Path) -> None:
    import socket

    longest = next(n for n in range(1, 60) if unfit(Path("/" + n * "x")).startswith("is too long")) - 1
    path = "/" + longest * "x" + f"/{PREFIX}{8 * 'x'}" + module.LONGEST_SOCKET
    assert len(path) == 107
    with socket.socket(socket.AF_UNIX) as tried:
        with pytest.raises(FileNotFoundError):
            tried.bind(path)
        with pytest.raises(OSError, match="too long"):
            tried.bind(path + "x")


def test_folders_of_owners_that_have_ended_are_removed_and_no_others(place: Path) -> None:
    with ray_folder() as lives:
        script = (
            "import os, sys; from pathlib import Path; from agrm_study.execution.resources import ray_folder as m\n"
            f"m.places = lambda: [Path({str(place)!r})]\n"
            "context = m.ray_folder(); folder = context.__enter__(); print(folder, flush=True)\n"
            "import subprocess\n"
            "left = dict(os.environ, RAY_TMPDIR=str(folder))\n"
            "print(subprocess.Popen(['sleep', '60'], env=left, stdout=-3, stderr=-3).pid, flush=True)\n"
            "os._exit(9)"
        )
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
        first, pid = run.stdout.split()
        left = Path(first)
        assert (left / OWNER).exists(), run.stderr
        new = place / f"{PREFIX}just-made"
        new.mkdir()
        old = place / f"{PREFIX}old"
        old.mkdir()
        long_ago = time.time() - 3600
        os.utime(old, (long_ago, long_ago))
        elsewhere = place / "elsewhere"
        elsewhere.mkdir()
        (place / f"{PREFIX}link").symlink_to(elsewhere)
        remove_abandoned_rays()
        assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
        remaining = {path.name for path in place.iterdir()}
        assert remaining == {lives.name, new.name, "elsewhere", f"{PREFIX}link"}


def test_a_folder_that_its_owner_removes_meanwhile_is_nothing_to_remove(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([self / f"{PREFIX}gone"]))
    remove_abandoned_rays()
    assert list(place.iterdir()) == []
