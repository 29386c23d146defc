"""Invalid study files of every kind, and the required content of their messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from agrm_study.study.errors import InputError, InputErrors
from agrm_study.study.load import load_study

HEAD = """\
name: trial
tasks: [two_class]
seeds: [0, 1]
data: {synthetic: {subjects: 12, unlabelled: 12}}
"""

ARMS = HEAD + "arms:\n  - {name: AGRM}\n"


def message(folder: Path, text: str, **options: object) -> str:
    file = folder / "study.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_study(file, **options)  # type: ignore[arg-type]
    told = str(caught.value)
    assert "Traceback" not in told
    return told


def check(told: str, *pieces: str) -> None:
    for piece in pieces:
        assert piece in told, told


CONDITIONAL = (
    HEAD
    + """\
grid:
  ssl.method: [supervised, agrm]
  ssl.threshold.policy: {when: {ssl.method: agrm}, values: [fixed, flexmatch]}
"""
)

BAD_FILES = {
    "a group where two numbers belong": (
        ARMS + "set: {optimizer.betas: {a: 1}}\n",
        ["study.yaml:7: `optimizer.betas`", "must be a list"],
    ),
    "arms as a group": (
        HEAD + "arms:\n  AGRM: {}\n  low: {ssl.threshold.tau: 0.5}\n",
        ["study.yaml:5: `arms`", "must be a list of arms", "Write `- {name: AGRM, set: {…}}`"],
    ),
    "names that differ in their Unicode form": (
        HEAD + "arms: [{name: Zo\u00e9}, {name: Zoe\u0301, set: {epochs: 50}}]\n",
        ["study.yaml:5: `arms`", "two arms have this name"],
    ),
    "a grid's condition that never holds": (
        HEAD + "grid:\n  ssl.method: [supervised, agrm]\n"
        "  ssl.threshold.tau: {when: {ssl.method: agmr}, values: [0.7, 0.8]}\n",
        [
            "study.yaml:7: `grid.ssl.threshold.tau.when`",
            "can never be met",
            "given 'agmr'",
            "allowed: supervised, agrm",
            "Did you mean `agrm`?",
        ],
    ),
    "a search's condition that never holds": (
        HEAD + "search:\n  trials: 4\n  space:\n    optimizer.lr: {float: [1e-5, 1e-3]}\n"
        "    ssl.threshold.tau: {float: [0.5, 0.9], when: {optimizer.lr: 0.1}}\n",
        [
            "study.yaml:9: `search.space.ssl.threshold.tau.when`",
            "can never be met",
            "given 0.1",
            "allowed: 1e-05 to 0.001",
        ],
    ),
    "a search's condition on one value of a continuous range": (
        HEAD + "search:\n  trials: 4\n  space:\n    ssl.threshold.tau: {float: [0.5, 0.9]}\n"
        "    ssl.ema.alpha: {float: [0.9, 0.99], when: {ssl.threshold.tau: 0.7}}\n",
        [
            "study.yaml:9: `search.space.ssl.ema.alpha.when`",
            "can never be met",
            "0.5 to 0.9; a condition requires a `choice`",
        ],
    ),
    "a search's condition on a value between two steps": (
        HEAD + "search:\n  trials: 4\n  space:\n    batch.labelled: {int: [4, 8], step: 2}\n"
        "    ssl.ema.alpha: {float: [0.9, 0.99], when: {batch.labelled: 5}}\n",
        ["study.yaml:9: `search.space.ssl.ema.alpha.when`", "can never be met", "allowed: 4 to 8 in steps of 2"],
    ),
    "a search whose single choice forbids the values of another setting": (
        HEAD + "search:\n  trials: 4\n  space:\n    ssl.batch_norm: {choice: [joint]}\n"
        "    batch.accumulate: {choice: [2, 4]}\n",
        ["study.yaml:9: `search.space: batch.accumulate`", "must be 1 with ssl.batch_norm joint", "given 4"],
    ),
    "conditions that never hold together": (
        CONDITIONAL
        + "  ssl.threshold.tau: {when: {ssl.threshold.policy: fixed, ssl.method: supervised}, values: [0.7, 0.8]}\n",
        ["study.yaml:8: `grid.ssl.threshold.tau.when`", "can never be met: ssl.method has different values"],
    ),
    "a no-break space in the indentation": (
        ARMS + "set:\n\u00a0 epochs: 50\n",
        ["study.yaml:", "U+00A0", "looks like a space"],
    ),
    "a no-break space after a colon": (
        ARMS + "reference:\u00a0AGRM\nquestion: q\n",
        ["study.yaml:", "U+00A0", "looks like a space"],
    ),
    "a tab in the indentation": (ARMS + "set:\n\tepochs: 50\n", ["study.yaml:8: ", "indented with a tab (U+0009)"]),
    "a colon in a text": (
        ARMS + "question: Is it: better?\n",
        ["study.yaml:7: ", "`:` follows text that cannot be a key", "Quote text"],
    ),
    "a seed that no record can hold": (
        ARMS.replace("[0, 1]", "[0, 9223372036854775808]"),
        ["study.yaml:3: `seeds`", "seed 9223372036854775808 is larger than 2^63 - 1"],
    ),
    "a search seed that no record can hold": (
        HEAD + "search:\n  trials: 1\n  seed: 9223372036854775808\n  space: {epochs: {int: [20, 30]}}\n",
        ["study.yaml:7: `search.seed`", "must be at most 9223372036854775807"],
    ),
    "more seeds than any study has": (
        ARMS.replace("[0, 1]", "100000000"),
        ["study.yaml:3: `seeds`", "at most 1000000 seeds", "given 100000000"],
    ),
    "a race of more seeds than any study has": (
        ARMS.replace("[0, 1]", "{race: {most: 100000000}}"),
        ["study.yaml:3: `seeds`", "race.most must be at most 1000000, not 100000000"],
    ),
    "more trials than any study has": (
        ARMS.replace("[0, 1]", "600000").replace("[two_class]", "[two_class, three_class]"),
        ["study.yaml:3: `seeds`", "1200000 trials (1 arm × 2 tasks × 600000 seeds)", "more than 1000000"],
    ),
    "more search trials than any study has": (
        HEAD + "search: {trials: 999999, space: {epochs: {int: [20, 30]}}}\n",
        ["study.yaml:3: `seeds`", "1000007 trials (999999 search trials + 4 arms × 1 task × 2 seeds)"],
    ),
    "more epochs than any training has": (
        ARMS + "set: {epochs: 10000000}\n",
        ["study.yaml:7: `epochs`", "must be at most 100000", "given 10000000"],
    ),
    "a batch that fills any memory": (
        ARMS + "set: {batch.labelled: 1000000}\n",
        ["`batch.labelled`", "at most 100000"],
    ),
    "more folds than subjects": (ARMS + "set: {data.folds: 1000000}\n", ["`data.folds`", "must be at most 1000"]),
    "a share of a GPU that is next to nothing": (
        ARMS + "resources: {gpu: 1/1000000000}\n",
        ["`resources.gpu`", "must be 0 or at least 1/1000"],
    ),
    "an unknown key of the study": (ARMS + "seed_count: 3\n", ["study.yaml:7: `seed_count`", "no such key", "seeds"]),
    "a recipe section at the top": (
        ARMS + "ssl: {method: agrm}\n",
        ["study.yaml:7: `ssl`", "not a key of the study", "under `set:`"],
    ),
    "an unknown setting": (
        ARMS + "set:\n  ssl.ema.alhpa: 0.9\n",
        ["study.yaml:8: `ssl.ema.alhpa`", "no such setting", "Did you mean `ssl.ema.alpha`?"],
    ),
    "a setting by its last name": (
        ARMS + "set: {tau: 0.9}\n",
        ["study.yaml:7: `tau`", "Did you mean `ssl.threshold.tau`?"],
    ),
    "an unknown nested setting": (
        ARMS + "set:\n  ssl:\n    ema: {beta: 0.9}\n",
        ["study.yaml:9: `ssl.ema.beta`", "no such setting"],
    ),
    "a value where a group is needed": (
        ARMS + "set: {ssl: 3}\n",
        ["study.yaml:7: `ssl`", "must be a group", "given 3"],
    ),
    "a wrong type": (
        ARMS + "set: {epochs: many}\n",
        ["study.yaml:7: `epochs`", "must be a whole number", "given 'many'"],
    ),
    "true for a number": (ARMS + "set: {epochs: true}\n", ["`epochs`", "must be a whole number", "given True"]),
    "a number in quotes": (ARMS + "set: {epochs: '5'}\n", ["`epochs`", "must be a whole number", "given '5'"]),
    "a value out of range": (
        ARMS + "set:\n  ssl.ema.alpha: 1.5\n",
        ["study.yaml:8: `ssl.ema.alpha`", "must be less than 1", "given 1.5"],
    ),
    "a value that does not exist": (
        ARMS + "set: {ssl.method: supervized}\n",
        [
            "`ssl.method`",
            "given 'supervized'",
            "allowed: supervised, mean_teacher, pseudo_label, fixmatch, agrm",
            "Did you mean `supervised`?",
        ],
    ),
    "not a number": (ARMS + "set: {clip.fps: .nan}\n", ["`clip.fps`", "must be a finite number"]),
    "two settings that do not fit": (
        ARMS + "set:\n  clip.resize: 100\n  clip.size: 112\n",
        ["study.yaml:9: `clip`", "size must be at most resize (100)", "112"],
    ),
    "a bin that is no pair": (
        ARMS + "set: {model.pooling.bins: [[1]]}\n",
        ["`model.pooling.bins[0]`", "must contain at least 2 values"],
    ),
    "a setting twice": (
        ARMS + "set: {ssl.ema.alpha: 0.9, ssl: {ema: {alpha: 0.99}}}\n",
        ["`ssl.ema.alpha`", "given twice", "line 7"],
    ),
    "a setting under data and set": (
        ARMS + "set: {data.subset: balanced}\n".replace("subset: balanced", "synthetic.subjects: 20"),
        ["study.yaml:7: `data.synthetic.subjects`", "given twice", "line 4"],
    ),
    "an environment variable": (
        ARMS + "set: {data.split_file: '${oc.env:HOME}/s.csv'}\n",
        ["`data.split_file`", "interpolation is not supported"],
    ),
    "a task as a setting": (
        ARMS + "set: {task: two_class}\n",
        ["`task`", "List the tasks under `tasks`, e.g. `tasks:"],
    ),
    "a seed as a setting": (ARMS + "set: {seed: 3}\n", ["`seed`", "List the seeds under `seeds`, e.g. `seeds:"]),
    "a key twice": (ARMS + "name: again\n", ["study.yaml:7: `name`", "duplicate key", "first on line 1"]),
    "no YAML": ("name: [\n", ["study.yaml:", "not valid YAML"]),
    "a Python object": ("name: !!python/name:os.system\n", ["study.yaml:1", "tags are not supported"]),
    "a list": ("- 1\n", ["study.yaml:1", "a group of keys"]),
    "an empty file": ("# nothing\n", ["study.yaml", "the study is empty"]),
    "no arms": (HEAD, ["study.yaml", "the study is empty", "arms, grid, search"]),
    "an empty list of arms": (HEAD + "arms: []\n", ["study.yaml:5: `arms`", "at least one arm"]),
    "an empty grid": (HEAD + "grid: {}\n", ["study.yaml:5: `grid`", "at least one factor"]),
    "arms and grid": (
        ARMS + "grid: {ssl.ema.alpha: [0.9]}\n",
        [
            "study.yaml:7: `arms and grid`",
            "a study must define exactly one of arms, grid and search",
            "allowed: arms, grid, search",
        ],
    ),
    "no name": (ARMS.replace("name: trial\n", ""), ["study.yaml", "`name`: is required"]),
    "a name that is no folder": (
        ARMS.replace("trial", "a/b"),
        ["study.yaml:1: `name`", "name of a folder", "given 'a/b'"],
    ),
    "no seeds": (ARMS.replace("[0, 1]", "[]"), ["study.yaml:3: `seeds`", "at least one seed"]),
    "a seed twice": (ARMS.replace("[0, 1]", "[0, 1, 0]"), ["study.yaml:3: `seeds`", "duplicate seed 0"]),
    "a seed that is no number": (ARMS.replace("[0, 1]", "[0, x]"), ["`seeds`", "seed 'x' is not a non-negative"]),
    "a negative seed": (ARMS.replace("[0, 1]", "[-1]"), ["`seeds`", "seed -1 is not a non-negative whole number"]),
    "no tasks": (ARMS.replace("[two_class]", "[]"), ["study.yaml:2: `tasks`", "at least one task"]),
    "an unknown task": (
        ARMS.replace("[two_class]", "[four_class]"),
        ["study.yaml:2: `tasks`", "no task 'four_class'", "allowed: two_class, three_class"],
    ),
    "a task twice": (ARMS.replace("[two_class]", "[two_class, two_class]"), ["`tasks`", "duplicate task two_class"]),
    "an arm's invalid recipe": (
        ARMS + "  - {name: too high}\n  - {name: broken, set: {ssl.threshold.tau: 1.2}}\n",
        ["study.yaml:8: `arm broken: ssl.threshold.tau`", "must be at most 1", "given 1.2"],
    ),
    "an arm's unknown setting": (
        ARMS + "  - name: broken\n    set:\n      ssl.treshold.tau: 0.9\n",
        ["study.yaml:9: `ssl.treshold.tau`", "Did you mean `ssl.threshold.tau`?"],
    ),
    "an arm that does not fit the base": (
        ARMS + "  - {name: large, set: {clip.size: 400}}\n",
        ["study.yaml:7: `arm large: clip`", "size must be at most resize (256)", "400"],
    ),
    "an arm without name": (
        ARMS + "  - {set: {ssl.ema.alpha: 0.9}}\n",
        ["study.yaml:7: `arms[1].name`", "is required"],
    ),
    "an arm with an unknown key": (
        ARMS + "  - {name: b, sett: {}}\n",
        ["study.yaml:7: `arms[1].sett`", "no such key", "Did you mean `set`?"],
    ),
    "an arm's name twice": (
        ARMS + "  - {name: agrm}\n",
        ["study.yaml:7: `arms`", "two arms have this name", "line 6", "given 'agrm'"],
    ),
    "an accelerator that only some arms name": (
        ARMS + "  - {name: B, resources: {accelerator: A100}}\n",
        ["study.yaml:6: `resources.accelerator`", "other arms specify an accelerator (A100)", "given 'AGRM'"],
    ),
    "resources that no arm has of its own": (
        ARMS + "  - {name: B, resources: {gpu: 1}}\n",
        ["study.yaml:7: `arms[1].resources.gpu`", "no such key", "accelerator"],
    ),
    "an empty name": (ARMS + "  - {name: ''}\n", ["study.yaml:7: `arms[1].name`", "must not be empty"]),
    "a name of two lines": (ARMS + '  - {name: "a\\nb"}\n', ["`arms[1].name`", "one line of printable characters"]),
    "a name too long": (ARMS + f"  - {{name: {'x' * 61}}}\n", ["`arms[1].name`", "at most 60 characters, has 61"]),
    "a number as a name": (ARMS + "  - {name: 3}\n", ["`arms[1].name`", "must be text", 'in quotes: "3"']),
    "an unknown reference": (
        ARMS + "reference: ARGM\n",
        [
            "study.yaml:7: `reference`",
            "must be the name of an arm",
            "given 'ARGM'",
            "allowed: AGRM",
            "Did you mean `AGRM`?",
        ],
    ),
    "an unknown base": (
        ARMS + "base: argm\n",
        ["study.yaml:7: `base`", "no such base recipe", "given 'argm'", "Did you mean `agrm`?"],
    ),
    "an unknown metric": (ARMS + "primary_metric: f1\n", ["study.yaml:7: `primary_metric`", "given 'f1'", "macro_f1"]),
    "a metric of another task": (
        ARMS.replace("two_class", "three_class") + "primary_metric: sensitivity\n",
        ["study.yaml:7: `primary_metric`", "the only such built-in task is two_class", "given 'sensitivity'"],
    ),
    "a third of a GPU that is none": (
        ARMS + "resources: {gpu: 0.33}\n",
        ["study.yaml:7: `resources.gpu`", "exactly 1/k", "given 0.33", 'Did you mean "1/3"?'],
    ),
    "one GPU and a half": (ARMS + "resources: {gpu: 1.5}\n", ["`resources.gpu`", "at most 1", "given 1.5"]),
    "two GPUs": (
        ARMS + "resources: {gpu: 2}\n",
        ["study.yaml:7: `resources.gpu`", "at most 1: a trial uses one GPU", "given 2", "exactly 1/k"],
    ),
    "a negative GPU": (ARMS + "resources: {gpu: -1}\n", ["`resources.gpu`", "must not be negative"]),
    "no CPU": (ARMS + "resources: {cpu: 0}\n", ["`resources.cpu`", "must be at least 1", "given 0"]),
    "half precision without a GPU": (
        ARMS + "set: {precision: fp16}\n",
        ["study.yaml:7: `precision`", "requires a GPU", "given 'fp16'"],
    ),
    "no data": (
        ARMS.replace("data: {synthetic: {subjects: 12, unlabelled: 12}}\n", ""),
        ["study.yaml: `data`", "no data are specified", "data.manifest or data.synthetic"],
    ),
    "data twice": (
        ARMS + "set: {data.manifest: m.csv}\n",
        ["study.yaml:7: `data.manifest`", "both a manifest and a synthetic data set are specified"],
    ),
    "no unlabelled clips to learn from": (
        ARMS + "set: {data.unlabelled_train: 0}\n",
        ["study.yaml:7: `data.unlabelled_train`", "at least 1", "agrm"],
    ),
    "a teacher that never starts": (
        ARMS + "set: {epochs: 10, ssl.pretrain_epochs: 10}\n",
        ["study.yaml:7: `ssl.pretrain_epochs`", "less than epochs (10)", "given 10"],
    ),
    "a family of strangers": (
        ARMS + "report: {families: {main: [SHPM]}}\n",
        ["study.yaml:7: `report.families.main`", "must list arms", "given 'SHPM'"],
    ),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_wrong_file_is_told_by_line_field_rule_and_value(what: str, tmp_path: Path) -> None:
    text, pieces = BAD_FILES[what]
    check(message(tmp_path, text), *pieces)


BAD_GRIDS = {
    "an unknown factor": (
        "ssl.ema.alfa: [0.9]",
        ["study.yaml:6: `grid.ssl.ema.alfa`", "Did you mean `ssl.ema.alpha`?"],
    ),
    "a section as a factor": ("ssl.ema: [0.9]", ["`grid.ssl.ema`", "a group of settings", "ssl.ema.alpha"]),
    "a seed as a factor": ("seed: [0, 1]", ["`grid.seed`", "List the seeds under"]),
    "one value": (
        "ssl.ema.alpha: 0.9",
        ["study.yaml:6: `grid.ssl.ema.alpha`", "must be a list of values", "given 0.9"],
    ),
    "no value": ("ssl.ema.alpha: []", ["`grid.ssl.ema.alpha.values`", "must not be empty"]),
    "a value twice": ("ssl.ema.alpha: [0.9, 0.9]", ["contains the value 0.9 twice"]),
    "a value out of range": (
        "ssl.ema.alpha: [0.9, 2]",
        ["study.yaml:6: `arm α=2: ssl.ema.alpha`", "less than 1", "given 2"],
    ),
    "a condition on nothing": (
        "ssl.ema.alpha: {values: [0.9], when: {ssl.threshold.policy: fixed}}",
        ["study.yaml:6: `grid.ssl.ema.alpha.when`", "varied above it", "given 'ssl.threshold.policy'"],
    ),
    "a condition that is no group": (
        "ssl.ema.alpha: {values: [0.9], when: fixed}",
        ["`grid.ssl.ema.alpha.when`", "must be a group"],
    ),
    "an unknown key of a factor": ("ssl.ema.alpha: {value: [0.9]}", ["no such key", "Did you mean `values`?"]),
    "too long a name": (
        "data.exclude: [[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb]]",
        ["at most 60 characters", "Give long values short labels"],
    ),
}


@pytest.mark.parametrize("what", BAD_GRIDS)
def test_a_wrong_grid_is_told_by_line_field_rule_and_value(what: str, tmp_path: Path) -> None:
    factor, pieces = BAD_GRIDS[what]
    check(message(tmp_path, HEAD + "grid:\n  " + factor + "\n"), *pieces)


def test_a_grid_of_too_many_arms_is_refused(tmp_path: Path) -> None:
    values = ", ".join(str(i) for i in range(101))
    told = message(
        tmp_path, HEAD + f"grid:\n  data.fold: [{values}]\n  batch.labelled: [{values.replace('0, ', '', 1)}, 200]\n"
    )
    check(told, "study.yaml:5: `grid`", "10201 arms, more than 10000")


SEARCH = (
    HEAD.replace("[0, 1]", "[0, 1, 2]") + "search:\n  trials: 4\n  space:\n    ssl.ema.alpha: {float: [0.9, 0.99]}\n"
)

BAD_SEARCHES = {
    "a test metric": (
        ("  trials: 4", "  metric: test/macro_f1\n  trials: 4"),
        ["study.yaml:6: `search.metric`", "must not use the test part", "given 'test/macro_f1'", "val/macro_f1"],
    ),
    "an unknown metric": (
        ("  trials: 4", "  metric: macro_f1\n  trials: 4"),
        ["`search.metric`", "is not a validation metric", "val/macro_f1"],
    ),
    "two objectives for tpe": (
        ("  trials: 4", "  metric: [val/loss, val/accuracy]\n  trials: 4"),
        ["`search`", "require the sampler nsga2, got tpe"],
    ),
    "an unknown sampler": (
        ("  trials: 4", "  sampler: cma\n  trials: 4"),
        ["`search.sampler`", "allowed: random, tpe, gp, nsga2", "given 'cma'"],
    ),
    "no trials": (("  trials: 4", "  trials: 0"), ["`search.trials`", "must be at least 1", "given 0"]),
    "no number of trials": (("  trials: 4\n", ""), ["`search.trials`", "is required"]),
    "an unknown pruner": (
        ("  trials: 4", "  pruner: {name: hyperband}\n  trials: 4"),
        ["`search.pruner.name`", "allowed: none, asha, median"],
    ),
    "an unknown dimension": (
        ("ssl.ema.alpha", "ssl.ema.alfa"),
        ["study.yaml:8: `search.space.ssl.ema.alfa`", "Did you mean `ssl.ema.alpha`?"],
    ),
    "an unknown distribution": (
        ("{float:", "{uniform:"),
        ["`search.space.ssl.ema.alpha.uniform`", "no such key", "float, int, choice"],
    ),
    "two distributions": (("{float:", "{int: [1, 2], float:"), ["exactly one distribution"]),
    "no distribution": (("{float: [0.9, 0.99]}", "{scale: log}"), ["exactly one distribution"]),
    "a range upside down": (
        ("[0.9, 0.99]", "[0.99, 0.9]"),
        ["lowest value must be less than the highest", "[0.99, 0.9]"],
    ),
    "a range of three": (
        ("[0.9, 0.99]", "[0.9, 0.99, 0.999]"),
        ["`search.space.ssl.ema.alpha.float`", "at most 2 values"],
    ),
    "a logit of one": (("[0.9, 0.99]}", "[0.9, 1.0], scale: logit}"), ["between 0 and 1, both excluded"]),
    "a log of zero": (("[0.9, 0.99]}", "[0, 0.99], scale: log}"), ["lowest value above 0, got 0"]),
    "an unknown scale": (
        ("[0.9, 0.99]}", "[0.9, 0.99], scale: exp}"),
        ["`search.space.ssl.ema.alpha.scale`", "allowed: linear, log, logit"],
    ),
    "a range beyond the recipe's": (
        ("[0.9, 0.99]", "[0.9, 1.5]"),
        ["study.yaml:8: `search.space: ssl.ema.alpha`", "less than 1", "given 1.5"],
    ),
    "a condition on nothing": (
        ("[0.9, 0.99]}", "[0.9, 0.99], when: {model.backbone: c3d}}"),
        ["varied above it", "given 'model.backbone'"],
    ),
    "a seed that is not fresh": (
        ("  trials: 4", "  seed: 2\n  trials: 4"),
        ["study.yaml:6: `search.seed`", "require new seeds", "given 2"],
    ),
    "a reference that is no base": (
        ("search:", "reference: AGRM\nsearch:"),
        ["study.yaml:5: `reference`", "must be `base` in a search", "given 'AGRM'"],
    ),
    "two tasks": (("[two_class]", "[two_class, three_class]"), ["study.yaml:2: `tasks`", "a search has one task"]),
    "no space": (
        ("  space:\n    ssl.ema.alpha: {float: [0.9, 0.99]}\n", "  space: {}\n"),
        ["`search.space`", "must not be empty"],
    ),
}


@pytest.mark.parametrize("what", BAD_SEARCHES)
def test_a_wrong_search_is_told_by_line_field_rule_and_value(what: str, tmp_path: Path) -> None:
    (old, new), pieces = BAD_SEARCHES[what]
    assert old in SEARCH
    check(message(tmp_path, SEARCH.replace(old, new)), *pieces)


BAD_OPTIONS = {
    "no value": ("ssl.ema.alpha", ["--set ssl.ema.alpha", "KEY=VALUE"]),
    "no key": ("=3", ["KEY=VALUE"]),
    "an unknown setting": (
        "ssl.ema.alfa=0.9",
        ["--set ssl.ema.alfa=0.9: `ssl.ema.alfa`", "Did you mean `ssl.ema.alpha`?"],
    ),
    "an unknown key": ("seedz=3", ["--set seedz=3: `seedz`", "Did you mean `seeds`?"]),
    "a value out of range": ("ssl.ema.alpha=2", ["--set ssl.ema.alpha=2: `ssl.ema.alpha`", "less than 1", "given 2"]),
    "seeds of no kind": ("seeds=x", ["--set seeds=x: `seeds`", "must be a list of whole numbers", "given 'x'"]),
    "a seed": ("seed=3", ["`seed`", "List the seeds under"]),
    "arms": ("arms=[]", ["`arms`", "cannot be changed by --set"]),
    "a search where there is none": ("search.trials=3", ["`search.trials`", "this study has no search"]),
    "no YAML": ("ssl.ema.alpha=[", ["--set ssl.ema.alpha=[", "not valid YAML"]),
    "an unknown resource": ("resources.gpus=1", ["--set resources.gpus=1: `resources.gpus`", "Did you mean `gpu`?"]),
}


@pytest.mark.parametrize("what", BAD_OPTIONS)
def test_a_wrong_option_is_told_by_its_own_text(what: str, tmp_path: Path) -> None:
    text, pieces = BAD_OPTIONS[what]
    check(message(tmp_path, ARMS, overrides=[text]), *pieces)


def test_an_option_that_every_arm_overrules_is_refused(tmp_path: Path) -> None:
    arms = HEAD + "arms:\n  - {name: a, set: {ssl.ema.alpha: 0.9}}\n  - {name: b, set: {ssl.ema.alpha: 0.99}}\n"
    check(
        message(tmp_path, arms, overrides=["ssl.ema.alpha=0.5"]),
        "--set ssl.ema.alpha=0.5",
        "every arm of this study overrides",
    )


def test_an_option_for_a_factor_of_the_grid_is_refused(tmp_path: Path) -> None:
    grid = HEAD + "grid: {ssl.ema.alpha: [0.9, 0.99]}\n"
    check(
        message(tmp_path, grid, overrides=["ssl.ema.alpha=0.5"]),
        "--set ssl.ema.alpha=0.5",
        "the grid of this study varies",
    )


def test_an_unknown_preset_lists_the_known_ones(tmp_path: Path) -> None:
    check(
        message(tmp_path, ARMS, preset="tinny"), "--preset", "no such preset", "given 'tinny'", "Did you mean `tiny`?"
    )


def test_a_wrong_preset_is_told_by_its_own_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "mine.yaml").write_text("set:\n  ssl.ema.alpha: 3\nseed: 1\n")
    check(message(tmp_path, ARMS, preset="mine"), "mine.yaml:3: `seed`", "no such key")
    (tmp_path / "presets" / "mine.yaml").write_text("set:\n  ssl.ema.alpha: 3\n")
    check(message(tmp_path, ARMS, preset="mine"), "mine.yaml:2: `ssl.ema.alpha`", "less than 1", "given 3")


def test_a_wrong_base_is_told_by_its_own_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "mine.yaml").write_text("epochs: 20\n\nssl:\n  ema: {alpha: 3}\n")
    check(message(tmp_path, ARMS + "base: mine\n"), "mine.yaml:4: `ssl.ema.alpha`", "less than 1", "given 3")


def test_names_that_do_not_exist_are_told_with_those_that_do(tmp_path: Path) -> None:
    names = {"model.backbone": ("r3d_18", "c3d"), "report.tables": ("ablation",)}
    told = message(
        tmp_path,
        ARMS + "  - {name: b, set: {model.backbone: r3d18}}\nreport: {tables: [ablations]}\n",
        names=names,
    )
    check(
        told, "study.yaml:7: `arm b: model.backbone`", "given 'r3d18'", "allowed: c3d, r3d_18", "Did you mean `r3d_18`?"
    )
    check(told, "study.yaml:8: `report.tables`", "given 'ablations'", "allowed: ablation")


def test_all_that_is_wrong_is_told_in_one_message(tmp_path: Path) -> None:
    text = (
        "name: trial\ntasks: [two_class, five_class]\nseeds: [1, 1]\nbase: agrm\n"
        "data: {synthetic: {subjects: 12, unlabelled: 12}}\n"
        "set: {epochs: 0, ssl.ema.alhpa: 0.9}\n"
        "arms:\n  - {name: A}\n  - {name: A, set: {model.with: 3}}\n"
    )
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(InputErrors) as caught:
        load_study(file)
    told = str(caught.value)
    check(
        told,
        "problems:",
        "no task 'five_class'",
        "duplicate seed 1",
        "`epochs`: must be at least 1",
        "ssl.ema.alpha",
    )
    assert len(told.splitlines()) == 1 + len(caught.value.problems)


def test_a_missing_file_names_the_shipped_studies() -> None:
    with pytest.raises(InputError, match=r"no such study file.*ablation.*Did you mean `ablation`"):
        load_study("ablatoin.yaml")


def test_a_folder_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; specify a study file"):
        load_study(tmp_path)


def test_nested_aliases_cannot_fill_the_memory(tmp_path: Path) -> None:
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]" for before, name in zip("abcdefg", "bcdefgh", strict=True)
    ]
    check(message(tmp_path, "\n".join(lines) + "\n"), "at most 100000 values")


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(InputError, match="not UTF-8"):
        load_study(file)
