"""User-defined parts: read from a file next to the study, identified by their code, with their own options."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from own_files import ARMS, PARTS, write_study

import agrm_study as ags
from agrm_study.plan.expand import expand
from agrm_study.study.resolved import study_from_dict, study_to_dict


def ids(study: ags.Study) -> dict[str, str]:
    return {cell.arm: cell.trial_id for cell in expand(study, lambda recipe: ("data", "split")).cells}


@pytest.fixture
def before(tmp_path: Path) -> dict[str, str]:
    return ids(ags.load_study(write_study(tmp_path)))


def test_trials_that_use_no_part_are_those_of_a_study_without_parts(tmp_path: Path, before: dict[str, str]) -> None:
    plain = {arm: ARMS[arm] for arm in ("AGRM", "w/o MTM")}
    value = yaml.safe_load(write_study(tmp_path / "other", arms=plain).read_text())
    del value["parts"]
    assert ids(ags.load_study(value)) == {arm: before[arm] for arm in plain}


@pytest.mark.parametrize("old", ['"""Parts of one\'s own."""', "Strided convolutions, one after the other."])
def test_comments_and_docstrings_change_no_identity(tmp_path: Path, before: dict[str, str], old: str) -> None:
    changed = PARTS.replace(old, old.replace("o", "0")) + "# more\n"
    assert ids(ags.load_study(write_study(tmp_path, parts=changed))) == before


def test_an_edit_changes_the_trials_that_use_a_part_of_the_file_and_no_others(
    tmp_path: Path, before: dict[str, str]
) -> None:
    after = ids(ags.load_study(write_study(tmp_path, parts=PARTS.replace("padding=1", "padding=(1, 1, 1)"))))
    assert {arm for arm in ARMS if after[arm] != before[arm]} == {"plain", "plain, 2 blocks", "rising"}


def test_an_edit_of_a_module_that_the_parts_import_counts_and_one_of_others_does_not(
    tmp_path: Path, before: dict[str, str]
) -> None:
    file = write_study(tmp_path)
    (tmp_path / "unused.py").write_text("x = 1\n")
    assert ids(ags.load_study(file)) == before
    (tmp_path / "widths.py").write_text("SCALE = 2\n")
    after = ids(ags.load_study(file))
    assert {arm for arm in ARMS if after[arm] != before[arm]} == {"plain", "plain, 2 blocks", "rising"}


def test_an_option_at_its_default_is_the_same_trial_and_another_value_is_not(tmp_path: Path) -> None:
    arms = {name: {"model.backbone": "plain3d", "model.options.blocks": n} for name, n in (("3", 3), ("4", 4))}
    found = ids(ags.load_study(write_study(tmp_path, arms={"none": {"model.backbone": "plain3d"}, **arms})))
    assert found["none"] == found["3"] != found["4"]


def test_an_option_of_a_part_that_an_arm_does_not_use_cannot_act(tmp_path: Path, before: dict[str, str]) -> None:
    file = write_study(tmp_path)
    found = ids(ags.load_study(file, overrides={"model.options.blocks": 4}))
    assert found["AGRM"] == before["AGRM"]
    assert found["plain"] != before["plain"]
    assert found["plain, 2 blocks"] == before["plain, 2 blocks"]


def test_two_studies_with_parts_of_one_name_never_mix(tmp_path: Path) -> None:
    from agrm_study.training.models.build import count_parameters

    studies = [
        ags.load_study(write_study(tmp_path / str(scale), parts=PARTS.replace("SCALE *", f"{scale} *")))
        for scale in (1, 2)
    ]
    sizes = [count_parameters(s.arm("plain").recipe.model, n_outputs=3, frames=4, size=16) for s in studies]
    # 3 convolutions of 3x3x3 (channels 3, 4, 8, 16 or twice that), 2 numbers per channel in batch norm, 3 outputs.
    want = []
    for scale in (1, 2):
        widths = [3, 4 * scale, 8 * scale, 16 * scale]
        convolutions = sum(27 * a * b + 2 * b for a, b in pairwise(widths))
        want.append(convolutions + 3 * (widths[-1] * (1 + 4 + 16) + 1))
    assert sizes == want
    assert "widths" not in sys.modules


def test_a_study_read_back_from_results_has_the_same_trials_without_running_the_parts(tmp_path: Path) -> None:
    study = ags.load_study(write_study(tmp_path))
    again = study_from_dict(study_to_dict(study))
    assert ids(again) == ids(study)
    assert again.parts == study.parts


def test_a_search_may_pick_parts_and_their_options(tmp_path: Path) -> None:
    from agrm_study.plan.expand import TrialBuilder
    from agrm_study.plan.searches import searches

    value = yaml.safe_load(write_study(tmp_path).read_text())
    del value["arms"], value["reference"]
    space = {
        "model.backbone": {"choice": ["r3d_18", "plain3d"]},
        "model.options.blocks": {"int": [2, 4], "when": {"model.backbone": "plain3d"}},
    }
    value["search"] = {"trials": 4, "promote": 1, "seed": 9, "space": space}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(value, sort_keys=False))
    study = ags.load_study(tmp_path / "s.yaml")
    builder = TrialBuilder(study.name, lambda recipe: ("data", "split"), parts=study.parts)
    [search] = searches(study)
    [trial] = search.trials({"model.backbone": "plain3d", "model.options.blocks": 2}, builder)
    assert trial.recipe.model.backbone.startswith("plain3d@")
    assert trial.recipe.model.options == {"blocks": 2}
    assert search.trials({"model.backbone": "r3d_18"}, builder)[0].recipe.model.options == {}


def line_of(file: Path, text: str) -> int:
    return next(n for n, line in enumerate(file.read_text().splitlines(), start=1) if text in line)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("model.options.blocks", "two", "must be a whole number"),
        ("model.options.block", 2, "Did you mean `blocks`"),
        ("loss.options.blocks", 2, "no loss of this study has such an option"),
        ("model.backbone", "plain3", "Did you mean `plain3d`"),
        (
            "model.freeze",
            ["block1", "block9"],
            "given 'block9'; allowed: backbone, block1, block2",
        ),
    ],
)
def test_a_wrong_option_or_name_is_refused_with_file_and_line(
    tmp_path: Path, setting: str, value: object, words: str
) -> None:
    file = write_study(tmp_path, arms={"AGRM": {}, "plain": {"model.backbone": "plain3d", setting: value}})
    with pytest.raises(ags.InputError, match=words) as found:
        ags.load_study(file)
    assert f"s.yaml:{line_of(file, f'{setting}:')}" in str(found.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("SCALE *", "SCALE * ("), r"my_parts\.py:\d+: the file is not valid Python"),
        (("import agrm_study as ags", "import agrm_study as ags\nboom()"), r"my_parts\.py:7: .*NameError"),
        (('"plain3d"', '"r3d_18"'), "is the name of a built-in backbone"),
        (('"plain3d"', '"Plain 3D"'), "is not a valid name for a backbone"),
        (("class Plain3d(ags.Backbone)", "class Plain3d(nn.Module)"), "must derive from Backbone"),
        (("def threshold(self)", "def thresholds(self)"), "the threshold lacks threshold"),
        (("blocks: int = 3", "blocks: int"), "an option requires a default; given 'blocks'"),
    ],
)
def test_a_part_that_cannot_be_used_is_refused_in_words(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    with pytest.raises(ags.InputError, match=words):
        ags.load_study(write_study(tmp_path, parts=PARTS.replace(*change)))


def test_annotations_in_the_file_of_a_part_are_evaluated_as_in_any_module(tmp_path: Path) -> None:
    code = "def half(width: int) -> float: ...\n\n\nassert half.__annotations__ == {'width': int, 'return': float}\n"
    assert ags.load_study(write_study(tmp_path, parts=f"{PARTS}\n\n{code}")).parts


@pytest.mark.parametrize(
    ("entry", "words"),
    [("no.py", r"s\.yaml:\d+: `parts`: there is no such file"), ("no_such.module", "there is no such module")],
)
def test_an_entry_that_is_not_there_is_refused_with_its_line(tmp_path: Path, entry: str, words: str) -> None:
    with pytest.raises(ags.InputError, match=words):
        ags.load_study(write_study(tmp_path, entry=entry))


def test_a_module_beside_the_study_is_a_part_like_a_file(tmp_path: Path, before: dict[str, str]) -> None:
    file = write_study(tmp_path / "m", entry="lab.parts")
    (tmp_path / "m" / "lab").mkdir()
    (tmp_path / "m" / "lab" / "__init__.py").write_text("")
    (tmp_path / "m" / "lab" / "parts.py").write_text(PARTS.replace("from widths", "from lab.widths"))
    (tmp_path / "m" / "lab" / "widths.py").write_text("SCALE = 1\n")
    found = ids(ags.load_study(file))
    assert found["AGRM"] == before["AGRM"]
    assert found["plain"] != before["plain"]


def test_a_class_of_a_notebook_is_refused_with_the_remedy() -> None:
    with pytest.raises(ags.InputError, match=r"Move the class to a file and list that file"):
        ags.backbone("mine")(type("Mine", (), {"__module__": "__main__"}))


def test_the_schema_of_a_study_offers_its_parts_and_their_options(tmp_path: Path) -> None:
    import jsonschema
    from click.testing import CliRunner

    from agrm_study.cli.app import app

    file = write_study(tmp_path)
    done = CliRunner().invoke(app, ["schema", str(file)], catch_exceptions=False)
    schema = json.loads(done.stdout)
    value = yaml.safe_load(file.read_text())
    jsonschema.validate(value, schema)
    value["arms"][2]["set"]["model.options.blocks"] = "two"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, schema)
