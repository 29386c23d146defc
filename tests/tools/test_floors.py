"""Lower bounds of pyproject.toml as tools/floors.py reads them."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def floors() -> ModuleType:
    spec = importlib.util.spec_from_file_location("floors", ROOT / "tools" / "floors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["floors"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_every_lower_bound_but_those_of_torch_is_found_as_packaging_reads_it(
    floors: ModuleType, project: dict[str, Any]
) -> None:
    wanted = {}
    for text in itertools.chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(text)
        for bound in requirement.specifier:
            if bound.operator == ">=":
                wanted[canonicalize_name(requirement.name)] = bound.version
    del wanted["torch"], wanted["torchvision"]
    assert {floor.name: floor.version for floor in floors.floors(project)} == wanted


def test_a_floor_knows_its_group_and_markers_extras_and_upper_bounds_do_not_disturb_it(floors: ModuleType) -> None:
    project = {
        "name": "own-name",
        "dependencies": ["Ray[tune] >=2.59, <2.61", "decord>=0.6; platform_machine == 'x86_64'", "bare", "torch>=2.6"],
        "optional-dependencies": {"dev": ["own_name[docs]", "moto[server]>=5.0"]},
    }
    found = [(floor.name, floor.version, floor.group) for floor in floors.floors(project)]
    assert found == [("ray", "2.59", "dependencies"), ("decord", "0.6", "dependencies"), ("moto", "5.0", "dev")]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a>=1", "A>=2"], "a has two lower bounds: 1 .dependencies., 2 .dependencies."),
        (["=nonsense"], "not a requirement"),
    ],
)
def test_a_floor_that_is_ambiguous_or_unreadable_is_an_error(
    floors: ModuleType, texts: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        floors.floors({"name": "own", "dependencies": texts})


@pytest.mark.parametrize(
    ("one", "other"), [("2.0", "2.0.0"), ("2", "2.0"), ("1.10", "1.1"), ("0.14.4", "0.14.4"), ("3.0", "3.0.1")]
)
def test_releases_are_equal_where_packaging_says_so(floors: ModuleType, one: str, other: str) -> None:
    assert floors.same_release(one, other) == (Version(one) == Version(other))


def test_what_is_not_installed_at_its_floor_is_named(floors: ModuleType) -> None:
    wanted = [floors.Floor(name, "1.2", "dependencies") for name in ("same", "newer", "elsewhere")]
    found = floors.not_at_floor(wanted, {"same": "1.2.0", "newer": "1.3"})
    assert found == ["newer: 1.3 is installed, the lower bound is 1.2 (dependencies)"]


def test_a_step_that_fails_ends_the_script_with_its_status(
    floors: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")  # the checkout in the environment is what is tested
    floors.step([sys.executable, "-c", "import os; assert 'PYTHONPATH' not in os.environ"])
    with pytest.raises(SystemExit) as ended:
        floors.step([sys.executable, "-c", "raise SystemExit(3)"])
    assert ended.value.code == 3
    assert "failed with status 3" in capsys.readouterr().err
