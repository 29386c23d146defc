"""Commands, files and figures of the README."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SMALLEST = (
    "epochs=1", "ssl.pretrain_epochs=0", "ssl.ramp.epochs=0", "clip.frames=4", "clip.fps=4", "clip.crop=person_box",
    "clip.resize=18", "clip.size=16", "model.width=4", "model.depth=10", "batch.labelled=4", "batch.unlabelled=4",
    "evaluate.clips=1", "seeds=[0]", "tasks=[three_class]", "resources.gpu=0", "resources.cpu=1",
)  # fmt: skip
"""Settings under which a README command ends in seconds."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def shell_lines() -> list[str]:
    return [line.partition(" # ")[0].strip() for block in blocks("bash") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with the two data folders that the README speaks of."""
    from agrm_study.training.data.datasets.synthetic import write_synthetic

    place = tmp_path_factory.mktemp("lab")
    write_synthetic(place / "made", subjects=18, unlabelled=10, seed=0, difficulty="easy", workers=2)
    return place


def test_it_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 150


def test_every_make_target_it_names_exists() -> None:
    named = set(re.findall(r"`?make ([a-z]+)`?", README))
    assert {"demo", "test", "check", "bench"} <= named
    for target in named:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_shell_command_works_in_its_order(folders: Path) -> None:
    commands = [line for line in shell_lines() if line.startswith("agrm-study")]
    assert len(commands) >= 4
    for command in commands:
        command = command.replace("/data/SPWVD", str(folders / "made" / "spwvd"))
        command = command.replace("/data/CASIA-B", str(folders / "made" / "casia_b"))
        words = shlex.split(command)[1:]
        if words[0] == "run":
            words += [word for setting in SMALLEST for word in ("--set", setting)]
        done = subprocess.run(
            [sys.executable, "-m", "agrm_study", *words],
            cwd=folders, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_every_verb_in_its_table_explains_itself() -> None:
    for words in re.findall(r"^\| `agrm-study ([a-z ]+?) [A-Z]", README, flags=re.MULTILINE):
        done = subprocess.run(
            [sys.executable, "-m", "agrm_study", *words.split(), "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, words


def test_the_trainer_alone_trains_with_a_teacher_as_shown(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "your_data.md").read_text(encoding="utf-8")
    (code,) = (b for b in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "fit(" in b)
    opening = 'Recipe(task="three_class", epochs=3, '
    smaller = (
        'clip=dict(frames=4, fps=4, crop="person_box", resize=18, size=16), model=dict(width=4, depth=10), '
        "batch=dict(labelled=4, unlabelled=4), "
    )
    assert opening in code
    code = code.replace(opening, opening + smaller).replace('"cuda"', '"cpu"')
    code = code.replace("data/hybrid/manifest.parquet", str(folders / "made" / "manifest.parquet"))
    monkeypatch.chdir(folders)
    names: dict[str, Any] = {}
    exec(compile(code, "your_data.md", "exec"), names)
    outcome = names["outcome"]
    assert outcome.epochs == 3
    assert {block.network for block in outcome.predictions} == {"student", "teacher"}


def test_the_study_it_shows_is_valid(folders: Path) -> None:
    from agrm_study.study.load import load_study

    (text,) = blocks("yaml")
    (folders / "shown.yaml").write_text(text, encoding="utf-8")
    assert [arm.name for arm in load_study(folders / "shown.yaml").arms] == ["AGRM", "w/o MTM", "w/o SHPM", "w/o both"]


@pytest.mark.parametrize(("study", "table"), [("demo", "ablation"), ("controls", "arms")])
def test_its_tables_are_committed_results(study: str, table: str) -> None:
    shown = README.partition(f"<!-- {study} table -->")[2].partition(f"<!-- /{study} table -->")[0]
    made = (ROOT / "results" / study / "tables" / f"{table}.md").read_text(encoding="utf-8")
    assert [line for line in made.splitlines() if line.startswith("|")] == [
        line for line in shown.splitlines() if line.startswith("|")
    ]


def test_every_file_it_points_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target
