"""Mutated study files: `plan` ends quickly, with a plan or with one message."""

from __future__ import annotations

import copy
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agrm_study.cli.app import main
from agrm_study.study.document import dump_yaml, read_yaml

SHIPPED = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
SEED = 14
MUTATIONS = 1000
SECONDS = 5.0
"""Processor time of one `plan`, at most."""

ODD: tuple[Any, ...] = (
    None, "", "0", "no", "\u202eevil", "<script>", "${x}", "a: b", "../../etc", "é" * 70, True, 0, -1, 1, 999, 2**63,
    -(2**70), 10**9, 10**30, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), [], {}, [[]], [None], [1, 1],
    {"x": 1}, {"": None}, {"choice": []}, {"float": [0, 1]}, {"when": {}}, {"race": {"most": 4}}, [{"name": "A"}],
    "2026-01-01", [0] * 50,
)  # fmt: skip
KEYS = ("search", "grid", "arms", "set", "data", "reference", "resources", "report", "seeds", "base", "name", "sharing",
        "ssl.ema.alpha", "epochs", "data.synthetic", "when", "name ", "")  # fmt: skip


def paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] + [found for key, inner in items for found in paths(inner, (*path, key))]


def at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def mutate(tree: dict[str, Any], rng: random.Random) -> None:
    """Change one place of a study in a way that keeps it YAML."""
    *parents, key = rng.choice(paths(tree)[1:])
    group, value = at(tree, tuple(parents)), copy.deepcopy(at(tree, (*parents, key)))
    match rng.randrange(9):
        case 0:
            del group[key]
        case 1 | 2 | 3:
            group[key] = copy.deepcopy(rng.choice(ODD))
        case 4:
            group[key] = [value, value] if rng.random() < 0.5 else {"x": value}
        case 5:
            group[key] = copy.deepcopy(at(tree, rng.choice(paths(tree)[1:])))
        case 6 if isinstance(group, dict):
            group[rng.choice(KEYS)] = group.pop(key)
        case 7 if isinstance(group, dict):
            group[rng.choice(KEYS)] = copy.deepcopy(rng.choice(ODD))
        case _:
            tree[rng.choice(KEYS)] = value


def write(text: str, rng: random.Random) -> str:
    """The text, sometimes with a character too many or too few."""
    if rng.random() < 0.9:
        return text
    place = rng.randrange(len(text))
    return text[:place] + rng.choice(("", "\t", "\u00a0", ":", "*", "]", '"', "\x07", "\n")) + text[place + 1 :]


@pytest.mark.slow
def test_a_mutated_study_is_planned_or_refused_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(SEED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGRM_STUDY_TRACEBACK", raising=False)
    codes: dict[int, int] = {}
    wrong: list[str] = []
    file = tmp_path / "study.yaml"
    studies = [read_yaml(path).value for path in SHIPPED]
    for number in range(MUTATIONS):
        tree = copy.deepcopy(rng.choice(studies))
        tree["data"] = {"synthetic": {"subjects": 18, "unlabelled": 8, "seed": 5}, "unlabelled_train": 6}
        for _ in range(rng.choice((1, 1, 1, 2))):
            if tree:
                mutate(tree, rng)
        file.write_text(write(dump_yaml(tree), rng), encoding="utf-8")
        preset = ["--preset", "tiny"] if rng.random() < 0.5 else []
        monkeypatch.setattr(sys, "argv", ["agrm-study", "plan", str(file), *preset])
        before = time.process_time()
        with pytest.raises(SystemExit) as ended:
            main()
        took, told = time.process_time() - before, capfd.readouterr()
        code = int(ended.value.code or 0)
        codes[code] = codes.get(code, 0) + 1
        if (
            code not in (0, 2)
            or "Traceback" in told.err
            or (code == 2) != told.err.startswith("error: ")
            or took > SECONDS
        ):
            (tmp_path / f"wrong{number}.yaml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
            wrong.append(f"{number} {' '.join(preset)}: exit {code}, {took:.1f} s, {told.err[-300:]}")
    assert not wrong, "\n".join(wrong)
    assert codes[0] > 100
    assert codes[2] > 300
