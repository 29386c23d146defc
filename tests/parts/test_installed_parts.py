"""Parts of installed packages are offered to every study through their entry point."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from own_files import PARTS, write_study

import agrm_study as ags


def test_a_package_with_the_entry_point_needs_no_entry_in_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "lab").mkdir(parents=True)
    (site / "lab" / "__init__.py").write_text("")
    (site / "lab" / "parts.py").write_text(PARTS.replace("from widths", "from lab.widths"))
    (site / "lab" / "widths.py").write_text("SCALE = 1\n")
    info = site / "lab-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[agrm_study.parts]\nlab = lab.parts\n")
    value = yaml.safe_load(write_study(tmp_path / "study").read_text())
    del value["parts"]
    with pytest.raises(ags.InputError, match="plain3d"):
        ags.load_study(value)
    monkeypatch.syspath_prepend(str(site))
    study = ags.load_study(value)
    assert {part.written for part in study.parts} == {"lab.parts"}
    assert study.arm("plain").recipe.model.backbone == f"plain3d@{study.parts[0].source}"
    assert set(study.sources[0].files) == {"lab/__init__.py", "lab/parts.py", "lab/widths.py"}
