"""The submission pack compiles and verifies, and its checklists have every item of the published ones."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from synthetic_records import ABLATION, write_results
from tex import needs_tex, run_tex

from agrm_study.cli.submission import submission
from agrm_study.cli.verify import verify
from agrm_study.execution.provenance import hardware
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.submission.checklists import CHECKLISTS
from agrm_study.submission.checklists.base import AUTHORS, answers
from agrm_study.submission.facts import Facts
from agrm_study.submission.participants import flow

STUDY = (
    ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")
    + "report: {tables: [ablation, class_counts], figures: [forest, confusion]}\n"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    place = tmp_path_factory.mktemp("pack")
    root = write_results(place / "ablation", STUDY, subjects=24, parts=("test", "val", "train"))
    done = CliRunner().invoke(submission, [str(root), "--out", str(place / "out")], standalone_mode=False)
    assert done.exception is None, done.exception
    assert "of 44 items filled" in done.output
    return place


@pytest.fixture
def pack(written, tmp_path):
    return Path(shutil.copytree(written / "out", tmp_path / "out"))


def check(pack):
    done = CliRunner().invoke(verify, [str(pack), "--json"], standalone_mode=False)
    assert done.exception is None, done.exception
    return json.loads(done.stdout)


def test_the_pack_verifies_against_its_own_bundle(pack):
    said = check(pack)
    assert said["passed"], said["differences"]
    assert said["checked"]["tables in the manuscript"] == 2


def test_a_manuscript_is_verified_against_the_records_of_a_pack(pack, tmp_path):
    paper = tmp_path / "paper.tex"
    paper.write_text((pack / "tables" / "ablation.tex").read_text(encoding="utf-8"), encoding="utf-8")
    done = CliRunner().invoke(verify, [str(pack), str(paper), "--json"], standalone_mode=False)
    said = json.loads(done.stdout)
    assert said["passed"], said["differences"]
    assert said["checked"]["tables in the manuscript"] == 3  # two of the pack's own document, and this one


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("tables/ablation.tex", r"\d\d\.\d"),
        ("tables/ablation.csv", r"0\.\d{6}"),
        ("numbers.tex", r"\d\d\.\d"),
        ("methods.tex", r"\d+ training"),
        ("methods.md", r"\d+ labelled subjects"),
        ("checklists/claim.tex", r"\d+ labelled subjects"),
        ("checklists/tripod-ai.md", r"\d+ labelled subjects"),
    ],
)
def test_one_changed_digit_in_any_file_of_the_pack_fails_the_verification(pack, file, pattern):
    text = (pack / file).read_text(encoding="utf-8")
    found = re.search(pattern, text)
    number = re.search(r"\d+(\.\d+)?", found.group()).group()
    changed = number[:-1] + str((int(number[-1]) + 1) % 10)
    start = found.start() + found.group().index(number)
    (pack / file).write_text(text[:start] + changed + text[start + len(number) :], encoding="utf-8")
    said = check(pack)
    assert not said["passed"]
    assert any(file.rpartition("/")[2] in d for d in said["differences"]), said["differences"]


def test_the_methods_name_the_processor(pack):
    assert "hours of training on Example CPU (no GPU)." in (pack / "methods.md").read_text(encoding="utf-8")


def test_synthetic_records_describe_the_hardware_with_the_keys_of_a_run(written):
    made = json.loads((written / "ablation" / "provenance.json").read_text(encoding="utf-8"))
    assert made["hardware"].keys() == hardware().keys()


@needs_tex
def test_the_pack_compiles(pack):
    for _ in range(2):
        done = run_tex(pack, "submission")
        assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout
    assert (pack / "submission.pdf").stat().st_size > 20_000


TRIPOD_NUMBERS = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 18a 18b 18c "
    "18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)


@pytest.mark.parametrize(
    ("name", "numbers"), [("claim", " ".join(map(str, range(1, 45)))), ("tripod-ai", TRIPOD_NUMBERS)]
)
def test_the_checklists_have_every_item_of_the_published_ones(name, numbers):
    assert [item.number for item in CHECKLISTS[name].items] == numbers.split()


def test_every_item_is_filled_with_its_source_or_marked_as_the_authors(written):
    evidence = collect(written / "ablation")
    facts = Facts(Measurements(evidence, families=evidence.study.families))
    for checklist in CHECKLISTS.values():
        for answer in answers(checklist, facts):
            assert answer.text
            assert bool(answer.source) != answer.text.startswith(AUTHORS), answer.item


def test_the_flow_counts_each_subject_once(written):
    evidence = collect(written / "ablation")
    f = flow(Facts(Measurements(evidence, families=evidence.study.families)))
    rows = evidence.subjects
    labelled = rows[rows["split"].isin(["train", "val", "test"]) & rows["label"].notna()]
    per_split = labelled.groupby("split_fingerprint")["subject_id"].nunique()
    assert f.total[0] == f"Labelled subjects in the study: {per_split.iloc[0]}"
    parts = [int(re.search(r": (\d+) subjects", lines[0]).group(1)) for lines in f.parts]
    assert sum(parts) == per_split.iloc[0]
    for lines in f.parts:
        classes = [int(line.rpartition(": ")[2]) for line in lines[1:] if "clips" not in line]
        assert sum(classes) == int(re.search(r": (\d+) subjects", lines[0]).group(1))
