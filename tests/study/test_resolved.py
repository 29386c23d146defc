"""The study file stored with the results contains everything that a report requires."""

from __future__ import annotations

from pathlib import Path

import pytest

from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.resolved import RESOLVED_VERSION, read_resolved, study_to_dict, write_resolved

SHIPPED = Path(__file__).parents[2] / "search_spaces"


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.yaml")))
@pytest.mark.parametrize("preset", [None, "tiny"])
def test_a_resolved_study_is_read_back_as_it_was(name: str, preset: str | None, tmp_path: Path) -> None:
    study = load_study(SHIPPED / f"{name}.yaml", preset=preset)
    write_resolved(study, tmp_path / "study.yaml")
    assert read_resolved(tmp_path / "study.yaml") == study
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_the_accelerators_of_arms_are_kept_and_are_no_part_of_their_recipes(tmp_path: Path) -> None:
    file = tmp_path / "pinned.yaml"
    text = (SHIPPED / "demo.yaml").read_text()
    entry = "  - {name: AGRM}\n"
    assert entry in text
    file.write_text(text.replace(entry, "  - {name: AGRM, resources: {accelerator: A100}}\n"))
    plain = load_study(SHIPPED / "demo.yaml")
    study = load_study(file, overrides=["resources.accelerator=T4"])
    assert [arm.accelerator for arm in study.arms] == ["A100"] + [None] * (len(study.arms) - 1)
    assert [arm.recipe for arm in study.arms] == [arm.recipe for arm in plain.arms]
    write_resolved(study, tmp_path / "study.yaml")
    assert read_resolved(tmp_path / "study.yaml") == study


def test_every_setting_is_stated(tmp_path: Path) -> None:
    study = load_study(SHIPPED / "demo.yaml")
    assert study_to_dict(study)["base"] == study.base.settings()
    assert study_to_dict(study)["schema_version"] == RESOLVED_VERSION


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    write_resolved(load_study(SHIPPED / "demo.yaml"), file)
    file.write_text(file.read_text().replace(f"schema_version: {RESOLVED_VERSION}", "schema_version: 99"))
    with pytest.raises(InputError, match=r"schema_version.*has a different schema version; given 99; allowed: 1"):
        read_resolved(file)


@pytest.mark.parametrize(
    "text", ["", "name: demo\n", "schema_version: 1\nname: demo\n", "schema_version: 1\nbase: {epochs: 0}\narms: []\n"]
)
def test_a_damaged_resolved_study_is_one_message(text: str, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"study\.yaml"):
        read_resolved(file)
