"""`doctor` finds problems that would stop a study and states how to fix them."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from agrm_study.cli.app import app
from agrm_study.execution.fitness import machine, packages, storage
from agrm_study.execution.fitness.finding import Finding
from agrm_study.execution.fitness.video import check_video
from agrm_study.execution.resources.memory import MemoryUse


def levels(findings: Iterator[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


def test_this_machine_is_fit_and_nothing_is_left_behind(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", str(tmp_path / "results"), "--json"], standalone_mode=False)
    said = json.loads(done.stdout)
    found = {finding["check"]: finding for finding in said["findings"]}
    assert {"python", "packages", "torch", "video mp4", "video avi", "results folder", "space for stores"} <= set(found)
    assert found["video mp4"]["level"] == found["python"]["level"] == found["results folder"]["level"] == "ok"
    assert said["fit"] == (done.return_value == 0)
    assert list(tmp_path.iterdir()) == []


def test_every_finding_that_is_a_problem_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, ["doctor", str(tmp_path / "file")], standalone_mode=False)
    assert done.return_value == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("problem")]
    assert "is a file -> Choose a different folder." in line


def test_both_decoders_read_the_video_that_was_drawn(tmp_path: Path) -> None:
    found = list(check_video(tmp_path))
    assert [(f.check, f.level) for f in found] == [("video mp4", "ok"), ("video avi", "ok")], found
    assert all("decord and pyav" in f.text for f in found)


def test_a_decoder_that_gives_wrong_frames_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agrm_study.execution.fitness.video.WIDEST_ERROR", -1.0)
    assert set(levels(check_video(tmp_path)).values()) == {"problem"}


def test_a_disk_without_room_is_a_problem_and_a_small_one_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 10**8

    monkeypatch.setattr("shutil.disk_usage", lambda place: Usage)
    found = levels(storage.check_storage(tmp_path))
    assert found["space for results"] == found["space for stores"] == "problem"
    Usage.free = 5 * 10**8
    assert levels(storage.check_storage(tmp_path))["space for results"] == "note"


def test_the_limit_of_open_files_is_judged_by_what_it_can_be_raised_to(monkeypatch: pytest.MonkeyPatch) -> None:
    for limits, level in (((512, 512), "problem"), ((1024, 9999), "note"), ((65536, 65536), "ok")):
        monkeypatch.setattr(resource, "getrlimit", lambda which, limits=limits: limits)
        assert levels(machine.check_open_files()) == {"open files": level}


def test_a_container_counts_with_its_own_limits(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert machine.cgroup_processors(tmp_path) == 1.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.cgroup_processors(tmp_path) is None


@pytest.mark.parametrize(("limit", "used", "level"), [(64, 8, "ok"), (3, 0.5, "note"), (64, 63, "problem")])
def test_memory_is_judged_by_the_limit_that_leaves_the_least(
    monkeypatch: pytest.MonkeyPatch, limit: int, used: float, level: str
) -> None:
    gib = 2**30
    uses = [MemoryUse("machine", 256 * gib, 0), MemoryUse("container", limit * gib, int(used * gib))]
    monkeypatch.setattr(machine, "memory_uses", lambda: uses)
    assert levels(machine.check_memory()) == {"memory": level}


def test_requirements_that_are_not_met_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["numpy>=999", "no-such-package>=1", "pandas>=1", 'docx>=1; extra == "docx"']
    monkeypatch.setattr("importlib.metadata.requires", lambda name: asked)
    first, second = packages.unmet_requirements()
    assert first.startswith("numpy is ")
    assert first.endswith("; >=999 is required")
    assert second == "no-such-package is not installed"
