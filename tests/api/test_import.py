"""`import agrm_study` is fast and exports every listed name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import agrm_study as ags

HEAVY = ("torch", "ray", "pandas", "pyarrow", "matplotlib", "numpy", "pydantic", "optuna", "scipy")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_loads_no_heavy_package() -> None:
    assert python(f"import sys, agrm_study; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_importing_takes_a_tenth_of_a_second_of_processor_time_at_most() -> None:
    code = "import time; a = time.process_time(); import agrm_study; print(time.process_time() - a)"
    assert min(float(python(code)) for _ in range(3)) <= 0.1


def test_loading_a_study_and_opening_results_need_neither_torch_nor_ray() -> None:
    used = "agrm_study.load_study('ablation'); agrm_study.open_results"
    code = f"import sys, agrm_study; {used}; print({{'torch', 'ray'}} & {{*sys.modules}})"
    assert python(code) == "set()"


def test_every_public_name_is_there_and_listed() -> None:
    for name in ags.__all__:
        assert getattr(ags, name) is not None
        assert name in dir(ags)


def test_the_type_stub_lists_the_public_names() -> None:
    text = Path(ags.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    for name in set(ags.__all__) - {"__version__"}:
        assert f" as {name}\n" in text or f"\n{name} = " in text
