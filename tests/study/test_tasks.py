"""User-defined tasks: their definition, and the messages for invalid ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.recipe import Recipe
from agrm_study.study.resolved import read_resolved, study_to_dict, write_resolved
from agrm_study.study.study import Study
from agrm_study.study.tasks import BUILT_IN, make_task, task_from_plain, task_to_plain
from agrm_study.study.translate import Rule

HEAD = "name: own\nseeds: [0]\ndata: {synthetic: {subjects: 30}}\nset: {ssl.method: supervised}\n"
ARMS = "arms: [{name: A}, {name: B, set: {model.width: 8}}]\nreference: A\n"
SEVERITY = "  severity:\n    classes:\n      healthy: [normal]\n      mild: [m1, m2]\n      severe: [s]\n"


def load(folder: Path, tasks: str, more: str = "", **options: object) -> Study:
    file = folder / "study.yaml"
    file.write_text(f"{HEAD}tasks:\n{tasks}{more}{ARMS}", encoding="utf-8")
    return load_study(file, **options)  # type: ignore[arg-type]


def message(folder: Path, tasks: str, more: str = "") -> str:
    with pytest.raises(InputError) as caught:
        load(folder, tasks, more)
    return str(caught.value)


def test_a_task_of_ones_own_maps_labels_to_classes_in_the_order_of_the_file(tmp_path: Path) -> None:
    study = load(tmp_path, SEVERITY + "    ordered: true\n  three_class: {}\n")
    assert list(study.tasks) == ["severity", "three_class"]
    task = study.tasks["severity"]
    assert (task.classes, task.labels) == (("healthy", "mild", "severe"), (("normal",), ("m1", "m2"), ("s",)))
    assert [task.class_index(label) for label in ("normal", "m2", "s", "other", None)] == [0, 1, 2, None, None]
    assert task.order == (0, 1, 2)
    assert study.tasks["three_class"] == BUILT_IN["three_class"]
    assert study.trial_recipe(study.arms[0], "severity", 0).classes == task.classes


def test_the_positive_class_has_index_one_wherever_it_is_written(tmp_path: Path) -> None:
    first = load(tmp_path, "  s: {classes: {ill: [m1, s], well: [normal]}, positive: ill}\n").tasks["s"]
    last = load(tmp_path, "  s: {classes: {well: [normal], ill: [s, m1]}, positive: ill}\n").tasks["s"]
    assert first == last
    assert first.classes == ("well", "ill")


def test_labels_may_be_numbers_a_single_word_or_in_another_unicode_form(tmp_path: Path) -> None:
    task = load(tmp_path, "  s: {classes: {0: 0, 1: [1, 2], schwer: 'gro\u0308ßer'}}\n").tasks["s"]
    assert task.labels == (("0",), ("1", "2"), ("gr\u00f6ßer",))
    assert task.classes == ("0", "1", "schwer")


def test_a_list_and_a_mapping_of_built_in_tasks_are_the_same_study(tmp_path: Path) -> None:
    mapped = load(tmp_path, "  two_class: {}\n  three_class:\n")
    listed = load(tmp_path, "  [two_class, three_class]\n")
    assert mapped == listed
    assert study_to_dict(mapped)["tasks"] == ["two_class", "three_class"]


def test_the_resolved_study_keeps_the_tasks(tmp_path: Path) -> None:
    study = load(
        tmp_path, SEVERITY + "    ordered: true\n  screening: {classes: {ill: [s], well: [m1]}, positive: ill}\n"
    )
    write_resolved(study, tmp_path / "resolved.yaml")
    again = read_resolved(tmp_path / "resolved.yaml")
    assert again == study
    assert list(again.tasks) == ["severity", "screening"]


@pytest.mark.parametrize("name", ["two_class", "severity"])
def test_a_task_survives_the_settings_of_a_recipe(tmp_path: Path, name: str) -> None:
    study = load(tmp_path, SEVERITY + "  two_class: {}\n")
    recipe = study.trial_recipe(study.arms[0], name, 0)
    assert Recipe.model_validate_json(json.dumps(recipe.settings()), strict=True) == recipe
    assert task_from_plain(json.loads(json.dumps(task_to_plain(recipe.task)))) == recipe.task


def test_the_classes_of_a_built_in_task_have_its_identity_under_any_name() -> None:
    three = BUILT_IN["three_class"]
    mine = make_task("mine", {name: [name] for name in three.classes})
    assert mine.identity == "three_class"
    assert mine.order == three.order == (1, 0, 2)
    assert make_task("mine", {"normal": ["normal"], "abnormal": ["genu_varum", "genu_valgum"]}).identity != "two_class"


def test_identity_is_the_mapping_and_not_the_name() -> None:
    def task(name: str = "t", **more: object) -> object:
        classes = more.pop("classes", {"a": ["1", "2"], "b": ["3"], "c": ["4"]})
        return make_task(name, classes, **more).identity  # type: ignore[arg-type]

    assert task() == task("other") == task(classes={"a": ["2", "1"], "b": ["3"], "c": ["4"]})
    different = [
        task(),
        task(ordered=True),
        task(classes={"b": ["3"], "a": ["1", "2"], "c": ["4"]}),
        task(classes={"a": ["1"], "b": ["3"], "c": ["4"]}),
        task(classes={"x": ["1", "2"], "b": ["3"], "c": ["4"]}),
        task(classes={"a": ["1"], "b": ["2"]}),
        task(classes={"a": ["1"], "b": ["2"]}, positive="b"),
    ]
    assert len({json.dumps(each) for each in different}) == len(different)


BAD = {
    "a label in two classes": (
        "  s:\n    classes: {a: [x, y], b: [y]}\n",
        ["study.yaml:7: `tasks.s.classes`", "label y is in two classes, a and b"],
    ),
    "a label twice in a class": ("  s: {classes: {a: [x, x], b: [y]}}\n", [":6: `tasks.s.classes`", "twice in a"]),
    "one class": ("  s: {classes: {a: [x, y]}}\n", [":6: `tasks.s.classes`", "2 to 50 classes, has one, a"]),
    "no class": ("  s: {classes: {}}\n", [":6: `tasks.s.classes`", "2 to 50 classes, has 0"]),
    "too many classes": (
        "  s: {classes: {" + ", ".join(f"c{i}: [l{i}]" for i in range(51)) + "}}\n",
        [":6: `tasks.s.classes`", "2 to 50 classes, has 51"],
    ),
    "a class without a label": ("  s: {classes: {a: [], b: [y]}}\n", [":6: `tasks.s.classes`", "class a has no label"]),
    "a label that is no text": ("  s: {classes: {a: [true], b: [y]}}\n", ["`tasks.s.classes.a`", "Quote the label"]),
    "a positive class that is none": (
        "  s:\n    classes: {well: [x], ill: [y]}\n    positive: il\n",
        ["study.yaml:8: `tasks.s.positive`", "one of the classes", "given 'il'", "Did you mean `ill`?"],
    ),
    "a positive class of three": (
        "  s: {classes: {a: [x], b: [y], c: [z]}, positive: b}\n",
        [":6: `tasks.s.positive`", "two classes; this task has 3"],
    ),
    "two ordered classes": (
        "  s:\n    classes: {a: [x], b: [y]}\n    ordered: true\n",
        ["study.yaml:8: `tasks.s.ordered`", "at least three classes", "`positive`"],
    ),
    "an unknown key": ("  s: {clases: {a: [x], b: [y]}}\n", [":6: `tasks.s.clases`", "Did you mean `classes`?"]),
    "no classes at all": ("  severty: {}\n", ["`tasks`", "task severty requires classes", "two_class, three_class"]),
    "a built-in task changed": (
        "  three_class: {classes: {a: [x], b: [y]}}\n",
        ["`tasks`", "three_class is a built-in task", "different name"],
    ),
    "two equal tasks": (
        "  s: {classes: {a: [x], b: [y]}}\n  t: {classes: {a: [x], b: [y]}}\n",
        ["`tasks`", "s and t have the same classes"],
    ),
    "a copy of a built-in task beside it": (
        "  three_class: {}\n  t: {classes: {normal: [normal], genu_varum: [genu_varum], genu_valgum: [genu_valgum]}}\n",
        ["three_class and t have the same classes"],
    ),
    "a name that is none": (
        "  'my task': {classes: {a: [x], b: [y]}}\n",
        ["`tasks`", "'my task' is not a valid task name"],
    ),
    "tasks of one's own in a list": ("  [severity]\n", ["no task 'severity'", "NAME: {classes"]),
}


@pytest.mark.parametrize("what", BAD)
def test_a_wrong_task_is_told_by_line_field_and_rule(what: str, tmp_path: Path) -> None:
    tasks, pieces = BAD[what]
    told = message(tmp_path, tasks)
    for piece in pieces:
        assert piece in told, told


def test_corn_needs_an_order(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    text = HEAD.replace("supervised}", "supervised, loss.name: corn}") + f"tasks:\n{SEVERITY}{ARMS}"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_study(file)
    for piece in ("study.yaml:4: `loss.name`", "task severity are not ordered", "given 'corn'", "`ordered: true`"):
        assert piece in str(caught.value)
    file.write_text(text.replace("severe: [s]\n", "severe: [s]\n    ordered: true\n"), encoding="utf-8")
    assert load_study(file).tasks["severity"].order == (0, 1, 2)


def test_corn_in_one_arm_is_told_at_that_arm_for_every_task_without_an_order(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    arms = "arms:\n  - {name: A}\n  - {name: B, set: {loss.name: corn}}\nreference: A\n"
    file.write_text(f"{HEAD}tasks:\n  two_class: {{}}\n  three_class: {{}}\n{SEVERITY}{arms}", encoding="utf-8")
    with pytest.raises(InputError, match=r"study\.yaml:15: `arm B: loss\.name`.*the task severity are not ordered"):
        load_study(file)


def test_a_binary_metric_needs_a_positive_class(tmp_path: Path) -> None:
    binary = "  s: {classes: {well: [x], ill: [y]}}\n"
    told = message(tmp_path, binary, "primary_metric: sensitivity\n")
    assert "study.yaml:7: `primary_metric`" in told
    assert "`positive: ill` in the task s" in told
    positive = binary.replace("}}", "}, positive: ill}")
    assert load(tmp_path, positive, "primary_metric: sensitivity\n").primary_metric == "sensitivity"


@pytest.mark.parametrize("request_", ["tables: [screening]", "figures: [roc]"])
def test_a_binary_table_or_figure_needs_a_positive_class(tmp_path: Path, request_: str) -> None:
    told = message(tmp_path, "  s: {classes: {well: [x], ill: [y]}}\n", f"report: {{{request_}}}\n")
    assert "study.yaml:7: `report." in told
    assert "requires a task with a positive class" in told
    assert "`positive: ill` in the task s" in told


def test_make_task_checks_the_same_rules() -> None:
    with pytest.raises(Rule, match="in two classes"):
        make_task("t", {"a": ["x"], "b": ["x"]})
