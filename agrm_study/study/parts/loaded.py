"""Execution of the source of user-defined parts, and lookup of the classes that it defines.

Modules of a source are imported from the hashed text and stored under names that are unique to the source: a process
can load parts with equal names and different content, and never uses bytecode of an earlier version.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any, TypeVar

from agrm_study.study.errors import InputError
from agrm_study.study.parts.kinds import KINDS
from agrm_study.study.parts.names import short_name, source_of, valid_name
from agrm_study.study.parts.source import PartSource

C = TypeVar("C", bound=type)
Defined = Mapping[tuple[str, str], type]
"""Classes by kind and name."""

_loaded: dict[str, Defined] = {}
_sources: dict[str, PartSource] = {}
_finders: list[Callable[[str], PartSource | None]] = []
_collecting: list[dict[tuple[str, str], type]] = []


def decorator(kind: str) -> Callable[[str], Callable[[C], C]]:
    """The class decorator that registers parts of a kind under a name."""

    def named(name: str) -> Callable[[C], C]:
        if not valid_name(name):
            allowed = "at most 40 lower-case letters, digits and underscores, beginning with a letter"
            raise InputError(f"is not a valid name for a {kind}", field="name", given=name, allowed=allowed)

        def register(part: C) -> C:
            if part.__module__ == "__main__":
                raise InputError(
                    f"the {kind} `{name}` is defined in a notebook or script, which workers cannot import",
                    hint="Move the class to a file and list that file in the study: `parts: [my_parts.py]`.",
                )
            if _collecting:
                found = _collecting[-1]
                if (kind, name) in found and found[kind, name] is not part:
                    raise InputError(f"defines two {KINDS[kind].plural} with the same name", field=name)
                found[kind, name] = part
            return part

        return register

    return named


def load_source(source: PartSource) -> Defined:
    """The parts defined by a source, whose code is executed once per process.

    Raises:
        InputError: If the code raises an error, or a part does not fulfil the contract of its kind.
    """
    if source.digest not in _loaded:
        _loaded[source.digest] = _execute(source)
        _sources[source.digest] = source
    return _loaded[source.digest]


def offer_sources(find: Callable[[str], PartSource | None]) -> None:
    """Register a lookup of sources by digest, for example in a results folder.

    Args:
        find: Returns the source with the given digest, or None.
    """
    _finders.append(find)
    del _finders[:-8]  # keeps the sources of the latest studies


def is_loaded(name: str) -> bool:
    """Whether the source of a user-defined part has been executed in this process."""
    return source_of(name) in _loaded


def portable_sources() -> list[str]:
    """All executed sources as JSON, from which other processes can load the same parts."""
    return [source.to_json() for source in _sources.values()]


def offer_portable(texts: Sequence[str]) -> None:
    """Register sources from `portable_sources`, so that their parts can be loaded."""
    given = {source.digest: source for source in map(PartSource.from_json, texts)}
    offer_sources(given.get)


def own_class(kind: str, name: str) -> Any:
    """The class of a user-defined part.

    Args:
        kind: A name in `KINDS`.
        name: Full name of the part.

    Raises:
        InputError: If the source is unavailable, or does not define the part.
    """
    digest = source_of(name)
    if digest not in _loaded:
        source = next((found for find in reversed(_finders) if (found := find(digest)) is not None), None)
        if source is None:
            raise InputError(
                f"the source of the user-defined {kind} is missing",
                given=name,
                hint=f"It is stored in the results folder, parts/{digest}.json.",
            )
        load_source(source)
    part = _loaded[digest].get((kind, short_name(name)))
    if part is None:
        raise InputError(f"its source does not define such a {kind}", given=name)
    return part


def overrides(kind: str, name: str, method: str) -> bool:
    """Whether a user-defined part overrides an optional method of its contract.

    Args:
        kind: A name in `KINDS`.
        name: Full name of the part.
        method: Name of the method.
    """
    part = inspect.getattr_static(own_class(kind, name), method)
    return part is not inspect.getattr_static(_contract(kind), method)


def _contract(kind: str) -> type:
    contract: type = pkgutil.resolve_name(KINDS[kind].contract)
    return contract


def _execute(source: PartSource) -> Defined:
    defined: dict[tuple[str, str], type] = {}
    where = f"{source.folder}/{source.written}" if source.folder and source.written.endswith(".py") else source.written
    _collecting.append(defined)
    try:
        with _importable(source) as entry:
            module = importlib.import_module(entry)
    except InputError as problem:
        raise InputError(**problem.parts() | {"where": where, "line": None}) from None
    except Exception as error:
        line = _line_in(error, source)
        raise InputError(
            f"the file cannot be imported: {type(error).__name__}: {error}", where=where, line=line
        ) from error
    finally:
        _collecting.pop()
    for (kind, name), part in defined.items():
        contract = _contract(kind)
        attribute = contract.__name__
        if not (isinstance(part, type) and issubclass(part, contract)):
            raise InputError(f"the {kind} must derive from {attribute}", where=where, field=name,
                             hint=f"`class {part.__name__}(ags.{_PUBLIC.get(attribute, attribute)})`")  # fmt: skip
        if missing := sorted(getattr(part, "__abstractmethods__", ())):
            raise InputError(f"the {kind} lacks {', '.join(missing)}", where=where, field=name)
        if plain := [method for method in _class_methods(contract) if not _is_bound_to_class(part, method)]:
            raise InputError(
                f"{', '.join(plain)} of the {kind} must be {'class methods' if len(plain) > 1 else 'a class method'}",
                where=where,
                field=name,
                hint=f"Write `@classmethod` above `def {plain[0]}(cls, …)`.",
            )
    if not defined:
        classes = (value for value in vars(module).values() if isinstance(value, type) and value.__module__ == entry)
        trainer = next((each for each in classes if issubclass(each, _contract("trainer"))), None)
        if trainer is not None:  # needs no decorator, but is only registered if it is complete
            missing = sorted(trainer.__abstractmethods__)  # type: ignore[attr-defined]
            raise InputError(f"the trainer lacks {', '.join(missing)}", where=where, field=trainer.__name__)
        raise InputError(
            "does not define any part", where=where, hint="Decorate a class, for example with `@ags.backbone(name)`."
        )
    return defined


def _class_methods(contract: type) -> list[str]:
    names = dict.fromkeys(name for base in contract.__mro__ for name in vars(base))
    return [name for name in names if isinstance(inspect.getattr_static(contract, name), classmethod)]


def _is_bound_to_class(part: type, method: str) -> bool:
    return isinstance(inspect.getattr_static(part, method), classmethod | staticmethod)


_PUBLIC = {"SupervisedLoss": "Loss"}
"""Public names of contracts whose class names in the package differ."""


def _line_in(error: BaseException, source: PartSource) -> int | None:
    """The line, in a file of the source, at which an error was raised."""
    if isinstance(error, SyntaxError):
        return error.lineno
    names = {_filename(source, name) for name in source.files}
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in names:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _filename(source: PartSource, name: str) -> str:
    return f"{source.folder}/{name}" if source.folder else f"<parts {source.digest}>/{name}"


def _modules(source: PartSource) -> dict[str, tuple[str, bool]]:
    """The file of each module of a source, and whether the module is a package."""
    found = {}
    for name in source.files:
        path = PurePosixPath(name)
        package = path.stem == "__init__"
        parts = path.parent.parts if package else (*path.parent.parts, path.stem)
        found[".".join(parts)] = (name, package)
    return found


@contextmanager
def _importable(source: PartSource) -> Iterator[str]:
    """Make the modules of a source importable by name in the block; yields the name of the entry module.

    Afterwards they remain in `sys.modules` under unique names, and previous modules with the same names are restored.
    """
    modules = _modules(source)
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name in modules}
    finder = _Finder(source, modules)
    sys.meta_path.insert(0, finder)
    try:
        yield source.entry
    finally:
        sys.meta_path.remove(finder)
        for name in modules:
            if (module := sys.modules.pop(name, None)) is not None:
                sys.modules[f"agrm_study_parts.{source.digest}.{name}"] = module
        sys.modules.update(before)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.ExecutionLoader):
    """Finder and loader that import the modules of a source from its text."""

    def __init__(self, source: PartSource, modules: Mapping[str, tuple[str, bool]]) -> None:
        self._source, self._modules = source, modules

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._modules:
            return None
        file, package = self.get_filename(fullname), self.is_package(fullname)
        spec = importlib.util.spec_from_loader(fullname, self, origin=file, is_package=package)
        assert spec is not None
        spec.has_location = True  # the module gets a `__file__`
        return spec

    def get_filename(self, fullname: str) -> str:
        return _filename(self._source, self._modules[fullname][0])

    def get_source(self, fullname: str) -> str | None:
        return self._source.files[self._modules[fullname][0]] if fullname in self._modules else None

    def is_package(self, fullname: str) -> bool:
        return self._modules[fullname][1]
