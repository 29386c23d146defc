"""Registry of data set layouts.

To add a layout, write a module and add an entry to `_SHIPPED`; `tests/conformance/test_layouts.py` tests every entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agrm_study.study.parts.registry import Registry

if TYPE_CHECKING:
    from agrm_study.training.data.datasets.layout import Layout

__all__ = ["LAYOUTS", "layout_of"]

_HERE = "agrm_study.training.data.datasets"

_SHIPPED: dict[str, str] = {
    "spwvd": f"{_HERE}.spwvd:SpwvdLayout",
    "casia_b": f"{_HERE}.casia_b:CasiaBLayout",
    "gavd": f"{_HERE}.gavd:GavdLayout",
    "folder": f"{_HERE}.folder:FolderLayout",
    "manifest": f"{_HERE}.manifest_layout:ManifestLayout",
}
LAYOUTS = Registry("layout", _SHIPPED)
"""Layout name → `module:Class`, as strings so that listing the names does not import any decoder. The command-line
option `--layout` uses hyphens instead of underscores."""


def layout_of(name: str) -> Layout:
    """The layout with the given name.

    Raises:
        InputError: If the name is unknown; the message lists the known names.
    """
    layout: Layout = LAYOUTS.load(name)()
    return layout
