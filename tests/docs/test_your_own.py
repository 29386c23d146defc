"""Is each part of "your own" really one file and one line?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "your_own.md").read_text(encoding="utf-8")
FILE = re.compile(r"```python\n# (agrm_study/\S+\.py)\n(.*?)```", re.DOTALL)
LINE = re.compile(r"```python\n# ([A-Z]+) in (agrm_study/\S+\.py)\n(    \"(\w+)\": .*\n)```")
SUITES = {
    "BACKBONES": "backbones", "POOLING": "pooling", "POLICIES": "thresholds", "LOSSES": "losses",
    "LAYOUTS": "layouts", "TABLES": "tables", "FIGURES": "figures",
}  # fmt: skip

FIT = """
from pathlib import Path
from agrm_study.study.recipe import Recipe
from agrm_study.training.data.datasets.synthetic import write_synthetic
from agrm_study.training.data.open_data import open_data
from agrm_study.training.fit import fit

manifest = write_synthetic(Path("made"), subjects=15, unlabelled=10, seed=0, difficulty="easy", workers=1)
recipe = Recipe(
    task="three_class", epochs=2, clip=dict(frames=4, fps=4, crop="person_box", resize=18, size=16),
    model=dict(backbone="plain3d", width=4, pooling=dict(name="gem")), loss=dict(name="gce"),
    ssl=dict(pretrain_epochs=0, ramp=dict(epochs=0), threshold=dict(policy="rising")),
    batch=dict(labelled=4, unlabelled=4), evaluate=dict(clips=1),
)
data = open_data(recipe, manifest, cache=Path("stores"))
outcome = fit(recipe, **data._asdict(), device="cpu")
print(outcome.epochs, sorted({block.network for block in outcome.predictions}))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its conformance suites, with every part of the page added as the page says."""
    house = tmp_path_factory.mktemp("house")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "agrm_study", house / "agrm_study", ignore=ignored)
    shutil.copytree(ROOT / "search_spaces", house / "search_spaces", ignore=ignored)
    shutil.copytree(ROOT / "tests" / "conformance", house / "tests" / "conformance", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", house)
    for support in (ROOT / "tests").glob("*_records.py"):
        shutil.copy(support, house / "tests")
    for path, code in FILE.findall(PAGE):
        assert not (house / path).exists(), path
        (house / path).write_text(code, encoding="utf-8")
    for dictionary, path, line, _ in LINE.findall(PAGE):
        text = (house / path).read_text(encoding="utf-8")
        opening = re.search(rf"^{dictionary}: .*\{{\n", text, flags=re.MULTILINE)
        assert opening, dictionary
        (house / path).write_text(text[: opening.end()] + line + text[opening.end() :], encoding="utf-8")
    return house


def python(house: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python in the copy; the package that is imported is the copy's."""
    environment = {**os.environ, "PYTHONPATH": str(house), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=house, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_page_adds_to_every_dictionary_once() -> None:
    assert sorted(dictionary for dictionary, _, _, _ in LINE.findall(PAGE)) == sorted(SUITES)
    assert len(FILE.findall(PAGE)) == len(SUITES)


def test_every_newcomer_keeps_its_conformance_suite(house: Path) -> None:
    newcomers = {dictionary: name for dictionary, _, _, name in LINE.findall(PAGE)}
    suites = [f"tests/conformance/test_{SUITES[dictionary]}.py" for dictionary in newcomers]
    chosen = " or ".join(newcomers.values())
    done = python(house, "-m", "pytest", "-v", "-p", "no:cacheprovider", *suites, "-k", chosen)
    assert done.returncode == 0, done.stdout[-4000:]
    for dictionary, name in newcomers.items():
        assert re.search(rf"test_{SUITES[dictionary]}\.py::.*\b{name}\b.* PASSED", done.stdout), name


def test_a_network_with_all_the_new_parts_trains(house: Path) -> None:
    done = python(house, "-c", FIT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "2 ['student', 'teacher']"


def test_the_new_names_are_offered_in_study_files_and_checked_there(house: Path) -> None:
    study = (
        "name: s\ntasks: [three_class]\nseeds: [0]\narms: [{name: A}]\n"
        "set: {model.backbone: plain3d, model.pooling.name: gem, loss.name: gce, ssl.threshold.policy: rising}\n"
        "data: {synthetic: {subjects: 12}}\nreport: {tables: [by_seed], figures: [seed_dots]}\n"
    )
    (house / "s.yaml").write_text(study, encoding="utf-8")
    read = "from pathlib import Path\nfrom agrm_study.api.names import read_study\nread_study(Path({!r}), (), None)"
    assert python(house, "-c", read.format("s.yaml")).returncode == 0
    (house / "t.yaml").write_text(study.replace("plain3d", "plain3e"), encoding="utf-8")
    assert "Did you mean `plain3d`?" in python(house, "-c", read.format("t.yaml")).stderr
    layouts = python(house, "-m", "agrm_study", "data", "index", "--help").stdout
    assert "tagged" in layouts
