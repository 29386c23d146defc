"""The commands of the page "Your own classes" run in order, from folders of videos to a report."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from agrm_study.api.names import read_study
from agrm_study.cli.app import app
from agrm_study.execution.options import RunOptions
from agrm_study.execution.run import run_study
from agrm_study.report.build import make_report
from agrm_study.training.data.datasets.synthetic import write_synthetic
from agrm_study.training.data.manifest import read_manifest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "your_classes.md").read_text(encoding="utf-8")
LABELS = ("healthy", "mild", "moderate", "severe")
SMALL = (
    "clip.frames=4", "clip.fps=4", "clip.resize=18", "clip.size=16", "epochs=1", "model.width=4", "model.depth=10",
    "batch.labelled=8", "evaluate.clips=1", "seeds=[0]", "resources.gpu=0", "resources.cpu=1",
)  # fmt: skip


def commands() -> list[str]:
    """Commands of the page's shell blocks, in order."""
    found = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
    return [line for block in found for line in block.splitlines()]


def shown_tasks() -> list[dict[str, object]]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of four labels that the package does not know, with six synthetic videos each."""
    lab = tmp_path_factory.mktemp("lab")
    made = read_manifest(write_synthetic(lab / "made", subjects=24, unlabelled=0, seed=0, difficulty="easy", workers=2))
    for number, clip in enumerate(made.labelled):
        place = lab / "clinic" / LABELS[number % 4] / (f"s{number:02d}/visit1" if number % 3 else f"s{number:02d}")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip.path, place.with_suffix(clip.path.suffix))
    return lab


def words_of(line: str, lab: Path) -> list[str]:
    return shlex.split(line.replace("/data/", f"{lab}/"))[1:]


def call(line: str, lab: Path, *more: str) -> str:
    done = CliRunner().invoke(app, [*words_of(line, lab), *more])
    assert done.exit_code in (0, None), (line, done.output, done.exception)
    return done.output


def test_the_commands_lead_from_four_folders_to_a_report(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)
    index, init, plan, run, plan_again = commands()
    assert "kept as written: healthy, mild, moderate, severe" in call(index, lab)
    assert {clip.label for clip in read_manifest(lab / "data" / "clinic").clips} == set(LABELS)
    call(init, lab)
    written, edited = shown_tasks()
    assert yaml.safe_load((lab / "grades.yaml").read_text(encoding="utf-8"))["tasks"] == written["tasks"]
    assert "tasks groups" in call(plan, lab)

    # as in `run`, but with all trials in this process
    assert words_of(run, lab) == ["run", "grades.yaml"]
    study = read_study(Path("grades.yaml"), SMALL, None)
    summary = run_study(study, RunOptions(results=lab / "results" / "grades", executor="inline", workers=1))
    assert summary.exit_code == 0, summary
    report = make_report([lab / "results" / "grades"], figure_formats=("png",))
    tables = report.tables[str(lab / "results" / "grades")]
    classes = [row.entries[2].text for row in tables["per_class"].rows]
    assert classes == [*LABELS, *LABELS]
    assert len(tables["one_vs_rest"].rows) == 8
    assert not report.problems
    made = {file.stem for file in report.files if file.suffix == ".png"}
    assert {"confusion", "one_vs_rest", "reliability"} <= made

    text = yaml.safe_load((lab / "grades.yaml").read_text(encoding="utf-8"))
    (lab / "grades.yaml").write_text(yaml.safe_dump(text | edited, sort_keys=False), encoding="utf-8")
    assert "tasks severity, screening" in call(plan_again, lab)


@pytest.mark.slow
def test_the_run_command_trains_the_study(lab: Path) -> None:
    for line in commands()[:4]:
        words = words_of(line, lab)
        if words[0] == "init":
            (lab / "grades.yaml").unlink(missing_ok=True)
        if words[0] == "run":
            words += ["--results", "results/by_command", *(word for setting in SMALL for word in ("--set", setting))]
        done = subprocess.run(
            [sys.executable, "-m", "agrm_study", *words], cwd=lab, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stderr)
    assert (lab / "results" / "by_command" / "report.html").is_file()


PARTS_OF_MESSAGES = (
    "is not in the manifest",
    "in two classes, ",
    "every part requires a subject of each class",
    "requires ordered classes",
)


@pytest.mark.parametrize("part", PARTS_OF_MESSAGES)
def test_a_message_that_the_page_lists_is_one_of_the_program(part: str) -> None:
    root = Path(__file__).resolve().parents[2] / "agrm_study"
    files = [path for folder in ("study", "execution/data", "training/data") for path in (root / folder).glob("*.py")]
    assert any(part in path.read_text(encoding="utf-8") for path in files)
    assert part.rstrip(", ") in PAGE
