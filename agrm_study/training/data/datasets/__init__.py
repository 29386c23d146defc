"""Which layouts of videos on disk can be read?"""

from __future__ import annotations

from agrm_study.training.data.datasets.casia_b import CasiaBLayout
from agrm_study.training.data.datasets.folder import FolderLayout
from agrm_study.training.data.datasets.layout import Layout, Options, check_names
from agrm_study.training.data.datasets.manifest_layout import ManifestLayout
from agrm_study.training.data.datasets.spwvd import SpwvdLayout

LAYOUTS: dict[str, Layout] = {
    "spwvd": SpwvdLayout(),
    "casia_b": CasiaBLayout(),
    "folder": FolderLayout(),
    "manifest": ManifestLayout(),
}
"""Layouts by name; each is one file and one line here."""

__all__ = ["LAYOUTS", "Layout", "Options", "check_names"]
