"""Invalid command lines: one message that states what to do, exit code 2, and no traceback."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agrm_study.cli.app import _storage_error, main

READERS = (
    ("status",), ("watch", "--once"), ("report",), ("compare", "--by", "ssl.method"), ("explain", "--arm", "AGRM"),
    ("export", "--out", "model"), ("log", "--to", "optuna"),
)  # fmt: skip


@dataclass
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def agrm_study(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command as it is typed in that folder, in this process: the messages of its entry point."""

    def call(*words: str) -> Done:
        monkeypatch.chdir(place)
        monkeypatch.setattr(sys, "argv", ["agrm-study", *words])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return Done(int(end.value.code or 0), said.out, said.err)

    return call


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what people point at by mistake, and one results folder of another version."""
    folder = tmp_path_factory.mktemp("clumsy")
    (folder / "empty").mkdir()
    (folder / "file.txt").write_text("hello\n")
    for name, content in (("old", b"schema_version: 99\n"), ("binary", bytes(range(128, 256)))):
        (folder / "results" / name).mkdir(parents=True)
        (folder / "results" / name / "study.yaml").write_bytes(content)
        (folder / "results" / name / "plan.json").write_text("{")
    return folder


@pytest.mark.parametrize("verb", READERS, ids=lambda words: words[0])
def test_a_folder_without_results_is_told_with_folders_that_have_some(
    agrm_study: Callable[..., Done], verb: tuple[str, ...]
) -> None:
    done = agrm_study(verb[0], "empty", *verb[1:])
    assert done.code == 2
    [message] = done.err.strip().splitlines()
    assert "must be a results folder (it has no " in message
    assert "results/binary, results/old" in message
    assert "agrm-study run" in message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("report nowhere", "there is no such folder"),
        ("status file.txt", "this is a file"),
        ("report results/old", "has a different schema version"),
        ("log results/old --to optuna", "has a different schema version"),
        ("export results/binary --out m", "not UTF-8 text"),
        ("status results/old", "has a different schema version"),
        ("compare results/old --by nope", "is not a setting"),
        ("run ablatoin", "Did you mean `ablation`?"),
        ("run demo --results file.txt", "must be writable"),
        ("run ablation --notify 'no-such-program x'", "does not exist"),
        ("run ablation --set epochs=-1", "must be at least 1"),
        ("run ablation --log tensorbord", "is not one of"),
        ("predict nowhere x.mp4", "agrm-study export"),
        ("predict empty x.mp4", "agrm-study export"),
        ("data check nowhere", "agrm-study data index"),
        ("data synth made --subjects -4", "is not in the range"),
    ],
)
def test_a_slip_is_one_message_and_exit_code_two(agrm_study: Callable[..., Done], words: str, said: str) -> None:
    done = agrm_study(*shlex.split(words))
    assert done.code == 2, done.err
    assert said in done.err
    assert "Traceback" not in done.err + done.out


def test_a_path_that_the_disk_refuses_is_no_fault_of_ours(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError) as refused:  # noqa: PT011 - any of them
        (place / "file.txt" / "inside").mkdir()
    assert _storage_error(refused.value) == 2
    assert "file.txt/inside: not a directory. Check the path" in capsys.readouterr().err
    assert _storage_error(OSError("When listing objects: AWS Error ACCESS_DENIED during ListObjectsV2: no")) == 2
    assert "the object store cannot be used: When listing objects: AWS Error ACCESS_DENIED" in capsys.readouterr().err
    assert _storage_error(ValueError("ours")) == 0
    assert _storage_error(FileNotFoundError(2, "No such file or directory", "ours")) == 0
