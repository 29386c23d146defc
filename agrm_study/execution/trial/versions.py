"""Comparison of software versions between machines, since results of different versions are not comparable.

A cluster is checked before the first trial. If a node joins later or code is edited during the run, the affected worker
detects the difference before it trains.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from agrm_study.execution.provenance import code_version, installed_versions

PACKAGES: Final = (
    "agrm-study",
    "ray",
    "torch",
    "torchvision",
    "numpy",
    "pyarrow",
    "opencv-python-headless",
    "av",
    "decord",
)
"""Packages whose versions must be equal on all machines where they are installed."""
CODE: Final = "training code"
THREADS: Final = "threads"


class DifferentVersionsError(RuntimeError):
    """A worker must not train because its versions differ from the versions at the start of the study."""

    failure: Final = "versions"


@lru_cache(maxsize=1)
def own_versions() -> dict[str, str]:
    """Versions in this process: ``python``, the installed packages, and ``training code``."""
    return {"python": platform.python_version(), **installed_versions(PACKAGES), CODE: code_version()}


def versions_of_trial(earlier: Mapping[str, Sequence[str]], threads: int) -> dict[str, list[str]]:
    """Versions with which a trial is trained, by package, and its ``threads``; the code version is stored separately.

    Args:
        earlier: The versions of the attempt from whose checkpoint the trial is resumed; they come first.
        threads: Threads of the trial; a different number changes the summation order, so results are not bit-identical.
    """
    own = {name: version for name, version in own_versions().items() if name != CODE} | {THREADS: str(threads)}
    names = dict.fromkeys([*earlier, *own])
    return {n: list(dict.fromkeys([*earlier.get(n, ()), *([own[n]] if n in own else [])])) for n in names}


def difference(given: Mapping[str, str], allowed: Mapping[str, str]) -> tuple[str, str]:
    """Differences as text: the given and the allowed versions; both empty if there are none.

    A package missing on one side is not a difference, nor is a different build (``+cu128``), which depends on the GPU.
    """
    names = [name for name in given if name in allowed and _comparable(name, given) != _comparable(name, allowed)]
    return ", ".join(f"{n} {given[n]}" for n in names), ", ".join(f"{n} {allowed[n]}" for n in names)


def refuse_others(allowed: Mapping[str, str]) -> None:
    """Raises `DifferentVersionsError` if this process runs versions different from the allowed ones."""
    here, there = difference(own_versions(), allowed)
    if here:
        raise DifferentVersionsError(f"{here} on {platform.node()}, but the study was started with {there}")


def _comparable(name: str, versions: Mapping[str, str]) -> str:
    """A version without its build suffix; for the training code, its hash."""
    return versions[name] if name == CODE else versions[name].partition("+")[0]
