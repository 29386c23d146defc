"""Every hook reports the content of the records without duplicates, follows changes, and reports missing trials."""

import importlib.util
import subprocess
import sys

import pytest
from hook_results import search_id, write_hook_results, write_search_trial

from agrm_study.conformance.checks import checks_of
from agrm_study.hooks import HOOKS, hook_class
from agrm_study.hooks.base import Hook
from agrm_study.hooks.log import log_study
from agrm_study.hooks.trial_log import StudyLog
from agrm_study.study.errors import InputError


@pytest.fixture(params=HOOKS)
def hook(request, monkeypatch):
    found = hook_class(request.param)
    if importlib.util.find_spec(found.package) is None:
        pytest.skip(f"{found.package} is not installed: pip install 'agrm-study[{request.param}]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    return request.param


def stamps(name, results, out=None):
    with hook_class(name)(out, StudyLog(results)) as opened:
        return dict(opened.stamps())


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_has_the_name_that_it_is_asked_for_by(name):
    found = hook_class(name)
    assert issubclass(found, Hook)
    assert found.name == name


@pytest.mark.parametrize("name", HOOKS)
def test_a_missing_package_is_told_with_the_way_to_get_it(name, tmp_path, monkeypatch):
    monkeypatch.setattr(hook_class(name), "package", "no_such_package")
    with pytest.raises(InputError, match=rf"no_such_package, which is not installed.*agrm-study\[{name}\]"):
        log_study(write_hook_results(tmp_path / "r"), name)


def test_it_writes_every_trial_once_and_nothing_twice(hook, tmp_path):
    results = write_hook_results(tmp_path / "r")
    first = log_study(results, hook)
    assert first.written == (4 if hook == "optuna" else 6)
    before = stamps(hook, results)
    assert len(before) == first.written
    again = log_study(results, hook)
    assert (again.written, again.unchanged) == (0, first.written)
    assert stamps(hook, results) == before


def test_it_takes_up_what_is_new_and_what_has_changed(hook, tmp_path):
    results = write_hook_results(tmp_path / "r", ended=2)
    log_study(results, hook)
    before = stamps(hook, results)
    write_search_trial(results, 2)
    write_search_trial(results, 0, end="early_stop")
    done = log_study(results, hook)
    after = stamps(hook, results)
    assert done.written == 2
    assert set(after) == set(before) | {search_id(2)}
    assert after[search_id(0)] != before[search_id(0)]


def test_it_writes_where_it_is_told(hook, tmp_path):
    results = write_hook_results(tmp_path / "r", ended=1)
    files = {path for path in results.rglob("*") if path.is_file()}
    log_study(results, hook, str(tmp_path / "elsewhere"))
    assert {path for path in results.rglob("*") if path.is_file()} == files
    assert any((tmp_path / "elsewhere").rglob("*") if (tmp_path / "elsewhere").is_dir() else [tmp_path / "elsewhere"])
    assert search_id(0) in stamps(hook, results, str(tmp_path / "elsewhere"))


def test_it_needs_results(hook, tmp_path):
    with pytest.raises(InputError, match="must be a results folder"):
        log_study(tmp_path, hook)


def test_an_unknown_hook_is_told_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"must be one of the known hooks.*Did you mean `tensorboard`"):
        log_study(write_hook_results(tmp_path / "r"), "tensorbord")


def test_logging_loads_neither_torch_nor_ray(hook, tmp_path):
    results = write_hook_results(tmp_path / "r", ended=1)
    code = (
        "import sys\nfrom agrm_study.hooks.log import log_study\n"
        f"log_study({str(results)!r}, {hook!r})\nprint(sorted({{'torch', 'ray', 'tensorflow'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize("check", checks_of("hook"), ids=lambda check: check.__name__)
def test_a_shipped_hook_passes_the_checks_of_hooks_of_ones_own(hook, check):
    if hook == "optuna":
        pytest.skip("takes searches, and the checks make a study of arms")
    check(hook)
