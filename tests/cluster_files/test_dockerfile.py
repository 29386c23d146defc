"""The image follows good practice: a pinned base, an ordinary user, packages only from the package index."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def instructions() -> list[tuple[str, str]]:
    """Instructions in their order, continued lines joined."""
    text = (ROOT / "cluster" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2]) for line in lines]


def test_its_base_is_pinned_by_a_tag(instructions: list[tuple[str, str]]) -> None:
    arguments = dict(words.split("=", 1) for name, words in instructions if name == "ARG")
    bases = [words for name, words in instructions if name == "FROM"]
    assert bases == ["${BASE}"]
    image, _, tag = arguments["BASE"].partition(":")
    assert image
    assert re.fullmatch(r"3\.1[123][\w.-]*", tag)  # a Python that the package accepts


def test_nothing_is_fetched_but_packages(instructions: list[tuple[str, str]]) -> None:
    assert not [words for name, words in instructions if name == "ADD"]
    for name, words in instructions:
        if name == "RUN":
            assert not re.search(r"\b(curl|wget|apt-get|apt|git|conda)\b", words), words


def test_pip_leaves_no_cache_behind(instructions: list[tuple[str, str]]) -> None:
    calls = [call for name, words in instructions if name == "RUN" for call in re.findall(r"pip install[^&]*", words)]
    assert calls
    assert all("--no-cache-dir" in call for call in calls)


def test_it_ends_as_an_ordinary_user_in_a_folder_that_any_other_can_use_too(
    instructions: list[tuple[str, str]],
) -> None:
    last = dict(instructions)
    (made,) = (words for name, words in instructions if name == "RUN" and words.startswith("useradd"))
    assert last["USER"] == "study"
    assert "--uid 1000" in made
    assert " study && chmod 1777 /home/study" in made
    assert last["WORKDIR"] == "/home/study"
    assert "HOME=/home/study" in last["ENV"].split()
    names = [name for name, _ in instructions]
    assert "RUN" not in names[names.index("USER") :]


def test_what_it_copies_is_there_and_reaches_the_builder(instructions: list[tuple[str, str]]) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    copied = [source for name, words in instructions if name == "COPY" for source in words.split()[:-1]]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in let_through), source
