"""A TeX engine, for tests of LaTeX output."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_tex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX engine (pdflatex) on this machine")


def run_tex(folder: Path, name: str, *options: str, engine: str = "pdflatex") -> subprocess.CompletedProcess[str]:
    """One run of an engine over ``name.tex``, which stops at the first error."""
    return subprocess.run(
        [engine, *options, "-halt-on-error", "-interaction=nonstopmode", f"{name}.tex"],
        cwd=folder, capture_output=True, text=True, errors="replace", timeout=180, check=False,
    )  # fmt: skip
