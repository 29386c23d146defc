"""Records stay valid when only wording changes: the code hash ignores comments, docstrings and formatting."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

from agrm_study.plan import source_hash as module
from agrm_study.plan.source_hash import normal_form, source_hash

CODE = '''\
"""A module."""

import math

RATE = 1e-4
"""The rate of an attribute's docstring."""


class Net:
    """A class."""

    size: int = 3


def area(radius: float, unit: str = "m") -> str:
    """A function."""
    # a comment
    if radius < 0:
        pass
    return f"{math.pi * radius**2:.{int(RATE) + 2}f} {unit!r:>{len(unit)}}" "²" f"{radius=}"
'''
"""Has what Python versions parse differently: nested format specs, joined f-strings, `=`, non-ASCII text."""

REWORDED = """\
import math
RATE = 0.0001   # the same number
class Net:
    size : int = (3)
def area(
    radius: float,
    unit: str = 'm',
) -> str:
    if radius < 0:
        '''Nothing to do.'''
    return (
        f'{math.pi * radius ** 2:.{int(RATE)+2}f} {unit!r:>{len(unit)}}²'
        f'{radius=}'
    )
"""

FROZEN = "05b18842ea1153d3bc588670e6e4ff348abdc080e32fd6f0bf994d2d2eba808b"
"""Hash of `CODE`, computed on Python 3.11.7, 3.12.1 and 3.13.0: it must be this one on all of them."""

DIFFERENT = {
    "a number": ("1e-4", "1e-3"),
    "a type of number": ("= 3", "= 3.0"),
    "a name": ("size", "width"),
    "an operator": ("radius < 0", "radius <= 0"),
    "text of an f-string": ('"²"', '"³"'),
    "a format": (":>", ":<"),
    "a conversion": ("!r", "!s"),
    "a default": ('"m"', '"cm"'),
    "an annotation": ("unit: str", "unit: object"),
    "a nesting": ("        pass\n    return", "        pass\n        return"),
}


def test_words_and_layout_do_not_count() -> None:
    assert normal_form(CODE) == normal_form(REWORDED)


@pytest.mark.parametrize("what", DIFFERENT)
def test_code_counts(what: str) -> None:
    changed = CODE.replace(*DIFFERENT[what])
    assert changed != CODE
    assert normal_form(changed) != normal_form(CODE)


def test_the_hash_is_the_same_on_every_python(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")
    assert source_hash(tmp_path, [tmp_path / "code.py"]) == FROZEN


@pytest.mark.parametrize("python", ["python3.11", "python3.12", "python3.13"])
def test_another_python_computes_the_same_hash(python: str, tmp_path: Path) -> None:
    found = shutil.which(python)
    if found is None or subprocess.run([found, "-V"], capture_output=True).returncode:
        pytest.skip(f"no {python} here")
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")
    program = (
        "import importlib.util as u, pathlib as p, sys\n"
        "s = u.spec_from_file_location('source_hash', sys.argv[1])\n"
        "m = u.module_from_spec(s); s.loader.exec_module(m)\n"
        "f = p.Path(sys.argv[2]); print(m.source_hash(f, [f / 'code.py']))"
    )
    words = [found, "-I", "-c", program, str(module.__file__), str(tmp_path)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == FROZEN


def test_texts_of_an_f_string_count_joined_however_they_were_split() -> None:
    """Versions of Python differ in how many pieces they make of a text, and in whether an empty one is kept."""
    parts = [ast.Constant("a"), ast.Constant(""), ast.Constant("b"), ast.FormattedValue(ast.Name("x"), conversion=-1)]
    split = ast.Module([ast.Expr(ast.JoinedStr([*parts, ast.Constant("")]))], type_ignores=[])
    written: list[str] = []
    module._write(split, written)
    assert "".join(written) == normal_form('f"ab{x}"')


def test_a_file_counts_with_its_name_and_in_any_order(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text("x = 1\n", encoding="utf-8")
    a, b, c = (tmp_path / name for name in ("a.py", "b.py", "c.py"))
    assert source_hash(tmp_path, [a, b]) == source_hash(tmp_path, [b, a]) != source_hash(tmp_path, [a, c])
