"""Provenance of results: versions of code and packages, hardware, data fingerprints."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import psutil

import agrm_study
from agrm_study.plan.source_hash import source_hash

_PACKAGE: Final = Path(agrm_study.__file__).resolve().parent
AFTER_TRAINING: Final = ("kept_network.py",)
"""Modules of `training` that only load networks of finished trials."""
_PACKAGES: Final = (
    "torch", "torchvision", "ray", "numpy", "pandas", "pyarrow", "pydantic", "scikit-learn", "scipy",
    "statsmodels", "opencv-python-headless", "decord", "av", "safetensors", "optuna",
)  # fmt: skip
STUDY_MODULES: Final = ("recipe.py", "*_settings.py", "steps.py", "tasks.py", "labels.py", "section.py")
"""Modules of `study` that training uses: the settings, steps per epoch, and classes by label."""


@lru_cache(maxsize=1)
def code_version() -> str:
    """Version and hash of the code that determines a trial's outcome: `training` and the parts of `study` it uses.

    Readers of data sets are excluded, since the data fingerprint covers their output, as is code that only loads the
    networks of finished trials. Comments, docstrings and formatting are not hashed, so editing them does not invalidate
    records; uncommitted code changes are hashed. Results of different versions are never combined in a table.
    """
    training = (
        file
        for file in (_PACKAGE / "training").rglob("*.py")
        if "datasets" not in file.parts and file.name not in AFTER_TRAINING
    )
    study = (file for name in STUDY_MODULES for file in (_PACKAGE / "study").glob(name))
    return f"{agrm_study.__version__}+{source_hash(_PACKAGE, [*training, *study])[:12]}"


def provenance(fingerprints: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The content of `provenance.json`, with the data and split fingerprints of each manifest."""
    return {
        "schema_version": 1,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_version": code_version(),
        "git": git_state(),
        "python": sys.version.split()[0],
        "packages": dict(packages()),
        "hardware": hardware(),
        "data": {name: dict(values) for name, values in fingerprints.items()},
    }


@lru_cache(maxsize=1)
def packages() -> Mapping[str, str]:
    """Versions of the relevant packages, and under ``lock`` a hash of all installed packages.

    Read once per process, since reading the metadata of a few hundred packages takes a second.
    """
    installed = sorted(
        {f"{d.metadata['Name']}=={d.version}" for d in importlib.metadata.distributions() if d.metadata["Name"]}
    )
    lock = hashlib.sha256("\n".join(installed).encode()).hexdigest()[:16]
    return installed_versions(_PACKAGES) | {"lock": lock}


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of the given packages that are installed."""
    found = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def hardware() -> dict[str, Any]:
    """Processor, memory and GPUs of this machine."""
    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": available_cpus(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": _gpus(),
    }


def available_cpus() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def git_state() -> dict[str, Any] | None:
    """Commit, and a hash of uncommitted changes if there are any; ``None`` outside a Git checkout of this package."""
    commit = _output("git", "rev-parse", "HEAD")
    tracked = _output("git", "ls-files", "--error-unmatch", "__init__.py")
    if commit is None or tracked is None:
        return None
    changed = _output("git", "diff", "HEAD", "--no-ext-diff", "--", ".") or ""
    untracked = _output("git", "ls-files", "--others", "--exclude-standard", "--", ".") or ""
    dirty = hashlib.sha256(changed.encode())
    for name in untracked.split():
        dirty.update(name.encode() + b"\0" + (_PACKAGE / name).read_bytes())
    return {"commit": commit.strip(), "dirty": dirty.hexdigest()[:16] if changed or untracked else None}


def _output(*command: str) -> str | None:
    """The output of a program on the user's path; ``None`` if the program fails."""
    try:
        done = subprocess.run(command, cwd=_PACKAGE, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    lines = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader") or ""
    return [line.strip() for line in lines.splitlines() if line.strip()]
