"""Fenced commands of the README and the documentation: each is run by a test, or listed with the reason why not."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from synthetic_records import ABLATION, write_results

from agrm_study.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    page: (ROOT / page).read_text(encoding="utf-8")
    for page in (
        "README.md",
        "cluster/local.md",
        *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
    )
}

RUN_HERE = (
    "docs/tutorial.md", "docs/editor.md", "docs/planning.md", "docs/folds.md", "docs/tuning.md", "cluster/local.md",
)  # fmt: skip
RUN_ELSEWHERE = {
    "README.md": "tests/test_readme.py",
    "docs/your_data.md": "tests/docs/test_your_data.py",
    "docs/your_classes.md": "tests/docs/test_your_classes.py",
    "docs/your_own.md": "tests/docs/test_your_own.py",
    "docs/submission.md": "tests/docs/test_submission.py",
    "docs/evaluation.md": "tests/docs/test_evaluation.py",
}
"""Pages whose `agrm-study` commands another test runs in their order (that of your_own.md in part from Python)."""

NOT_RUN = {
    r"^git clone ": "downloads the repository",
    r"^source \.venv/": "activates the environment that tests already run in",
    r"^make ": "test_readme.py looks the targets up; test_demo.py runs what `make demo` runs",
    r"^python3? -m (venv|pip) ": "installs or builds packages",
    r"^python tools/floors\.py ": "builds environments; see tests/tools",
    r"^python benchmarks/": "measures for minutes",
    r" --address auto| (s3|gs)://": "needs a cluster or a bucket; see tests/cluster",
    r" --for | --gpu-hours ": "take hours; see tests/execution/test_budget.py",
    r" --set sharing=keep": "trains for hours; see tests/execution/test_sharing_of_trainings.py",
    r"^agrm-study run .* --join --results /shared/": "needs storage that machines share; see test_joined_runs.py",
    r"^agrm-study status /shared/": "status of a local folder is run for the tour",
}
"""Commands that no test runs as printed, and why; `test_pages.py` still checks their verbs and options."""

SMALLER = """
data: {synthetic: {subjects: 60, unlabelled: 12, seed: 0, difficulty: easy}, unlabelled_train: 8, unlabelled_val: 4}
seeds: [0, 1]
set:
  epochs: 3
  clip: {frames: 4, fps: 4.1667, crop: person_box, resize: 18, size: 16}
  model: {width: 4, depth: 10}
  ssl: {pretrain_epochs: 1, ramp: {epochs: 1}}
  batch: {labelled: 8, unlabelled: 8}
  evaluate.clips: 1
"""
"""What makes the demo end in a minute."""


def lines(page: str) -> list[str]:
    """Commands of a page's shell blocks, without comments, in their order."""
    found = re.findall(r"^```bash\n(.*?)^```", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    stripped = [line.partition(" # ")[0].strip() for block in found for line in block.splitlines()]
    return [line for line in stripped if line]


def reason_not_to_run(line: str) -> str | None:
    return next((pattern for pattern in NOT_RUN if re.search(pattern, line)), None)


def in_shell(line: str, folder: Path, *, timeout_s: float = 1200) -> subprocess.CompletedProcess[str]:
    """Runs a command in bash as a reader does, with `agrm-study` of this checkout on the path."""
    place = folder / ".bin"
    place.mkdir(exist_ok=True)
    command = place / "agrm-study"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m agrm_study "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=timeout_s,
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_every_fenced_command_is_run_by_a_test_or_listed_with_a_reason(page: str) -> None:
    for line in lines(page):
        run = page in RUN_HERE or (page in RUN_ELSEWHERE and line.startswith("agrm-study "))
        assert run or reason_not_to_run(line), line


def test_no_reason_is_left_over_and_every_page_that_is_run_has_commands() -> None:
    every = [line for page in PAGES for line in lines(page)]
    for pattern in NOT_RUN:
        assert any(re.search(pattern, line) for line in every), pattern
    for page in (*RUN_HERE, *RUN_ELSEWHERE):
        assert [line for line in lines(page) if reason_not_to_run(line) is None], page


def test_the_commands_of_the_editor_page_work(tmp_path: Path) -> None:
    for line in lines("docs/editor.md"):
        done = in_shell(line, tmp_path)
        assert done.returncode == 0, (line, done.stderr)
    assert (tmp_path / "study.schema.json").is_file()


def test_the_commands_of_the_planning_page_work(tmp_path: Path) -> None:
    for line in lines("docs/planning.md"):
        done = in_shell(line, tmp_path)
        assert done.returncode == 0, (line, done.stderr)
        assert "3.0 points are detected with" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/folds.md", "docs/tuning.md"])
def test_the_commands_of_the_pages_on_folds_and_tuning_work(tmp_path: Path, page: str) -> None:
    for line in lines(page):
        done = in_shell(line, tmp_path)
        assert done.returncode == 0, (line, done.stderr)


def test_the_commands_for_one_machine_work_up_to_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agrm_study.training.data.datasets.synthetic import write_synthetic

    write_synthetic(tmp_path / "data" / "hybrid", subjects=18, unlabelled=8, seed=0, difficulty="easy", workers=1)
    monkeypatch.chdir(tmp_path)
    for line in lines("cluster/local.md"):
        words = shlex.split(re.sub(r"^CUDA_VISIBLE_DEVICES=\S+ | --slots \d+", "", line))[1:]
        words[0] = {"run": "plan"}.get(words[0], words[0])
        if words[0] == "watch":
            write_results(tmp_path / "results" / "ablation", ABLATION, subjects=12, epochs=2)
        done = CliRunner().invoke(app, words)
        allowed = (0, 1) if words[0] == "doctor" else (0, None)  # doctor may find a problem of this machine
        assert done.exit_code in allowed, (line, done.output, done.exception)


def test_the_arms_with_kinds_of_gpu_are_valid(tmp_path: Path) -> None:
    from agrm_study.study.load import load_study

    (shown,) = re.findall(r"^```yaml\n(.*?)^```", PAGES["docs/cluster.md"], flags=re.DOTALL | re.MULTILINE)
    head = "name: s\ntasks: [three_class]\nseeds: [0]\ndata: {synthetic: {subjects: 18}}\n"
    (tmp_path / "s.yaml").write_text(head + shown, encoding="utf-8")
    assert [arm.name for arm in load_study(tmp_path / "s.yaml").arms] == ["AGRM", "deep"]


@pytest.mark.slow
def test_the_tour_works_as_printed_on_a_smaller_demo(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "search_spaces", tmp_path / "search_spaces")
    demo = tmp_path / "search_spaces" / "demo.yaml"
    study = yaml.safe_load(demo.read_text(encoding="utf-8"))
    demo.write_text(yaml.safe_dump(study | yaml.safe_load(SMALLER), sort_keys=False), encoding="utf-8")
    (arm,) = re.findall(r"^```yaml\n(.*?)^```", PAGES["docs/tutorial.md"], flags=re.DOTALL | re.MULTILINE)
    for line in lines("docs/tutorial.md"):
        if reason_not_to_run(line) is not None:
            continue
        done = in_shell(line, tmp_path)
        if "--to tensorboard" in line and importlib.util.find_spec("tensorboard") is None:
            assert done.returncode == 2
            assert "pip install 'agrm-study[tensorboard]'" in done.stderr
            continue
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        if line.startswith("cp "):
            more = yaml.safe_load((tmp_path / "more.yaml").read_text(encoding="utf-8"))
            more["arms"] += yaml.safe_load(arm)
            (tmp_path / "more.yaml").write_text(yaml.safe_dump(more, sort_keys=False), encoding="utf-8")
        if line == "agrm-study plan more.yaml":
            assert "10 trials, 2 to run" in done.stdout
    assert (tmp_path / "results" / "demo" / "report.html").is_file()
    assert (tmp_path / "model" / "recipe.json").is_file() or list((tmp_path / "model").glob("*.safetensors"))
