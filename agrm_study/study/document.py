"""YAML documents as plain values, with the line number of every value.

YAML is parsed only with the safe composer, and scalars follow the rules of YAML 1.2: ``1e-4`` is a number, ``no``,
``off`` and ``2026-01-01`` are text, and ``010`` is ten. PyYAML's own rules (YAML 1.1) would silently turn ``mode: off``
into ``False``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agrm_study.study.errors import InputError

KeyPath = tuple[str | int, ...]
"""Path of a value: keys of mappings and positions in lists."""

NODE_LIMIT = 100_000
"""Maximum number of values in a file, with aliases expanded (a few lines of nested aliases can expand to billions)."""

_TAG = "tag:yaml.org,2002:"
_RULES = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}
"""Forms of plain scalars by type; the first that matches applies, and any other scalar is text."""


class _Loader(yaml.SafeLoader):
    """The safe loader with the scalar rules of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class _Dumper(yaml.SafeDumper):
    """Dumper whose output `_Loader` reads back unchanged: text that looks like a number is quoted."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, _pattern in _RULES.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), None)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document with the line numbers of its parts.

    Attributes:
        value: Plain dicts (text keys), lists, text, numbers, booleans and None.
        source: The file, or the name of the text for messages.
        lines: Line number of every key and list item, counted from 1.
    """

    value: Any
    source: Path | None
    lines: dict[KeyPath, int] = field(repr=False)

    def line(self, path: KeyPath) -> int | None:
        """Line number of a value, or of the nearest enclosing value in the document."""
        for length in range(len(path), -1, -1):
            if (found := self.lines.get(path[:length])) is not None:
                return found
        return None


def read_yaml(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        InputError: If the file cannot be read, is not UTF-8, is not YAML, or has a duplicate key.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError("there is no such file", where=path) from None
    except IsADirectoryError:
        raise InputError("is a folder; specify a YAML file", where=path) from None
    except OSError as fault:
        raise InputError(f"the file cannot be read: {fault.strerror}", where=path) from None
    return decode_yaml(content, path)


def decode_yaml(content: bytes, source: Path) -> Document:
    """Read the content of a YAML file from any storage; ``source`` is its name for messages.

    Raises:
        InputError: See `read_yaml`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InputError(f"the file is not UTF-8 text (byte {fault.start})", where=source) from None
    return parse_yaml(text, source)


def parse_yaml(text: str, source: Path | None = None) -> Document:
    """Read YAML text; ``source`` is its name for messages.

    Raises:
        InputError: See `read_yaml`.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        if fault.context_mark is not None and "expected ':'" in str(fault.problem):
            mark = fault.context_mark  # the line of the key itself; the parser has advanced to the next line
        line = None if mark is None else mark.line + 1
        raise _not_yaml(fault, text, source, line) from None
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, int(fault.position)) + 1
        raise InputError(
            f"the file is not valid YAML: the character {_name_of(fault.character)} is not allowed",
            where=source,
            line=line,
        ) from None
    except RecursionError:
        raise InputError("the file is nested too deeply", where=source) from None
    finally:
        if loader is not None:
            loader.dispose()
    reader = _Reader(source)
    value = None if node is None else reader.read(node, ())
    return Document(value, source, reader.lines)


_EXPLAINED: tuple[tuple[str, str, str], ...] = (
    (
        r"'\\t' that cannot start any token",
        "a line is indented with a tab (U+0009)",
        "Indent with spaces.",
    ),
    (
        "mapping values are not allowed here",
        "`:` follows text that cannot be a key",
        "Quote text that contains `: `, indent all keys of a group equally, and write `:` and a space after each key.",
    ),
    (
        "could not find expected ':'",
        "a key has no `:`",
        "Write `key: value`, with a space after the colon.",
    ),
    (
        "expected <block end>",
        "the indentation does not match any group above it",
        "Indent all keys of a group, and all items (`-`) of a list, by the same amount.",
    ),
    (
        "expected ',' or",
        "a bracket is not closed, or a comma is missing",
        "Close each `[` with `]` and each `{` with `}`, and separate items with commas.",
    ),
    ("found unexpected end of stream", "a quotation mark is not closed", "Close each \" and each '."),
    ("undefined alias", "`*` begins an alias that is not defined", "Quote text that begins with `*`."),
    (
        "cannot start any token",
        "a value begins with a character that has a special meaning in YAML",
        "Quote the value.",
    ),
)
"""Translations of parser errors: a pattern for the parser's message, the rule, and a hint."""


def _not_yaml(fault: yaml.MarkedYAMLError, text: str, source: Path | None, line: int | None) -> InputError:
    """A parser error, in words that do not require knowledge of the YAML grammar."""
    problem = " ".join(part for part in (fault.context, fault.problem) if part)
    rule, hint = next(((r, h) for part, r, h in _EXPLAINED if re.search(part, problem)), (problem, None))
    written = "" if line is None else "".join(text.split("\n")[max(0, line - 2) : line])
    if strange := sorted(set(filter(_looks_like_space, written))):
        names = ", ".join(map(_name_of, strange))
        hint = f"The line, or the one above it, contains {names}, which looks like a space but is not: replace it."
    return InputError(f"the file is not valid YAML: {rule}", where=source, line=line, hint=hint)


def _looks_like_space(character: str) -> bool:
    """Whether a character is invisible in an editor but not an ordinary space, e.g. a no-break or zero-width space."""
    return not character.isascii() and unicodedata.category(character) in ("Zs", "Zl", "Zp", "Cf")


def _name_of(character: object) -> str:
    """The code point of a character that cannot be printed, as text."""
    code = character if isinstance(character, int) else ord(str(character)[:1] or "\0")
    return f"U+{code:04X}"


def dump_yaml(value: Any) -> str:
    """YAML text from which `parse_yaml` reads an equal value; the order of keys is preserved."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


class _Reader:
    """Converts composed nodes to plain values and records their line numbers."""

    def __init__(self, source: Path | None) -> None:
        self.source = source
        self.lines: dict[KeyPath, int] = {}
        self._open: set[int] = set()
        self._count = 0

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        """The plain value of the node at ``path``."""
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._count += 1
        if self._count > NODE_LIMIT:
            raise InputError(
                f"a file may contain at most {NODE_LIMIT} values (with aliases expanded)", where=self.source, line=line
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, line)
        if id(node) in self._open:
            raise InputError("an alias refers to the value that contains it", where=self.source, line=line)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                self._check_tag(node, "seq", line)
                return [self.read(item, (*path, position)) for position, item in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            self._check_tag(node, "map", line)
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError("a key must be text", where=self.source, line=line)
            key = str(key_node.value)
            if key and key_node.style is None and (_looks_like_space(key[0]) or _looks_like_space(key[-1])):
                strange = next(filter(_looks_like_space, key))
                raise InputError(
                    f"the key {key.strip()!r} begins or ends with {_name_of(strange)}, which looks like a space but is "
                    "not",
                    where=self.source,
                    line=line,
                    hint="Replace it with a space.",
                )
            if key in found:
                raise InputError(
                    f"duplicate key, first on line {first[key]}",
                    where=self.source,
                    line=line,
                    field=".".join(map(str, (*path, key))),
                    hint="Keep one of the two.",
                )
            first[key] = line
            self.lines[(*path, key)] = line
            found[key] = self.read(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        kind, text = node.tag.removeprefix(_TAG), str(node.value)
        try:
            match kind:
                case "str":
                    return text
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}[text.lower()]
                case "int":
                    return int(text)
                case "float":
                    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except (ValueError, KeyError):
            raise InputError(f"the value cannot be read as {kind}", where=self.source, line=line, given=text) from None
        raise self._unknown_tag(node.tag, line)

    def _check_tag(self, node: yaml.Node, kind: str, line: int) -> None:
        if node.tag != _TAG + kind:
            raise self._unknown_tag(node.tag, line)

    def _unknown_tag(self, tag: str, line: int) -> InputError:
        return InputError(
            "YAML tags are not supported",
            where=self.source,
            line=line,
            given=tag.replace(_TAG, "!!"),
            hint="Write plain values.",
        )
