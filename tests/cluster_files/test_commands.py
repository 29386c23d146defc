"""Every command and file mentioned in the launch files and on the cluster page exists."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

from agrm_study.api.names import read_study
from agrm_study.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
FILES = [*sorted(file for file in (ROOT / "cluster").iterdir() if file.is_file()), ROOT / "docs" / "cluster.md"]
VERBS = "|".join(app.commands)
COMMAND = re.compile(rf"(?:^|[\s'`])agrm-study ({VERBS}) +([^`'\n]+)")
SUBMITTED = re.compile(r"sbatch (?:--\S+ )*cluster/slurm(?:_array)?\.sbatch +([^`'\n]+)")


def commands(text: str) -> Iterator[list[str]]:
    """Every command line of agrm-study's that a text shows, in words; what follows a # is a remark."""
    for line in text.splitlines():
        if '"$@"' in line:  # the script's own call, with what it was given
            continue
        for verb, words in COMMAND.findall(line):
            yield [verb, *shlex.split(words.partition(" # ")[0])]
        for words in SUBMITTED.findall(line):
            yield ["run", *shlex.split(words.partition("  #")[0])]


def check(words: list[str]) -> click.Context:
    """Parses a command line as the command itself would, without running it.

    Raises:
        click.UsageError: When a verb or an option does not exist, or a value is none.
    """
    command, name, context = app.commands[words[0]], words[0], None
    while isinstance(command, click.Group):
        name, words = words[1], words[1:]
        command = command.commands[name]
    context = command.make_context(name, list(words[1:]))
    assert isinstance(context, click.Context)
    return context


SHOWN = [(file.name, words) for file in FILES for words in commands(file.read_text(encoding="utf-8"))]


def test_commands_are_found_where_they_should_be() -> None:
    showing = {name for name, _ in SHOWN}
    assert showing >= {
        "Dockerfile", "aws.yaml", "cluster.md", "gcp.yaml", "kuberay-rayjob.yaml", "local.md", "on_premise.yaml",
        "slurm.sbatch", "slurm_array.sbatch",
    }  # fmt: skip


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    (words,) = commands("#   agrm-study run demo --adress auto   # typo")
    with pytest.raises(click.NoSuchOption):
        check(words)


@pytest.mark.parametrize(("file", "words"), SHOWN, ids=[f"{f}: {shlex.join(w)}" for f, w in SHOWN])
def test_every_command_parses(file: str, words: list[str]) -> None:
    asked = check(words).params
    if words[0] in ("run", "plan") and asked["study"].name != "STUDY" and not asked["study"].suffix:
        read_study(asked["study"], asked["overrides"], asked["preset"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_it_names_exists(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for named in re.findall(r"\b(?:cluster|docs|search_spaces|benchmarks|agrm_study)/[\w./-]*\w\.\w+", text):
        assert (ROOT / named).exists(), named
    if file.suffix == ".md":
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert "://" in target or (file.parent / target).exists(), target


@pytest.mark.parametrize("file", [file for file in FILES if file.suffix == ".yaml"], ids=lambda file: file.name)
def test_everything_to_fill_in_is_said_at_the_top(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("#")]
    told = " ".join(head).partition("Fill in")[2]
    body = "\n".join(line for line in lines if not line.startswith("#"))
    asked = set(re.findall(r"YOUR-[A-Z0-9-]+", body))
    assert asked
    assert asked <= set(re.findall(r"YOUR-[A-Z0-9-]+", told))


def test_versions_are_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
    rays = set(re.findall(r"(?:ray\[default\]==|rayVersion: \"|RAY_VERSION=)([\d.]+)", text))
    assert len(rays) == 1
    (ours,) = (Requirement(d) for d in project["dependencies"] if d.startswith("ray["))
    assert rays.pop() in ours.specifier
    versions = set(re.findall(r"agrm_study-([\d.]+)-py3|agrm-study:([\d.]+\d)", text))
    assert {a or b for a, b in versions} == {project["version"]}


def test_every_launch_file_stands_in_the_table() -> None:
    table = (ROOT / "cluster" / "README.md").read_text(encoding="utf-8")
    for file in (ROOT / "cluster").iterdir():
        if file.name != "README.md":
            assert f"]({file.name})" in table, file.name
