"""The command starts quickly and imports only what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

VERBS = (
    "run", "plan", "status", "watch", "report", "compare", "explain", "export", "predict", "log", "data", "init",
    "doctor", "schema", "check-part", "clean",
)  # fmt: skip


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("statement", ["import agrm_study", "import agrm_study.cli"])
def test_importing_loads_neither_torch_nor_ray_nor_pandas(statement: str) -> None:
    done = python(f"import sys; {statement}; print(sorted({{'torch', 'ray', 'pandas'}} & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stderr


def test_planning_a_study_loads_no_part_of_scipy_which_would_double_the_time_of_the_imports() -> None:
    code = "import sys; from agrm_study.api.planning import plan_study; from agrm_study.study.load import load_study; "
    parts = "{'scipy.stats', 'scipy.special', 'scipy.optimize', 'torch', 'ray'}"
    done = python(
        f"{code}plan_study(load_study('ema_alpha', preset='tiny'), 'nowhere'); print({parts} & {{*sys.modules}})"
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_help_lists_every_verb_and_loads_neither_torch_nor_ray() -> None:
    done = python(
        "import sys\nfrom agrm_study.cli import main\nsys.argv = ['agrm-study', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print('code', end.code)\n"
        "print(sorted({'torch', 'ray', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    assert all(f"\n  {verb} " in done.stdout for verb in VERBS), done.stdout
    assert "code 0" in done.stdout
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("verb", [[verb] for verb in VERBS] + [["data", "synth"]])
def test_every_verb_explains_itself(verb: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agrm_study", *verb, "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Usage:")


def test_an_unknown_verb_ends_with_two_and_one_message() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agrm_study", "runn"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "runn" in done.stderr
    assert "Traceback" not in done.stderr
