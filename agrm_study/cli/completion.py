"""Shell completion of studies, presets, results folders, models and settings."""

from __future__ import annotations

import json
from pathlib import Path

from click import Context, Parameter
from click.shell_completion import CompletionItem


def complete_study(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Shipped studies, each with its question, and study files in the working directory; otherwise all files."""
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
    """Presets that are shipped or stored next to the study file."""
    from agrm_study.study.library import known_parts

    study = context.params.get("study")
    beside = Path(study).parent if study is not None else None
    return [CompletionItem(name) for name in known_parts("presets", beside) if name.startswith(incomplete)]


def complete_results(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Folders that contain a study, under ``results`` or the typed path; otherwise all folders."""
    return _folders_with("study.yaml", incomplete, also=Path("results"))


def complete_model(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Folders that contain an exported model; otherwise all folders."""
    return _folders_with("recipe.json", incomplete)


def complete_setting(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """``name=`` of settings with this prefix; after ``=``, the setting's values or its default."""
    from agrm_study.api.names import known_names
    from agrm_study.study.settings import choices_of, default_of, known_settings

    typed, given, value = incomplete.partition("=")
    names = [name for name in known_settings() if (name == typed if given else name.startswith(typed))]
    if len(names) != 1:
        return [CompletionItem(f"{name}=") for name in names]
    [name] = names
    values = list(known_names().get(name, ())) or choices_of(name) or [json.dumps(default_of(name))]
    return [CompletionItem(f"{name}={each}") for each in values if each.startswith(value)]


def complete_setting_name(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of settings."""
    from agrm_study.study.settings import known_settings

    return [CompletionItem(name) for name in known_settings() if name.startswith(incomplete)]


def _folders_with(file: str, incomplete: str, *, also: Path | None = None) -> list[CompletionItem]:
    """Folders at the typed path (and in an additional folder) that contain the given file."""
    beside = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    places = dict.fromkeys([beside, *([also] if also is not None else [])])
    try:
        found = sorted({str(path.parent) for place in places for path in place.glob(f"*/{file}")})
    except OSError:  # an unreadable folder yields no completions
        found = []
    items = [CompletionItem(folder) for folder in found if folder.startswith(incomplete)]
    return items or [CompletionItem(incomplete, type="dir")]


def _question(file: Path) -> str:
    """The question of a study, read as plain text, since parsing YAML would delay completion."""
    try:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("question:"):
                    return line.partition(":")[2].strip().strip("\"'")
    except OSError:
        pass
    return ""
