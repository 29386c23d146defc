"""Which layouts of videos on disk can be read?

A layout is one new file and one line here; `tests/conformance/test_layouts.py` runs over this dictionary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agrm_study.training.registry import resolve

if TYPE_CHECKING:
    from agrm_study.training.data.datasets.layout import Layout

__all__ = ["LAYOUTS", "layout_of"]

_HERE = "agrm_study.training.data.datasets"

LAYOUTS: dict[str, str] = {
    "spwvd": f"{_HERE}.spwvd:SpwvdLayout",
    "casia_b": f"{_HERE}.casia_b:CasiaBLayout",
    "folder": f"{_HERE}.folder:FolderLayout",
    "manifest": f"{_HERE}.manifest_layout:ManifestLayout",
}
"""Name of a layout → `module:Class`; strings, so that reading the names imports no decoder. `--layout` takes a hyphen
where a name has an underscore."""


def layout_of(name: str) -> Layout:
    """The layout of that name.

    Raises:
        InputError: Unknown name; the message lists the known ones.
    """
    layout: Layout = resolve(LAYOUTS, name, kind="layouts", field="--layout")()
    return layout
