"""Hash of Python source code that ignores comments, docstrings and formatting."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

IGNORED: Final = frozenset({"kind", "type_comment", "ctx", "type_ignores"})
"""Fields of a syntax tree that represent formatting (the `u` of a string, comments) or are redundant."""


def source_hash(root: Path, files: Iterable[Path]) -> str:
    """Hash of the code of files, as 64 hexadecimal digits; equal on Python 3.11 to 3.13.

    Args:
        root: The folder to which file names are relative; renaming a file changes the hash.
        files: Python files, in any order.

    Raises:
        SyntaxError: If a file is not valid Python.
    """
    digest = hashlib.sha256()
    for name, file in sorted((file.relative_to(root).as_posix(), file) for file in files):
        digest.update(f"{name}\0{normal_form(file.read_text(encoding='utf-8'))}\0".encode())
    return digest.hexdigest()


def normal_form(source: str) -> str:
    """The code of a module as text that is equal for sources that differ only in comments, docstrings or formatting.

    The text lists the name and value of each field of the syntax tree. `ast.dump` is unsuitable because its output
    depends on the Python version: newer versions add fields (`type_params` in 3.12) and split f-strings differently.

    Raises:
        SyntaxError: If the source is not valid Python.
    """
    parts: list[str] = []
    _write(ast.parse(source), parts)
    return "".join(parts)


def _write(value: Any, parts: list[str]) -> None:
    if isinstance(value, ast.JoinedStr):
        value = ast.JoinedStr(values=_joined(value.values))
    if isinstance(value, ast.AST):
        parts.append(f"{type(value).__name__}(")
        for name in sorted(value._fields):
            field = getattr(value, name, None)
            if name in IGNORED or field is None or field == []:
                continue  # an absent field is treated like a field that this version of Python lacks
            parts.append(f"{name}=")
            _write(field, parts)
        parts.append(")")
    elif isinstance(value, list):
        parts.append("[")
        for item in value:
            if not _says_nothing(item):
                _write(item, parts)
                parts.append(",")
        parts.append("]")
    else:
        parts.append(f"{type(value).__name__}:{value!a}")  # not repr, whose escapes depend on the version of Python


def _says_nothing(node: Any) -> bool:
    """Whether a statement has no effect: a docstring (of a module, class, function or attribute), or `pass`."""
    if isinstance(node, ast.Pass):
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string, with adjacent strings joined and empty strings dropped."""
    joined: list[ast.expr] = []
    for value in values:
        if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            joined.append(value)
        elif joined and isinstance(last := joined[-1], ast.Constant) and isinstance(last.value, str):
            joined[-1] = ast.Constant(last.value + value.value)
        elif value.value:
            joined.append(value)
    return joined
