"""Run a small study and the fast tests with the oldest or the newest releases that pyproject.toml allows.

    python tools/floors.py lowest                       # all lower bounds of pyproject.toml
    python tools/floors.py newest                       # the newest release of every package
    python tools/floors.py lowest --python python3.12 --tests "tests/study -q"

Builds a virtual environment, installs the package with all its extras, compares the installed versions with the lower
bounds, and runs a study through Ray and then the tests. torch and torchvision are always the newest releases, installed
in the same way as by `make setup`. The script requires only the standard library.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
AS_IN_SETUP = ("torch", "torchvision")
"""Packages installed by name without a bound, as in `make setup`, since a different release would require a download of
several gigabytes."""
STUDY = (
    "run", "ablation", "--preset", "tiny", "--set", "seeds=[0]", "--set", "tasks=[two_class]", "--set", "epochs=3",
    "--set", "ssl.pretrain_epochs=1", "--set", "ssl.ramp.epochs=1", "--set", "resources.gpu=0",
)  # fmt: skip
"""Arguments of the command that runs the study."""
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*(?P<bounds>[^;]*)(?:;.*)?")
_FLOOR = re.compile(r"(?:>=|==|~=)\s*(?P<version>[0-9][^,\s]*)")


@dataclass(frozen=True, slots=True)
class Floor:
    """Lowest release of a package that pyproject.toml allows.

    Attributes:
        name: Name, normalised as in PEP 503.
        version: Version, as written.
        group: ``dependencies``, or the extra that requires it.
    """

    name: str
    version: str
    group: str


def normalised(name: str) -> str:
    """Name of a package, normalised for comparison as in PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def groups(project: Mapping[str, Any]) -> dict[str, list[str]]:
    """Requirements of the package and of each of its extras, by group, without requirements on the package itself."""
    found = {"dependencies": list(project.get("dependencies", ())), **project.get("optional-dependencies", {})}
    own = normalised(project["name"])
    return {group: [text for text in texts if _parsed(text)[0] != own] for group, texts in found.items()}


def floors(project: Mapping[str, Any]) -> list[Floor]:
    """Lower bounds of a `[project]` table, without torch and torchvision.

    Args:
        project: The table as read by `tomllib`.

    Raises:
        ValueError: If a requirement cannot be parsed, or a package has two different lower bounds.
    """
    found: dict[str, Floor] = {}
    for group, texts in groups(project).items():
        for text in texts:
            name, version = _parsed(text)
            if version is None or name in AS_IN_SETUP:
                continue
            known = found.setdefault(name, Floor(name, version, group))
            if known.version != version:
                raise ValueError(f"{name} has two lower bounds: {known.version} ({known.group}), {version} ({group})")
    return list(found.values())


def _parsed(text: str) -> tuple[str, str | None]:
    match = _REQUIREMENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a requirement with version bounds: {text!r}")
    floor = _FLOOR.search(match["bounds"])
    return normalised(match["name"]), floor["version"] if floor else None


def same_release(one: str, other: str) -> bool:
    """Whether two versions are equal apart from trailing zeros, as in PEP 440 (``2.0`` and ``2.0.0``)."""
    return _significant(one) == _significant(other)


def _significant(version: str) -> list[str]:
    parts = version.split("+")[0].split(".")
    while len(parts) > 1 and parts[-1].strip("0") == "":
        parts.pop()
    return parts


def not_at_floor(wanted: Iterable[Floor], installed: Mapping[str, str]) -> list[str]:
    """Packages whose installed version differs from their lower bound, one line each.

    Args:
        wanted: Lower bounds; a package that is not installed (its marker excludes this machine) is not compared.
        installed: Version by normalised name.
    """
    return [
        f"{floor.name}: {installed[floor.name]} is installed, the lower bound is {floor.version} ({floor.group})"
        for floor in wanted
        if floor.name in installed and not same_release(floor.version, installed[floor.name])
    ]


class Environment:
    """A virtual environment.

    Args:
        folder: Folder of the environment; reused if it exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.python = self.folder / "bin" / "python"

    def create(self, interpreter: str) -> None:
        """Create the environment with an interpreter, torch and torchvision, unless it exists."""
        if not self.python.exists():
            step([interpreter, "-m", "venv", str(self.folder)])
            self.pip("install", "--quiet", "--upgrade", "pip")
        self.pip("install", "--quiet", *AS_IN_SETUP)

    def install(self, extras: Sequence[str], at: Sequence[Floor], *, upgrade: bool) -> None:
        """Install this checkout with extras.

        Args:
            extras: Names of the extras.
            at: Versions to which packages are pinned.
            upgrade: Whether to upgrade installed packages to their newest releases.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as constraints:
            constraints.writelines(f"{floor.name}=={floor.version}\n" for floor in at)
            constraints.flush()
            words = ["--constraint", constraints.name]
            words += ["--upgrade", "--upgrade-strategy", "eager"] if upgrade else []
            self.pip("install", "--quiet", *words, "--editable", f"{ROOT}[{','.join(extras)}]")

    def installed(self) -> dict[str, str]:
        """Installed version of every package, by normalised name."""
        words = [str(self.python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
        rows = json.loads(subprocess.check_output(words, text=True))
        return {normalised(row["name"]): row["version"] for row in rows}

    def pip(self, *words: str) -> None:
        """Run a pip command."""
        step([str(self.python), "-m", "pip", *words])

    def study(self) -> None:
        """Run the study through Ray, in separate folders."""
        with tempfile.TemporaryDirectory(prefix="agrm-study-floors-") as folder:
            words = [str(self.folder / "bin" / "agrm-study"), *STUDY, "--results", f"{folder}/results"]
            step(words, {"AGRM_STUDY_CACHE": f"{folder}/cache"})

    def tests(self, words: Sequence[str]) -> None:
        """Run pytest."""
        step([str(self.python), "-m", "pytest", *words])


def step(words: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
    """Run a command in the checkout; exit with its status if it fails."""
    print("+", " ".join(words), flush=True)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(words, cwd=ROOT, env={**clean, **(variables or {})}, check=False)
    if done.returncode:
        print(f"failed with status {done.returncode}: {' '.join(words)}", file=sys.stderr)
        raise SystemExit(done.returncode if done.returncode > 0 else 1)


def main(words: Sequence[str] | None = None) -> None:
    """Build the environment, then run the study and the tests in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", choices=("lowest", "newest"))
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment [default: this one]")
    parser.add_argument("--folder", type=Path, default=None, help="the environment [default: .venv-RELEASES]")
    parser.add_argument("--no-study", action="store_true", help="tests only")
    parser.add_argument("--tests", default="-n 2", metavar="WORDS", help="arguments of pytest [default: %(default)r]")
    options = parser.parse_args(words)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = floors(project) if options.releases == "lowest" else []
    environment = Environment(options.folder or ROOT / f".venv-{options.releases}")
    environment.create(options.python)
    extras = [group for group in groups(project) if group != "dependencies"]
    environment.install(extras, wanted, upgrade=options.releases == "newest")
    installed = environment.installed()
    named = {_parsed(text)[0] for texts in groups(project).values() for text in texts}
    print("\n".join(f"{name} {installed[name]}" for name in sorted(named & set(installed))), flush=True)
    if different := not_at_floor(wanted, installed):
        raise SystemExit("\n".join(["not at their lower bounds:", *different]))
    if not options.no_study:
        environment.study()
    environment.tests(shlex.split(options.tests))


if __name__ == "__main__":
    main()
