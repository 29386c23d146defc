"""The software can be cited, and its changelog describes this version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agrm_study import __version__

ROOT = Path(__file__).resolve().parents[2]
LICENSE_OF_PACKAGE = "Apache-2.0"


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return found


def test_the_citation_has_the_keys_that_cff_1_2_requires(citation: dict[str, Any]) -> None:
    """https://github.com/citation-file-format/citation-file-format/blob/1.2.0/schema-guide.md"""
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    allowed = {
        "cff-version", "message", "title", "authors", "type", "version", "license", "abstract", "keywords",
        "references", "date-released", "repository-code", "url", "doi", "identifiers", "preferred-citation", "contact",
    }  # fmt: skip
    assert set(citation) <= allowed
    assert citation["type"] == "software"
    for author in citation["authors"]:
        assert "name" in author or {"family-names", "given-names"} <= set(author)


def test_it_names_this_version_and_its_license(citation: dict[str, Any]) -> None:
    assert citation["version"] == __version__
    assert citation["license"] == LICENSE_OF_PACKAGE


def test_it_refers_to_the_paper(citation: dict[str, Any]) -> None:
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= set(paper)
    assert [author["family-names"] for author in paper["authors"]] == ["Song", "Qian", "Tang"]
    assert (paper["journal"], paper["volume"], paper["issue"], paper["year"]) == ("Bioengineering", 13, "3", 2026)


def test_the_changelog_has_this_version_in_the_form_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "keepachangelog.com" in text
    sections = re.findall(r"^## \[([^\]]+)\] - (unreleased|\d{4}-\d{2}-\d{2})$", text, flags=re.MULTILINE)
    assert sections[0][0] == __version__
    kinds = set(re.findall(r"^### (.+)$", text, flags=re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
