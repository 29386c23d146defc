"""The error for a folder that contains no results."""

from __future__ import annotations

from pathlib import Path

from agrm_study.study.errors import InputError

_SHOWN = 4


def no_results(where: str | Path, missing: str) -> InputError:
    """Build the error, which states the problem with the folder and lists folders that contain results.

    Args:
        where: The given local path or URI.
        missing: The file that every results folder contains.
    """
    path = Path(where)
    why = f" (it has no {missing})"
    if "://" not in str(where):
        why = why if path.is_dir() else " (this is a file)" if path.exists() else " (there is no such folder)"
    try:
        known = sorted(str(file.parent) for file in Path("results").glob(f"*/{missing}"))
    except OSError:
        known = []
    more = ", …" if len(known) > _SHOWN else ""
    return InputError(
        f"must be a results folder{why}",
        where=where,
        allowed=f"e.g. {', '.join(known[:_SHOWN])}{more}" if known else None,
        hint="`agrm-study run STUDY --results DIR` creates one.",
    )
