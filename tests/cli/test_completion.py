"""What does the tab key offer, and without loading anything heavy?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def complete(words: str, folder: Path) -> list[str]:
    """What bash is told for a command line whose last word is being typed."""
    done = subprocess.run(
        [sys.executable, "-c", "from agrm_study.cli import main\nimport sys\nsys.argv[0] = 'agrm-study'\nmain()"],
        env=os.environ
        | {
            "_AGRM_STUDY_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.split()


def test_verbs_are_completed(tmp_path: Path) -> None:
    assert complete("agrm-study wa", tmp_path) == ["plain,watch"]


def test_a_study_is_a_shipped_one_or_a_file_of_this_folder(tmp_path: Path) -> None:
    (tmp_path / "abc.yaml").touch()
    assert complete("agrm-study run ab", tmp_path) == ["plain,ablation", "plain,abc.yaml"]


def test_anything_else_is_left_to_the_shells_own_files(tmp_path: Path) -> None:
    assert complete("agrm-study plan search_spaces/ab", tmp_path) == ["file,search_spaces/ab"]


def test_presets_are_completed(tmp_path: Path) -> None:
    assert complete("agrm-study run ablation --preset t", tmp_path) == ["plain,tiny"]


def test_results_folders_are_those_that_hold_a_study(tmp_path: Path) -> None:
    for name in ("demo", "other"):
        (tmp_path / "results" / name).mkdir(parents=True)
    (tmp_path / "results" / "demo" / "study.yaml").touch()
    assert complete("agrm-study watch r", tmp_path) == ["plain,results/demo"]


@pytest.mark.parametrize("words", ["'run', 'a'", "'run', 'x', '--preset', ''"])
def test_it_loads_neither_torch_nor_pydantic(words: str) -> None:
    code = (
        "import sys\nfrom click.shell_completion import BashComplete\nfrom agrm_study.cli.app import app\n"
        f"args = [{words}]\n"
        "BashComplete(app, {}, 'agrm-study', '_X').get_completions(args[:-1], args[-1])\n"
        "print(sorted({'torch', 'ray', 'pandas', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
