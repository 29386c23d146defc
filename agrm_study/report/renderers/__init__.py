"""Registry of the output formats of tables."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from agrm_study.report.renderers import csv, docx, html, latex, markdown
from agrm_study.report.table import Table

RENDERERS: dict[str, Callable[[Table], str | bytes]] = {
    "md": markdown.render,
    "tex": latex.render,
    "csv": csv.render,
    "html": html.render,
    "docx": docx.render,
}
"""Renderers by file suffix."""


def available() -> tuple[str, ...]:
    """Formats whose dependencies are installed; docx is optional."""
    return tuple(name for name in RENDERERS if name != "docx" or find_spec("docx") is not None)
