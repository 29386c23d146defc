"""Hooks keep up with a running study and never harm it."""

import threading
import time

import pytest
from hook_results import STUDY, write_hook_results, write_search_trial

from agrm_study.hooks import follow
from agrm_study.hooks.follow import Follower
from agrm_study.hooks.log import log_study
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study


def study_of(folder, text):
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    return load_study(folder / "study.yaml")


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    return study_of(tmp_path_factory.mktemp("study"), STUDY)


def test_what_ended_while_it_ran_is_there_when_it_is_closed(tmp_path, search):
    results = write_hook_results(tmp_path / "r", ended=1)
    follower = Follower(results, "optuna", search, every_s=0.0)
    follower.changed()
    write_search_trial(results, 1)
    follower.changed()
    assert follower.close() is None
    again = log_study(results, "optuna")
    assert (again.written, again.unchanged) == (0, 2)


def test_the_first_failure_is_told_once_and_is_the_last_attempt(tmp_path, monkeypatch, search):
    attempts = []

    def fail(results, name):
        attempts.append(name)
        raise RuntimeError("the server is on fire\nwith many lines")

    monkeypatch.setattr(follow, "log_study", fail)
    follower = Follower(tmp_path, "optuna", search, every_s=0.0)
    for _ in range(3):
        follower.changed()
    told = follower.close()
    assert "RuntimeError: the server is on fire)" in told
    assert f"agrm-study log {tmp_path} --to optuna" in told
    assert follower.problem() is None
    assert attempts == ["optuna"]


def test_a_hook_that_hangs_does_not_keep_the_study(tmp_path, monkeypatch, search):
    released = threading.Event()
    monkeypatch.setattr(follow, "log_study", lambda results, name: released.wait(20))
    follower = Follower(tmp_path, "optuna", search, every_s=0.0)
    began = time.monotonic()
    follower.changed()
    assert "writing did not finish in time" in follower.close(timeout_s=0.2)
    assert time.monotonic() - began < 5
    released.set()


def test_a_study_in_which_nothing_ended_starts_no_thread(tmp_path, search):
    before = threading.active_count()
    follower = Follower(tmp_path, "optuna", search)
    assert follower.close() is None
    assert threading.active_count() == before


def test_a_missing_package_is_told_before_the_study_starts(tmp_path, monkeypatch, search):
    from agrm_study.hooks.to_optuna import OptunaHook

    monkeypatch.setattr(OptunaHook, "package", "no_such_package")
    with pytest.raises(InputError, match="no_such_package, which is not installed"):
        Follower(tmp_path, "optuna", search)


def test_optuna_is_refused_for_a_study_without_a_search_before_it_starts(tmp_path):
    plain = study_of(tmp_path, STUDY.split("search:")[0].replace("reference: base\n", "arms: [{name: A}]\n"))
    with pytest.raises(InputError, match="requires a study with a search"):
        Follower(tmp_path, "optuna", plain)
