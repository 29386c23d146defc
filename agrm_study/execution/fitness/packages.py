"""Checks of Python and of the packages that a study needs."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from typing import Final

from agrm_study.execution.fitness.finding import Finding, note, ok, problem
from agrm_study.execution.provenance import installed_versions

PYTHON: Final = ((3, 11), (3, 14))
"""Supported versions of Python: minimum (inclusive) and maximum (exclusive)."""
SHOWN: Final = ("torch", "torchvision", "ray", "numpy", "pandas", "pyarrow", "optuna", "av", "decord")
OLDEST_DRIVER: Final = "Install a build of torch for this driver, or a newer driver."


def check_python() -> Iterator[Finding]:
    """Whether the package supports this version of Python."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    oldest, newest = (".".join(str(part) for part in version) for version in PYTHON)
    if PYTHON[0] <= sys.version_info[:2] < PYTHON[1]:
        yield ok("python", f"{found} ({sys.executable})")
    else:
        yield problem("python", found, f"Use Python {oldest} or newer, but older than {newest}.")


def check_packages() -> Iterator[Finding]:
    """Whether a supported version of every required package is installed."""
    wrong = list(unmet_requirements())
    if wrong:
        yield problem("packages", "; ".join(wrong), "Run `pip install --upgrade agrm-study` in this environment.")
        return
    yield ok("packages", ", ".join(f"{name} {version}" for name, version in installed_versions(SHOWN).items()))


def unmet_requirements() -> Iterator[str]:
    """Requirements of this package that this environment does not meet, as text."""
    try:
        requirements = importlib.metadata.requires("agrm-study") or []
    except importlib.metadata.PackageNotFoundError:
        return
    from packaging.requirements import Requirement

    for text in requirements:
        asked = Requirement(text)
        if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(asked.name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{asked.name} is not installed"
            continue
        if not asked.specifier.contains(found, prereleases=True):
            yield f"{asked.name} is {found}; {asked.specifier} is required"


def check_torch() -> Iterator[Finding]:
    """Whether torch works on the CPU and on each GPU."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield problem("torch", f"cannot be imported ({_first_line(error)})", "Reinstall torch in this environment.")
        return
    total = float((torch.ones(8, 8) @ torch.ones(8, 8)).sum())
    if total != 512.0:
        yield problem("torch", f"a product of matrices of ones gave {total:g} instead of 512", "Reinstall torch.")
        return
    yield ok("torch", f"{torch.__version__} works on the CPU")
    yield from _check_gpus()


def _check_gpus() -> Iterator[Finding]:
    import torch

    built_for = torch.version.cuda
    if not torch.cuda.is_available():
        if built_for is None:
            text = "none used: this build of torch supports only CPUs"
        else:
            text = f"none found (torch is built for CUDA {built_for})"
        yield note(
            "gpu",
            text,
            "Studies run with `resources: {cpu: 1, gpu: 0}`; full-size networks need a GPU in practice.",
        )
        return
    for index in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(index)
        try:
            free, whole = torch.cuda.mem_get_info(index)
            with torch.cuda.device(index):
                computed = float((torch.ones(8, 8, device="cuda") @ torch.ones(8, 8, device="cuda")).sum())
        except RuntimeError as error:
            yield problem("gpu", f"{index}: {name}: test computation failed ({_first_line(error)})", OLDEST_DRIVER)
            continue
        text = f"{index}: {name}, {free / 2**30:.0f} of {whole / 2**30:.0f} GiB free, CUDA {built_for}"
        if computed != 512.0:
            yield problem("gpu", f"{text}, gives wrong results", OLDEST_DRIVER)
        elif free < 0.5 * whole:
            yield note("gpu", text, "Other processes use it; trials that need more memory than is free will fail.")
        else:
            yield ok("gpu", text)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return re.sub(r"\s+", " ", lines[0])[:160] if lines else type(error).__name__
