"""What does a shell offer when the tab key is pressed?"""

from __future__ import annotations

from pathlib import Path

from click import Context, Parameter
from click.shell_completion import CompletionItem


def complete_study(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Shipped studies, each with its question, and study files of this folder; else whatever files there are."""
    if "/" in incomplete:
        return [CompletionItem(incomplete, type="file")]
    from agrm_study.study.library import shipped_folders

    shipped = {file.stem: file for folder in reversed(shipped_folders()) for file in folder.glob("*.yaml")}
    items = [
        CompletionItem(name, help=_question(shipped[name])) for name in sorted(shipped) if name.startswith(incomplete)
    ]
    own = sorted({*Path().glob("*.yaml"), *Path().glob("*.yml")})
    items += [CompletionItem(file.name) for file in own if file.name.startswith(incomplete)]
    return items or [CompletionItem(incomplete, type="file")]


def complete_preset(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Presets that are shipped, or lie beside the study file."""
    from agrm_study.study.library import known_parts

    study = context.params.get("study")
    beside = Path(study).parent if study is not None else None
    return [CompletionItem(name) for name in known_parts("presets", beside) if name.startswith(incomplete)]


def complete_results(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Folders under ``results`` that hold a study; else whatever folders there are."""
    found = sorted(str(file.parent) for file in Path("results").glob("*/study.yaml"))
    items = [CompletionItem(folder) for folder in found if folder.startswith(incomplete)]
    return items or [CompletionItem(incomplete, type="dir")]


def _question(file: Path) -> str:
    """The question of a study, read as text: a tab must not wait for a parser."""
    try:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("question:"):
                    return line.partition(":")[2].strip().strip("\"'")
    except OSError:
        pass
    return ""
