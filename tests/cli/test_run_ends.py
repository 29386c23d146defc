"""The end of `run`: tables, then the answer and the page as the last lines, then the notification."""

import json
import shutil
import sys

import pytest
from click.testing import CliRunner
from synthetic_records import ABLATION, write_results

from agrm_study.cli.run import run
from agrm_study.execution import run as execution
from agrm_study.execution.summary import RunSummary
from agrm_study.study.errors import InputError

STUDY = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1]").replace("[two_class, three_class]", "[two_class]")
STUDY += "report: {tables: [ablation], figures: [forest]}\n"

LISTENER = "import json, sys; json.dump([sys.argv[1:], json.load(sys.stdin)], open({path!r}, 'w'))"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A study whose run is over at once: its records were written beforehand."""
    write_results(tmp_path / "results", STUDY, subjects=12, epochs=4)

    def run_study(study, options, *, view, interrupt):
        with view:
            pass
        return RunSummary(
            study=study.name, results=str(options.results), total=8, before=0, finished=8, failed=(), held=0,
            unfinished=0, interrupted=False, wall_s=61.0,
        )  # fmt: skip

    monkeypatch.setattr(execution, "run_study", run_study)
    monkeypatch.delenv("AGRM_STUDY_NOTIFY", raising=False)
    (tmp_path / "listen.py").write_text(LISTENER.format(path=str(tmp_path / "told.json")))
    return tmp_path


def call(place, *words):
    asked = [str(place / "results" / "given.yaml"), "--results", str(place / "results"), *words]
    return CliRunner().invoke(run, asked, catch_exceptions=False, standalone_mode=False)


def test_the_answer_and_its_page_are_the_last_lines(place):
    done = call(place)
    *_, answer, page = done.stderr.strip().splitlines()
    assert answer.startswith("Two-class: AGRM reaches ")
    assert "95% interval" in answer
    assert page == f"full report: {place / 'results' / 'report.html'}"
    assert answer.split("%")[0] in (place / "results" / "report.html").read_text()


@pytest.mark.parametrize("way", ["option", "variable"])
def test_whoever_wants_to_hear_of_it_is_told_with_the_answer(place, monkeypatch, way):
    command = f"{sys.executable} {place / 'listen.py'} now"
    if way == "variable":
        monkeypatch.setenv("AGRM_STUDY_NOTIFY", command)
    done = call(place, *(["--notify", command] if way == "option" else []))
    [words, facts] = json.loads((place / "told.json").read_text())
    assert words == ["now", "ablation: 8 of 8 trials finished (8 in this run, 1 min 01 s)"]
    assert facts["exit_code"] == 0
    assert facts["answer"] in done.stderr
    assert facts["report"] == str(place / "results" / "report.html")


def test_a_notifier_that_fails_changes_nothing(place):
    done = call(place, "--no-report", "--notify", f"{sys.executable} -c 'raise SystemExit(3)'")
    assert done.return_value == 0
    assert "exited with code 3" in done.stderr


def test_somebody_is_told_even_when_the_report_cannot_be_written(place):
    (place / "results" / "study.yaml").write_text("schema_version: 99\n")
    done = call(place, "--notify", f"{sys.executable} {place / 'listen.py'}")
    assert done.return_value == 1, "trials have run: 2 would say that nothing was"
    assert "has a different schema version" in done.stderr
    assert f"agrm-study report {place / 'results'}" in done.stderr
    facts = json.loads((place / "told.json").read_text())[1]
    assert (facts["answer"], facts["exit_code"], facts["finished"]) == (None, 1, 8)


def test_results_that_are_gone_when_the_report_is_made_are_no_wrong_input(place):
    shutil.move(place / "results" / "study.yaml", place / "study.yaml")
    assert call(place).return_value == 1


def test_a_wrong_notifier_is_refused_before_the_run(place):
    with pytest.raises(InputError, match="does not exist"):
        call(place, "--notify", "no-such-program")
