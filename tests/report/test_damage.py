"""Damage of every kind to a finished study is refused, reported next to the number, or without effect."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic_records import ABLATION, write_results

from agrm_study.records.integrity import weights_digest
from agrm_study.records.whole import check_results
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.tables import table_kind
from agrm_study.study.errors import InputError

STUDY = ABLATION.replace("[two_class, three_class]", "[two_class]").replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")
WEIGHTS = bytes(range(256)) * 20
KINDS = ("trials", "epochs", "predictions", "subjects")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    def change(trial, blocks, rows):
        trial["weights_digest"] = weights_digest(WEIGHTS)
        folder = root / "checkpoints" / trial["trial_id"]
        folder.mkdir(parents=True)
        (folder / "best.safetensors").write_bytes(WEIGHTS)

    root = tmp_path_factory.mktemp("damage") / "r"
    return write_results(root, STUDY, subjects=12, epochs=4, change=change)


def numbers(evidence):
    """All that a report's numbers are made of."""
    cells = {k: (c.seeds, c.subjects, c.labels_N.tolist(), c.probs_SNK.tobytes()) for k, c in evidence.cells.items()}
    rows = evidence.trials.drop(columns=["started_at"]).to_json()
    return cells, rows, evidence.epochs().to_json(), evidence.subjects.to_json(), evidence.planned


@pytest.fixture(scope="module")
def before(whole):
    return numbers(collect(whole))


def judge(root, before):
    """Reports the folder; whether its numbers are those of the whole study, and what is said about it."""
    try:
        evidence = collect(root)
        m = Measurements(evidence)
        for name in ("ablation", "splits", "failures", "networks", "thresholds"):
            if table_kind(name).unfit(m) is None:
                table_kind(name).build(m)
        equal = numbers(evidence) == before
    except InputError as refusal:
        return False, str(refusal)
    said = [str(f) for f in evidence.problems] + ([evidence.partial] if evidence.partial else [])
    return equal, "; ".join([*said, *check_results(root)])


def table_edit(edit):
    def damage(path, rng):
        table = pq.read_table(path)
        frame = edit(table.to_pandas(), rng)
        pq.write_table(pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False), path)

    return damage


def cut(share):
    return lambda path, rng: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def flip(path, rng):
    content = bytearray(path.read_bytes())
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def to_folder(path, rng):
    path.unlink()
    path.mkdir()


def to_link(path, rng):
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def from_neighbour(path, rng):
    others = sorted(p for p in path.parent.iterdir() if p != path and p.is_file())
    if others:
        shutil.copy(others[int(rng.integers(len(others)))], path)
    else:
        path.write_bytes(b"")


def without_column(path, rng):
    table = pq.read_table(path)
    name = table.column_names[int(rng.integers(len(table.column_names)))]
    pq.write_table(table.drop_columns([name]), path)


def column_as_text(path, rng):
    table = pq.read_table(path)
    place = int(rng.integers(table.num_columns))
    values = pa.array([str(v) for v in table.column(place).to_pylist()])
    pq.write_table(table.set_column(place, table.column_names[place], values), path)


def column_of_nulls(path, rng):
    table = pq.read_table(path)
    place = int(rng.integers(table.num_columns))
    values = pa.nulls(table.num_rows, table.schema.types[place])
    pq.write_table(table.set_column(place, pa.field(table.column_names[place], values.type), values), path)


def other_number(path, rng):
    table = pq.read_table(path)
    places = [i for i, t in enumerate(table.schema.types) if pa.types.is_integer(t) or pa.types.is_floating(t)]
    place = places[int(rng.integers(len(places)))]
    values = table.column(place).to_pylist()
    row = int(rng.integers(len(values)))
    values[row] = (values[row] or 0) + 1
    column = pa.array(values, table.schema.types[place])
    pq.write_table(table.set_column(place, table.schema.field(place), column), path)


def other_text(path, rng):
    table = pq.read_table(path)
    places = [i for i, t in enumerate(table.schema.types) if pa.types.is_string(t)]
    place = places[int(rng.integers(len(places)))]
    values = table.column(place).to_pylist()
    row = int(rng.integers(len(values)))
    values[row] = f"{values[row]}x"
    column = pa.array(values, table.schema.types[place])
    pq.write_table(table.set_column(place, table.schema.field(place), column), path)


RECORDS = {
    "deleted": lambda path, rng: path.unlink(),
    "emptied": lambda path, rng: path.write_bytes(b""),
    "cut to a tenth": cut(0.1),
    "cut by a little": cut(0.98),
    "zeroed": lambda path, rng: path.write_bytes(bytes(path.stat().st_size)),
    "text": lambda path, rng: path.write_text("trial_id\n1\n"),
    "folder": to_folder,
    "dangling link": to_link,
    "of another": from_neighbour,
    "bit flipped": flip,
    "no rows": table_edit(lambda f, rng: f.head(0)),
    "first row lost": table_edit(lambda f, rng: f.iloc[1:]),
    "last row lost": table_edit(lambda f, rng: f.iloc[:-1]),
    "row duplicated": table_edit(lambda f, rng: pd.concat([f, f.sample(1, random_state=int(rng.integers(99)))])),
    "rows duplicated": table_edit(lambda f, rng: pd.concat([f, f])),
    "column lost": without_column,
    "column as text": column_as_text,
    "column of nulls": column_of_nulls,
    "number changed": other_number,
    "text changed": other_text,
}


def plan_edit(edit):
    def damage(root, rng):
        plan = json.loads((root / "plan.json").read_text())
        edit(plan, rng)
        (root / "plan.json").write_text(json.dumps(plan))

    return damage


def swap_ids(plan, rng):
    i, j = rng.choice(len(plan["cells"]), 2, replace=False)
    a, b = plan["cells"][i], plan["cells"][j]
    a["trial_id"], b["trial_id"] = b["trial_id"], a["trial_id"]


def some_cell(edit):
    return plan_edit(lambda plan, rng: edit(plan["cells"], int(rng.integers(len(plan["cells"])))))


SMALL_FILES = {
    "plan deleted": lambda root, rng: (root / "plan.json").unlink(),
    "plan cut": lambda root, rng: cut(0.5)(root / "plan.json", rng),
    "plan a list": lambda root, rng: (root / "plan.json").write_text("[1]"),
    "plan of numbers": plan_edit(lambda plan, rng: plan.update(cells=[1, 2])),
    "cells of nulls": some_cell(lambda cells, i: cells[i].update(arm=None)),
    "cell with a list": some_cell(lambda cells, i: cells[i].update(trial_id=["a"])),
    "cell lost": some_cell(lambda cells, i: cells.pop(i)),
    "cell twice": some_cell(lambda cells, i: cells.append(dict(cells[i]))),
    "cell of two trials": some_cell(lambda cells, i: cells.append(cells[i] | {"trial_id": cells[i - 1]["trial_id"]})),
    "other seed": some_cell(lambda cells, i: cells[i].update(seed=7)),
    "other arm": some_cell(lambda cells, i: cells[i].update(arm="nobody")),
    "trial ids swapped": plan_edit(swap_ids),
    "study cut": lambda root, rng: cut(0.5)(root / "study.yaml", rng),
    "study emptied": lambda root, rng: (root / "study.yaml").write_text(""),
    "study a folder": lambda root, rng: to_folder(root / "study.yaml", rng),
    "provenance cut": lambda root, rng: cut(0.5)(root / "provenance.json", rng),
    "weights deleted": lambda root, rng: some_weights(root, rng).unlink(),
    "weights flipped": lambda root, rng: flip(some_weights(root, rng), rng),
    "weights cut": lambda root, rng: cut(0.5)(some_weights(root, rng), rng),
}


def some_weights(root, rng):
    files = sorted((root / "checkpoints").glob("*/best.safetensors"))
    return files[int(rng.integers(len(files)))]


def some_record(root, kind, rng):
    files = sorted((root / "records" / kind).iterdir())
    return files[int(rng.integers(len(files)))]


@pytest.mark.slow
@pytest.mark.parametrize("damage", RECORDS)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_records_are_refused_or_marked(tmp_path, whole, before, kind, damage):
    for place in range(3):
        rng = np.random.default_rng([place, KINDS.index(kind), sorted(RECORDS).index(damage)])
        root = tmp_path / str(place)
        shutil.copytree(whole, root)
        RECORDS[damage](some_record(root, kind, rng), rng)
        equal, said = judge(root, before)
        assert equal or said, place


@pytest.mark.slow
@pytest.mark.parametrize("damage", SMALL_FILES)
def test_damaged_small_files_and_weights_are_refused_or_marked(tmp_path, whole, before, damage):
    for place in range(3):
        rng = np.random.default_rng([place, sorted(SMALL_FILES).index(damage)])
        root = tmp_path / str(place)
        shutil.copytree(whole, root)
        SMALL_FILES[damage](root, rng)
        _, said = judge(root, before)
        assert said, place
