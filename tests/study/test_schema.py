"""The editor schema agrees with what loading accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agrm_study.study.schema import study_schema
from agrm_study.study.settings import known_settings


def test_the_schema_is_json_and_its_references_resolve() -> None:
    schema = study_schema()
    text = json.dumps(schema)
    names = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert names <= set(schema["$defs"])


def test_every_setting_is_offered_by_its_dotted_name() -> None:
    settings = study_schema()["$defs"]["Settings"]
    assert set(known_settings()) <= set(settings["properties"])
    assert settings["additionalProperties"] is False
    assert settings["properties"]["ssl.ema.alpha"]["exclusiveMaximum"] == 1
    assert settings["properties"]["ssl.method"]["enum"] == [
        "supervised",
        "mean_teacher",
        "pseudo_label",
        "fixmatch",
        "agrm",
    ]


def test_unknown_keys_and_two_ways_of_varying_are_refused() -> None:
    schema = study_schema()
    assert schema["additionalProperties"] is False
    assert [option["required"] for option in schema["oneOf"]] == [["arms"], ["grid"], ["search"]]


def integers(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if node.get("type") == "integer":
            yield path, node
        for key, inner in node.items():
            yield from integers(inner, f"{path}/{key}")
    elif isinstance(node, list):
        for position, inner in enumerate(node):
            yield from integers(inner, f"{path}/{position}")


def test_every_integer_has_an_upper_bound() -> None:
    found = dict(integers(study_schema()))
    assert len(found) > 30
    assert [path for path, node in found.items() if "maximum" not in node and "enum" not in node] == []
