"""The commands of the page on your own data run in order, from folders of videos to a first study."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from agrm_study.cli.app import app
from agrm_study.training.data.check import KINDS
from agrm_study.training.data.datasets.synthetic import write_synthetic
from agrm_study.training.data.decoding import decode
from agrm_study.training.data.manifest import read_manifest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "your_data.md").read_text(encoding="utf-8")
SMALL = (
    "clip.frames=4", "clip.fps=4", "clip.crop=person_box", "clip.resize=18", "clip.size=16", "epochs=1",
    "ssl.pretrain_epochs=0", "ssl.ramp.epochs=0", "model.width=4", "model.depth=10", "batch.labelled=4",
    "batch.unlabelled=4", "evaluate.clips=1", "seeds=[0]", "tasks=[three_class]", "resources.gpu=0", "resources.cpu=1",
)  # fmt: skip


def commands() -> list[str]:
    """Commands of the page's shell blocks, in order."""
    found = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
    return [line for block in found for line in block.splitlines() if line.startswith("agrm-study")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that the page speaks of, with synthetic videos in them."""
    lab = tmp_path_factory.mktemp("lab")
    manifest = read_manifest(
        write_synthetic(lab / "made", subjects=18, unlabelled=6, seed=0, difficulty="easy", workers=2)
    )
    (lab / "made" / "spwvd").rename(lab / "SPWVD")
    (lab / "made" / "casia_b").rename(lab / "CASIA-B")
    videos = {clip.clip_id: lab / "SPWVD" / clip.path.name for clip in manifest.labelled}
    for number, clip in enumerate(manifest.labelled[:9]):
        place = lab / "clinic" / str(clip.label) / (f"child{number}/visit1" if number % 2 else f"child{number}")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(videos[clip.clip_id], place.with_suffix(videos[clip.clip_id].suffix))
    (lab / "GAVD").mkdir()
    lines = ["seq,frame_num,cam_view,gait_event,dataset,gait_pat,bbox,vid_info,id,url"]
    for number, clip in enumerate(manifest.labelled[:4]):
        shutil.copy(videos[clip.clip_id], lab / "GAVD" / f"clj{number}{videos[clip.clip_id].suffix}")
        kind, box = ("Normal", "Abnormal")[number % 2], "{'top': 1.0, 'left': 2.0, 'height': 50.0, 'width': 20.0}"
        lines += [
            f"clj{number},{90 + frame},front,,{kind} Gait,x,\"{box}\",\"{{'height': 64, 'width': 96}}\",v{number},"
            for frame in range(clip.frames)
        ]
    (lab / "GAVD" / "GAVD_Clinical_Annotations_1.csv").write_text("\n".join(lines))
    for clip in manifest.labelled[:2]:
        place = lab / "frames" / str(clip.label) / clip.subject_id
        place.mkdir(parents=True)
        for number, frame in enumerate(decode(videos[clip.clip_id], range(8), 80, 60)):
            cv2.imwrite(str(place / f"{number}.png"), frame[:, :, ::-1])
    with (lab / "table.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "subject_id", "label"))
        writer.writerows(
            (f"SPWVD/{videos[clip.clip_id].name}", clip.subject_id, clip.label) for clip in manifest.labelled
        )
    return lab


def in_lab(line: str, lab: Path) -> list[str]:
    return shlex.split(line.replace("/data/", f"{lab}/"))[1:]


def test_every_command_but_the_training_works_in_its_order(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)
    for line in commands():
        words = in_lab(line, lab)
        if words[0] == "run":
            words[0] = "plan"
        if words[:2] == ["data", "build"]:
            words += [word for setting in SMALL for word in ("--set", setting)]
        done = CliRunner().invoke(app, words)
        assert done.exit_code in (0, None), (line, done.output, done.exception)
        if "epochs=5" in line:
            assert "ssl.pretrain_epochs from 10 to 1 and ssl.ramp.epochs from 30 to 2" in done.output
    for name, labelled in (("hybrid", 18), ("clinic", 9), ("frames", 2), ("gavd", 4), ("table", 18)):
        assert len(read_manifest(lab / "data" / name).labelled) == labelled


@pytest.mark.slow
def test_the_first_study_runs(lab: Path) -> None:
    lines = [line for line in commands() if "data/hybrid" in line or line.startswith("agrm-study run")]
    assert sum("agrm-study run" in line for line in lines) == 1
    for line in lines:
        words = in_lab(line, lab)
        if words[0] == "init":
            (lab / "first.yaml").unlink(missing_ok=True)
        if words[0] == "run":
            words += [word for setting in SMALL for word in ("--set", setting)]
        done = subprocess.run(
            [sys.executable, "-m", "agrm_study", *words], cwd=lab, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stderr)
    assert (lab / "results" / "first" / "report.html").is_file()


def test_what_the_page_calls_stopping_stops() -> None:
    for kind, words in {
        "missing": "missing", "zero_length": "empty", "unreadable": "damaged", "truncated": "truncated",
        "changed": "changed since", "too_small": "smaller than", "duplicate": "two subjects",
    }.items():  # fmt: skip
        assert KINDS[kind][0] == "stops"
        assert words in PAGE
    assert {kind for kind, (severity, _) in KINDS.items() if severity == "stops"} == {
        "missing", "zero_length", "unreadable", "truncated", "changed", "too_small", "duplicate"
    }  # fmt: skip


def test_the_labels_csv_shown_is_understood(lab: Path, tmp_path: Path) -> None:
    (shown,) = re.findall(r"```text\n(subject,.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "labels.csv").write_text(shown, encoding="utf-8")
    videos = sorted((lab / "SPWVD").glob("*.*4")) or sorted(p for p in (lab / "SPWVD").iterdir() if p.suffix != ".csv")
    for name, video in zip(("001", "002", "003"), videos, strict=False):
        shutil.copy(video, tmp_path / f"{name}{video.suffix}")
    done = CliRunner().invoke(app, ["data", "index", "--layout", "spwvd", str(tmp_path), "--out", str(tmp_path / "m")])
    assert done.exit_code in (0, None), done.output
    assert [clip.label for clip in read_manifest(tmp_path / "m").clips] == ["normal", "genu_varum", "genu_valgum"]
