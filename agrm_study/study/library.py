"""Shipped studies, base recipes and presets. Imports are minimal, so that shell completion is fast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agrm_study.study.errors import InputError, did_you_mean

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped_folders() -> tuple[Path, ...]:
    """Folders with shipped studies: in the installed package, or next to it in a checkout."""
    return tuple(
        folder for folder in (_PACKAGE / "_search_spaces", _PACKAGE.parent / "search_spaces") if folder.is_dir()
    )


def find_study(path: str | Path) -> Path:
    """The study file for a path or the name of a shipped study (``ablation``).

    Raises:
        InputError: If there is no such study; the message lists the shipped names.
    """
    given = Path(path)
    if given.is_file():
        return given
    shipped = {file.stem: file for folder in reversed(shipped_folders()) for file in folder.glob("*.yaml")}
    if given.parent == Path() and given.stem in shipped and given.suffix in ("", ".yaml"):
        return shipped[given.stem]
    if given.is_dir():
        raise InputError("is a folder; specify a study file", where=given)
    raise InputError(
        "there is no such study file",
        where=given,
        allowed=f"a file or a shipped study: {', '.join(sorted(shipped))}",
        hint=did_you_mean(given.stem, shipped),
    )


def known_parts(kind: str, beside: Path | None) -> list[str]:
    """Names of base recipes (``kind`` is ``base``) or presets (``presets``), shipped or next to a study file."""
    return sorted({path.stem for folder in part_folders(kind, beside) for path in folder.glob("*.yaml")})


def part_folders(kind: str, beside: Path | None) -> Sequence[Path]:
    """Folders that may contain base recipes (``kind`` is ``base``) or presets (``presets``), in search order."""
    own = () if beside is None else (beside / kind,)
    return (*own, *(folder / kind for folder in shipped_folders()))
