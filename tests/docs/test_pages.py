"""The documentation builds without a warning, and its statements about the code are checked against the code."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from synthetic_records import ABLATION, write_results

from agrm_study.api.names import read_study
from agrm_study.cli.app import app
from agrm_study.execution.trial.failures import DETERMINISTIC, FAILURE_CLASSES
from agrm_study.records.schemas import SCHEMAS
from agrm_study.report.figures import FIGURES
from agrm_study.study.settings import default_of, known_settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
READABLE = PAGES | {"README.md": (ROOT / "README.md").read_text(encoding="utf-8")}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page, flags=re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """Every `agrm-study …` of a page's shell blocks and of its running text."""
    lines = [line.partition(" # ")[0].strip() for block in blocks(page, "bash") for line in block.splitlines()]
    inline = re.findall(r"`(agrm-study [^`]+)`", page)
    return [line for line in lines if line.startswith("agrm-study ")] + inline


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("html")
    words = ["-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(out / "trees"), "-b", "html", str(DOCS), str(out)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return out


def test_the_pages_are_built_with_warnings_as_errors_and_ask_nothing_of_the_network(html: Path) -> None:
    for page in PAGES:
        text = (html / page).with_suffix(".html").read_text(encoding="utf-8")
        assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]+\.(?:js|css|png|svg|woff2?)', text), page
        assert "<!-- generated" not in text


def test_the_commands_page_names_every_verb_and_every_option(html: Path) -> None:
    text = (html / "commands.html").read_text(encoding="utf-8")

    def check(command: click.Command, names: tuple[str, ...]) -> None:
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                check(inner, (*names, name))
            return
        assert f"agrm-study {' '.join(names)}" in text
        for parameter in command.params:
            for option in parameter.opts if isinstance(parameter, click.Option) else ():
                assert option in text, (names, option)

    check(app, ())


def test_the_study_file_page_names_every_setting(html: Path) -> None:
    text = (html / "study_file.html").read_text(encoding="utf-8")
    for name in known_settings():
        assert f">{name.rpartition('.')[2]}<" in text, name


@pytest.mark.parametrize("page", READABLE)
def test_every_command_is_one_that_the_program_understands(page: str) -> None:
    for line in commands(READABLE[page]):
        words = [word for word in shlex.split(line)[1:] if word != "…"]
        command: click.Command = app
        context = click.Context(app, info_name="agrm-study")
        while isinstance(command, click.Group) and words:
            if words[0] in ("--help", "--version"):
                break
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        if not words or isinstance(command, click.Group):
            continue
        words = ["folder" if word == "tagged" else word for word in words]  # the layout that your_own.md adds
        with contextlib.suppress(click.MissingParameter):  # a verb may be named without all it needs
            command.make_context(command.name, words, parent=context)


def test_the_protocol_page_states_the_defaults_of_the_code() -> None:
    rows = re.findall(r"^\|[^|]*\| `([a-z_.]+)` \| `([^`]+)` \|", PAGES["protocol.md"], flags=re.MULTILINE)
    assert len(rows) > 55
    for name, shown in rows:
        value: Any = yaml.safe_load(re.sub(r"^(\d+)e(-?\d+)$", r"\1.0e\2", shown))
        default = 0 if name == "split_seed" else default_of(name)
        assert value == default, name


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_data_dictionary_has_every_column_with_its_type_and_meaning(kind: str) -> None:
    (section,) = re.findall(rf"^## {kind}\n(.*?)(?=^## )", PAGES["records.md"], flags=re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]*)\| ([^|]*)\|$", section, flags=re.MULTILINE)
    # Arrow calls the item of a list by a name that its own file formats do not keep.
    types = {field.name: re.sub(r"<\w+: ", "<", str(field.type)) for field in SCHEMAS[kind]}
    assert {name: type_.strip() for name, type_, _, _ in rows} == types
    assert all(meaning.strip() or unit.strip() for _, _, unit, meaning in rows)


def test_the_records_are_read_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1]").replace("[two_class, three_class]", "[three_class]")
    write_results(tmp_path / "results" / "demo", study, subjects=12, epochs=3)
    monkeypatch.chdir(tmp_path)
    first, second = blocks(PAGES["records.md"], "python")
    exec(compile(first, "records.md", "exec"), {})
    assert "w/o both" in capsys.readouterr().out
    exec(compile(second, "records.md", "exec"), {})
    assert "12" in capsys.readouterr().out


def test_the_failure_classes_are_all_explained_and_those_that_wait_are_named() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (yes|no) \| [^|]+ \|$", PAGES["errors.md"], flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(FAILURE_CLASSES)
    assert {name for name, next_ in rows if next_ == "no"} == DETERMINISTIC


def test_every_figure_has_a_picture_and_says_how_to_read_it() -> None:
    for name in FIGURES:
        _, heading, rest = PAGES["figures.md"].partition(f"\n### {name.replace('_', '-')}\n")
        section = re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]
        assert heading, name
        assert re.search(rf"!\[[^\]]+\]\([^)]*{name}\.png\)", section), name
        assert "*Reading" in section, name


def test_the_study_shown_is_valid_and_so_are_its_grid_its_search_and_its_tasks(tmp_path: Path) -> None:
    whole, grid, search, tune, tasks = (yaml.safe_load(block) for block in blocks(PAGES["study_file.md"], "yaml"))
    rest = {key: value for key, value in whole.items() if key not in ("arms", "reference")}
    for varies in (whole, whole | tasks, whole | tune, rest | grid, rest | search | {"tasks": ["three_class"]}):
        (tmp_path / "s.yaml").write_text(yaml.safe_dump(varies, sort_keys=False), encoding="utf-8")
        assert read_study(tmp_path / "s.yaml", (), None).base.epochs == 60
