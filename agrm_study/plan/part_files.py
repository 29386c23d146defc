"""Files of user-defined parts: the file given under `parts:` and the local modules that it imports, with hashes."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agrm_study.plan.source_hash import normal_form
from agrm_study.study.errors import InputError
from agrm_study.study.parts.source import PartSource
from agrm_study.study.problems import Place

_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
ALLOWED: Final = "a Python file (my_parts.py), relative to the study file, or a module (my_lab.parts)"


def read_source(written: str, folder: Path, place: Place) -> PartSource:
    """Read the source of an entry under `parts:` without executing its code.

    Args:
        written: The entry.
        folder: Base folder for relative paths; modules are searched for in this folder first, then among the installed
            modules.
        place: Location of the entry, for messages.

    Raises:
        InputError: If the file or module does not exist, is not valid Python, or imports modules that cannot be stored.
    """
    root, file, entry = _find(written, folder, place)
    texts: dict[str, str] = {}
    _collect(root, file, texts, place)
    digest = hashlib.sha256(f"{entry}\0".encode())
    for name in sorted(texts):
        digest.update(f"{name}\0{normal_form(texts[name])}\0".encode())
    return PartSource(written=written, entry=entry, digest=digest.hexdigest()[:16], files=texts, folder=str(root))


def _find(written: str, folder: Path, place: Place) -> tuple[Path, Path, str]:
    """The folder from which modules are imported, the file, and the name of the module."""
    if written.endswith(".py"):
        file = (folder / Path(written).expanduser()).resolve()
        if not file.is_file():
            raise _refused("there is no such file", written, place)
        if not file.stem.isidentifier():
            raise _refused("the name of the file must be a Python identifier", written, place)
        return file.parent, file, file.stem
    if not _MODULE.fullmatch(written):
        raise _refused("must be a Python file or a module", written, place)
    path = Path(*written.split("."))
    roots = [folder.resolve()]
    spec = importlib.util.find_spec(written.partition(".")[0])  # top-level package only, so that nothing is executed
    if spec is not None and spec.origin is not None:
        origin = Path(spec.origin)
        roots.append(origin.parent.parent if origin.name == "__init__.py" else origin.parent)
    for root in roots:
        for file in (root / path.with_suffix(".py"), root / path / "__init__.py"):
            if file.is_file():
                return root, file, written
    raise _refused("there is no such module next to the study file, and none is installed", written, place)


def _collect(root: Path, file: Path, texts: dict[str, str], place: Place) -> None:
    """Add a file and the modules below the same folder that it imports."""
    name = file.relative_to(root).as_posix()
    if name in texts:
        return
    try:
        texts[name] = file.read_text(encoding="utf-8")
        tree = ast.parse(texts[name])
    except SyntaxError as fault:
        raise InputError(f"the file is not valid Python: {fault.msg}", where=file, line=fault.lineno) from None
    except (OSError, ValueError) as fault:
        raise InputError(f"the file cannot be read: {fault}", where=file) from None
    for parent in file.relative_to(root).parents:
        if parent != Path() and (root / parent / "__init__.py").is_file():
            _collect(root, root / parent / "__init__.py", texts, place)
    package = file.relative_to(root).parent.parts
    for module, line, inside in _imports(tree, package):
        if module.partition(".")[0] in sys.stdlib_module_names:
            continue
        for found in _files_of(root, module):
            if inside:
                raise InputError(
                    "a module next to the parts must be imported at the top of the file, not inside a function",
                    where=file,
                    line=line,
                    given=module,
                )
            _collect(root, found, texts, place)


def _files_of(root: Path, module: str) -> list[Path]:
    """The file of a module below a folder; empty if it is located elsewhere."""
    path = root / Path(*module.split("."))
    return [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()][:1]


def _imports(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[str, int, bool]]:
    """Modules that a file may import, with the line of the import, and whether the import is inside a function."""
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []
            names += [] if base else [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            for length in range(1, len(parts) + 1):
                if all(part.isidentifier() for part in parts[:length]):
                    yield ".".join(parts[:length]), node.lineno, id(node) in inside


def _refused(rule: str, written: str, place: Place) -> InputError:
    return InputError(rule, where=place.where, line=place.line, field="parts", given=written, allowed=ALLOWED)
