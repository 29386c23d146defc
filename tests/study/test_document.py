"""YAML is read according to YAML 1.2, with the line of every value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agrm_study.study.document import dump_yaml, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 0.0001), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0), ("-.inf", float("-inf")), ("010", 10), ("-3", -3),
        ("no", "no"), ("off", "off"), ("yes", "yes"), ("On", "On"), ("y", "y"), ("true", True), ("False", False),
        ("~", None), ("null", None), ("", None), ("2026-01-01", "2026-01-01"), ("12:30", "12:30"), ("1_000", "1_000"),
        ("0x1f", "0x1f"), ("'1'", "1"), ("=", "="), ("<<", "<<"),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = parse_yaml(f"key: {text}\n").value["key"]
    assert found == value
    assert type(found) is type(value)


def test_every_value_has_its_line() -> None:
    document = parse_yaml("a: 1\nb:\n  c:\n    - x\n    - {d: 2}\n")
    assert document.line(("a",)) == 1
    assert document.line(("b", "c")) == 3
    assert document.line(("b", "c", 1, "d")) == 5
    assert document.line(("b", "c", 7, "e")) == 3


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")))
KEYS = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_what_is_written_is_read_back(value: Any) -> None:
    text = dump_yaml(value)
    assert parse_yaml(text).value == value
