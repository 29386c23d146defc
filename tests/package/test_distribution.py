"""The built package installs and runs without a checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from installed_wheel import ROOT, build, install, without_checkout

SMALL = (
    "clip.frames=4", "clip.fps=4", "clip.crop=person_box", "clip.resize=18", "clip.size=16", "epochs=1",
    "ssl.pretrain_epochs=0", "ssl.ramp.epochs=0", "model.width=4", "model.depth=10", "batch.labelled=4",
    "batch.unlabelled=4", "evaluate.clips=1", "seeds=[0]", "resources.gpu=0", "resources.cpu=1",
    "data.synthetic.subjects=18", "data.synthetic.unlabelled=6",
)  # fmt: skip
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built of it."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def environment(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a fresh environment that has the wheel."""
    place = tmp_path_factory.mktemp("elsewhere")
    install(built[1], place)
    return place


def agrm_study(environment: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command, in a folder that is not the checkout."""
    return subprocess.run(
        [str(environment / "env" / "bin" / "agrm-study"), *words],
        cwd=environment, env=without_checkout(), capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


def test_the_source_distribution_holds_what_a_packager_needs_and_nothing_else(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    for wanted in (
        "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "Makefile", "agrm_study/py.typed",
        "search_spaces/base/agrm.yaml", "search_spaces/presets/tiny.yaml", "docs/conf.py", "docs/index.md",
        "docs/figures/synthetic.png", "tests/test_readme.py", "tests/synthetic_records.py", "benchmarks/step.py",
        "cluster/slurm.sbatch", "results/README.md", "results/demo/tables/ablation.md",
    ):  # fmt: skip
        assert wanted in names, wanted
    junk = ("__pycache__", ".pyc", ".parquet", ".mp4", ".safetensors", "docs/_build", ".venv", "results/.data")
    assert [name for name in names if any(part in name for part in junk)] == []
    assert built[0].stat().st_size < 6 * 2**20


def test_the_wheel_holds_the_package_and_the_shipped_studies_alone(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        names = archive.namelist()
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"agrm_study"}
    shipped = {path.relative_to(ROOT / "search_spaces").as_posix() for path in ROOT.glob("search_spaces/**/*.yaml")}
    prefix = "agrm_study/_search_spaces/"
    assert {name.removeprefix(prefix) for name in names if name.startswith(prefix)} == shipped
    fields = Parser().parsestr(metadata)
    assert fields["Name"] == "agrm-study"
    assert fields["License-Expression"] == "Apache-2.0"
    assert fields["Requires-Python"] == "<3.14,>=3.11"
    assert "ray[tune]" in " ".join(fields.get_all("Requires-Dist", []))
    assert "# agrm-study" in str(fields.get_payload())


@pytest.mark.skipif(shutil.which("twine", path=str(Path(sys.executable).parent)) is None, reason="twine is not here")
def test_an_index_would_take_both(built: tuple[Path, Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_installed_package_is_the_wheel_s_and_finds_its_studies(environment: Path) -> None:
    found = subprocess.check_output(
        [environment / "env" / "bin" / "python", "-c", "import agrm_study; print(agrm_study.__file__)"],
        cwd=environment, text=True,
    )  # fmt: skip
    assert Path(found.strip()).is_relative_to(environment)
    assert agrm_study(environment, "--help").stdout.startswith("Usage: agrm-study")
    planned = agrm_study(environment, "plan", "ablation", "--preset", "tiny", "--json")
    assert planned.returncode == 0, planned.stderr
    assert '"trials": 8' in planned.stdout
    unknown = agrm_study(environment, "plan", "abblation")
    assert unknown.returncode == 2
    assert "Did you mean `ablation`?" in unknown.stderr


def test_a_first_study_is_written_run_and_reported_from_the_installed_package(environment: Path) -> None:
    drawn = agrm_study(environment, "data", "synth", "made", "--subjects", "6", "--unlabelled", "2")
    assert drawn.returncode == 0, drawn.stderr
    assert (environment / "made" / "manifest.parquet").is_file()
    written = agrm_study(environment, "init", "first.yaml", "--synthetic")
    assert written.returncode == 0, written.stderr
    words = [word for setting in SMALL for word in ("--set", setting)]
    done = agrm_study(environment, "run", "first.yaml", *words)
    assert done.returncode == 0, done.stderr
    assert (environment / "results" / "first" / "report.html").is_file()
    assert agrm_study(environment, "run", "first.yaml", *words).stderr.count("finished 1/") == 0
