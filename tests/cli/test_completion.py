"""Shell completion: its suggestions, and the modules that it does not import."""

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


def offered(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What click offers for the last word, whatever the shell."""
    from click.shell_completion import BashComplete

    from agrm_study.cli.app import app

    monkeypatch.chdir(folder)
    found = BashComplete(app, {}, "agrm-study", "_X").get_completions(words[:-1], words[-1])
    return [item.value if item.type == "plain" else f"{item.type}:{item.value}" for item in found]


@pytest.mark.parametrize("verb", ["status", "watch", "report", "compare", "explain", "export", "log", "clean"])
def test_every_verb_that_reads_results_offers_their_folders(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("results/demo", "results/empty", "elsewhere/old"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("results/demo", "elsewhere/old"):
        (tmp_path / name / "study.yaml").touch()
    assert offered([verb, ""], tmp_path, monkeypatch) == ["results/demo"]
    assert offered([verb, "elsewhere/"], tmp_path, monkeypatch) == ["elsewhere/old"]
    assert offered([verb, "nowhere"], tmp_path, monkeypatch) == ["dir:nowhere"]


def test_a_model_folder_is_one_that_was_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "model" / "recipe.json").touch()
    assert offered(["predict", ""], tmp_path, monkeypatch) == ["model"]


def test_settings_are_offered_by_name_and_then_with_their_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(word: str) -> list[str]:
        return offered(["run", "ablation", "--set", word], tmp_path, monkeypatch)

    assert settings("ssl.ema.") == ["ssl.ema.alpha=", "ssl.ema.memory_epochs=", "ssl.ema.buffers=", "ssl.ema.warmup="]
    assert settings("ssl.ema.b") == ["ssl.ema.buffers=average", "ssl.ema.buffers=copy", "ssl.ema.buffers=own"]
    assert settings("ssl.ema.w") == ["ssl.ema.warmup=true", "ssl.ema.warmup=false"]
    assert settings("ssl.ema.alpha") == ["ssl.ema.alpha=0.99"]
    assert settings("ssl.ema.buffers=c") == ["ssl.ema.buffers=copy"]
    assert "model.backbone=uniformer_s" in settings("model.backbone=")
    assert settings("no.such") == []


@pytest.mark.parametrize(
    ("shell", "environment", "offers"),
    [
        ("bash", {"COMP_WORDS": "agrm-study wat", "COMP_CWORD": "1"}, "plain,watch"),
        ("zsh", {"COMP_WORDS": "agrm-study wat", "COMP_CWORD": "1"}, "plain\nwatch\nWatch a study as it runs"),
        ("fish", {"COMP_WORDS": "agrm-study wat", "COMP_CWORD": "wat"}, "watch\tWatch a study as it runs"),
    ],
)
def test_bash_zsh_and_fish_are_served(
    shell: str, environment: dict[str, str], offers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.shell_completion import get_completion_class

    from agrm_study.cli.app import app

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    kind = get_completion_class(shell)
    assert kind is not None
    completion = kind(app, {}, "agrm-study", "_AGRM_STUDY_COMPLETE")
    assert "_AGRM_STUDY_COMPLETE" in completion.source()
    assert offers in completion.complete()
