"""Two trials have the same identity exactly when no setting with an effect differs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agrm_study.plan.acting import acting_recipe, idle_settings
from agrm_study.plan.canonical import canonical_json, canonical_object, member
from agrm_study.plan.identity import ADDED_LATER, IDENTITY_VERSION, config_id, configuration, trial_id
from agrm_study.study.errors import InputError
from agrm_study.study.merge import with_settings
from agrm_study.study.problems import Place
from agrm_study.study.recipe import Recipe
from agrm_study.study.settings import Setting, known_settings, value_of
from agrm_study.study.tasks import BUILT_IN, make_task

ALTERNATIVES: dict[str, Any] = {
    "epochs": 99, "precision": "bf16", "compile": True,
    "data.manifest": "/other/manifest.csv", "data.synthetic.subjects": 61, "data.synthetic.unlabelled": 61,
    "data.synthetic.seed": 1, "data.synthetic.difficulty": "hard", "data.subset": "balanced", "data.exclude": ["s1"],
    "data.split.train": 0.6, "data.split.val": 0.2, "data.split.test": 0.16, "data.split_file": "/other/split.csv",
    "data.folds": 5, "data.fold": 1, "data.first_fold": "split", "data.fold_group": "site",
    "data.labelled_fraction": 0.5,
    "data.unlabelled_train": 10, "data.unlabelled_val": 10, "data.views": [0],
    "clip.frames": 8, "clip.fps": 25.0, "clip.crop": "raw", "clip.box_part": "legs", "clip.resize": 300,
    "clip.size": 112, "clip.storage": "jpeg",
    "augment.strong_branch": "both", "augment.labelled": "weak", "augment.weak.shift": 0.1, "augment.weak.flip": 0.1,
    "augment.strong.shift": 0.1, "augment.strong.flip": 0.1, "augment.strong.brightness": 0.1,
    "augment.strong.contrast": 0.1, "augment.strong.saturation": 0.1, "augment.strong.hue": 0.2,
    "augment.strong.noise": 0.1, "augment.strong.erase": 0.1, "augment.strong.erase_area": [0.1, 0.2],
    "augment.strong.temporal_jitter": 2, "augment.strong.speed": 0.1, "augment.strong.reverse": 0.5,
    "augment.strong.warp": 0.5, "augment.strong.tubes": 0.5, "augment.strong.tube_grid": 7,
    "model.backbone": "r2plus1d_18", "model.width": 32, "model.depth": 34, "model.head": "flatten",
    "model.classifier": "arcface", "model.dropout": 0.5, "model.pooling.name": "hpp", "model.pooling.bins": [[1, 1]],
    "model.pooling.combine": "concat", "model.pooling.temporal": "max", "model.freeze": ["stem"],
    "optimizer.layer_decay": 0.7, "training.trainer": "other@0123456789abcdef",
    "training.options": {"a": 1}, "training.patience": 3,
    "model.weights": "/other/weights.pth",
    "ssl.method": "fixmatch", "ssl.pretrain_epochs": 11, "ssl.ema.alpha": 0.5, "ssl.ema.buffers": "copy",
    "ssl.ema.warmup": True, "ssl.ramp.shape": "sigmoid", "ssl.ramp.epochs": 29, "ssl.ramp.maximum": 2.0,
    "ssl.threshold.policy": "flexmatch", "ssl.threshold.tau": 0.5, "ssl.threshold.momentum": 0.5,
    "ssl.threshold.n_sigma": 3.0, "ssl.threshold.percentile": 50.0, "ssl.pseudo.mode": "rounds",
    "ssl.pseudo.target": "soft", "ssl.pseudo.weight": 0.5, "ssl.pseudo.confidence": "min",
    "ssl.pseudo.round_epochs": 5,
    "ssl.batch_norm": "joint", "ssl.views": 2, "ssl.ema.memory_epochs": 3.0, "ssl.threshold.memory_epochs": 3.0,
    "ssl.threshold.alignment": "uniform", "ssl.threshold.fairness": 0.1, "ssl.pseudo.uncertainty": "dropout",
    "ssl.pseudo.uncertainty_max": 0.1, "ssl.pseudo.uncertainty_passes": 4, "data.remainder": "unlabelled",
    "shuffle_labels": True,
    "steps_per_epoch": 16, "deterministic": True, "tf32": "none", "evaluate.ema": True,
    "optimizer.schedule": "cosine", "optimizer.plateau_armed": True,
    "loss.name": "focal", "loss.label_smoothing": 0.1, "loss.focal_gamma": 1.0, "loss.class_balanced_beta": 0.9,
    "loss.arcface_scale": 10.0, "loss.arcface_margin": 0.1,
    "model.options": {"a": 1}, "model.pooling.options": {"a": 1}, "ssl.threshold.options": {"a": 1},
    "loss.options": {"a": 1},
    "optimizer.name": "adamw", "optimizer.lr": 0.01, "optimizer.betas": [0.5, 0.9], "optimizer.momentum": 0.5,
    "optimizer.weight_decay": 0.1, "optimizer.plateau_factor": 0.1, "optimizer.plateau_patience": 4,
    "optimizer.clip_norm": 1.0,
    "batch.labelled": 8, "batch.unlabelled": 8, "batch.accumulate": 2,
    "early_stop.metric": "loss", "early_stop.patience": 3, "early_stop.armed_after": 3,
    "evaluate.clips": 3, "evaluate.network": "student", "evaluate.batch": 8, "evaluate.unlabelled": False,
}  # fmt: skip
"""For every setting a value that is not its default."""

PARTNERS: dict[str, dict[str, Any]] = {
    "data.split.train": {"data.split.val": 0.2},
    "data.split.val": {"data.split.train": 0.6},
    "data.split.test": {"data.split.val": 0.2},
    "data.fold": {"data.folds": 3},
    "data.first_fold": {"data.folds": 5, "data.fold": 1},
    "data.fold_group": {"data.folds": 5, "data.fold": 1},
    "model.classifier": {"loss.name": "arcface"},
    "loss.arcface_scale": {"model.classifier": "arcface", "loss.name": "arcface"},
}
"""What must change with a setting for the recipe to be valid."""

BEFORE: dict[str, dict[str, Any]] = {
    "data.split.train": {},
    "data.split.val": {},
    "data.split.test": {},
    "model.classifier": {},
}
"""What stands in place of the partners before the change, where they would not be valid alone."""

BASES: dict[str, dict[str, Any]] = {
    "agrm": {},
    "supervised": {"ssl.method": "supervised"},
    "mean teacher": {"ssl.method": "mean_teacher"},
    "fixmatch": {"ssl.method": "fixmatch"},
    "average pooling": {"model.pooling.name": "average"},
    "c3d": {"model.backbone": "c3d", "model.pooling.name": "average"},
    "softmatch": {"ssl.threshold.policy": "softmatch"},
    "freematch with all": {
        "ssl.threshold.policy": "freematch",
        "ssl.threshold.alignment": "labels",
        "ssl.pseudo.uncertainty": "views",
        "data.labelled_fraction": 0.5,
    },
    "averaged": {"ssl.method": "supervised", "evaluate.ema": True, "ssl.ema.memory_epochs": 2.0},
    "cosine": {"optimizer.schedule": "cosine"},
    "tube masking": {"augment.strong.tubes": 0.25},
    "sgd, weak view only": {"ssl.method": "supervised", "optimizer.name": "sgd", "augment.labelled": "weak"},
}


def recipe_with(*changes: dict[str, Any], seed: int = 0) -> Recipe:
    merged = {name: value for change in changes for name, value in change.items()}
    tree = with_settings(Recipe(seed=seed).settings(), [Setting(n, v, Place(None)) for n, v in merged.items()])
    return Recipe.model_validate(tree)


def identify(recipe: Recipe, data: str = "d", split: str = "s", **options: Any) -> str:
    config = config_id(configuration(recipe, data_fingerprint=data, hash_file=lambda path: path.name, **options))
    return trial_id(config, seed=recipe.seed, split_seed=recipe.split_seed, split_fingerprint=split)


def test_every_setting_is_considered() -> None:
    assert set(ALTERNATIVES) == set(known_settings())


@pytest.mark.parametrize("base", BASES)
def test_a_setting_changes_the_identity_exactly_when_it_can_act(base: str) -> None:
    for name in known_settings():
        partners = PARTNERS.get(name, {})
        before = recipe_with(BASES[base], BEFORE.get(name, partners))
        after = recipe_with(BASES[base], partners, {name: ALTERNATIVES[name]})
        if before == after:
            continue
        idle = (
            name in idle_settings(before) and name in idle_settings(after) and before.armed_after == after.armed_after
        )
        assert (identify(before) == identify(after)) is idle, name


SAME = {
    "alpha of a supervised trial": (
        {"ssl.method": "supervised"},
        {"ssl.ema.alpha": 0.5, "ssl.threshold.tau": 0.1, "batch.unlabelled": 3},
    ),
    "bins of average pooling": (
        {"model.pooling.name": "average"},
        {"model.pooling.bins": [[1, 1]], "model.pooling.combine": "concat"},
    ),
    "tau of an adaptive policy": ({"ssl.threshold.policy": "freematch"}, {"ssl.threshold.tau": 0.1}),
    "the weak view of a supervised trial": ({"ssl.method": "supervised"}, {"augment.weak.flip": 0.0}),
    "the evaluated network without a teacher": ({"ssl.method": "fixmatch"}, {"evaluate.network": "student"}),
    "an early stop that is said or implied": ({}, {"early_stop.armed_after": 40}),
    "a ramp that only arms the early stop": (
        {"ssl.method": "supervised", "ssl.ramp.epochs": 10, "ssl.pretrain_epochs": 30},
        {"ssl.ramp.epochs": 30, "ssl.pretrain_epochs": 10},
    ),
    "the place of the data": ({"data.manifest": "/a/m.csv"}, {"data.manifest": "/b/m.csv"}),
    "the evaluation batch": ({}, {"evaluate.batch": 1}),
    "1 and 1.0": ({"ssl.ramp.maximum": 1}, {"ssl.ramp.maximum": 1.0}),
}

DIFFERENT = {
    "alpha": ({}, {"ssl.ema.alpha": 0.5}),
    "tau of flexmatch": ({"ssl.threshold.policy": "flexmatch"}, {"ssl.threshold.tau": 0.5}),
    "a ramp that arms the early stop later": ({"ssl.method": "supervised"}, {"ssl.ramp.epochs": 31}),
    "the weak view where the labelled clips are shown by it": (
        {"ssl.method": "supervised", "augment.labelled": "weak"},
        {"augment.weak.flip": 0.0},
    ),
    "the head of c3d": ({"model.backbone": "c3d", "model.pooling.name": "average"}, {"model.head": "flatten"}),
    "a backbone nobody knows": ({"model.backbone": "newcomer"}, {"model.head": "flatten"}),
    "a policy nobody knows": ({"ssl.threshold.policy": "newcomer"}, {"ssl.threshold.percentile": 1.0}),
    "the content of the weights": ({"model.weights": "/a/one.pth"}, {"model.weights": "/a/two.pth"}),
}


@pytest.mark.parametrize("what", SAME)
def test_what_cannot_act_does_not_tell_trials_apart(what: str) -> None:
    base, change = SAME[what]
    one, other = recipe_with(base), recipe_with(base, change)
    assert identify(one) == identify(other)


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_can_act_tells_trials_apart(what: str) -> None:
    base, change = DIFFERENT[what]
    assert identify(recipe_with(base)) != identify(recipe_with(base, change))


def test_data_split_seeds_task_and_phase_tell_trials_apart() -> None:
    recipe = recipe_with()
    ids = {
        identify(recipe),
        identify(recipe, data="e"),
        identify(recipe, split="t"),
        identify(recipe_with(seed=1)),
        identify(recipe.model_copy(update={"task": BUILT_IN["two_class"]})),
        identify(recipe, phase="search"),
    }
    assert len(ids) == 6


def test_a_task_of_ones_own_counts_by_its_classes_and_not_by_its_name() -> None:
    def own(name: str = "own", **more: Any) -> str:
        task = make_task(name, more.pop("classes", {"a": ["x", "y"], "b": ["z"], "c": ["w"]}), **more)
        return identify(recipe_with().model_copy(update={"task": task}))

    assert own() == own("renamed") == own(classes={"a": ["y", "x"], "b": ["z"], "c": ["w"]})
    others = {
        own(ordered=True),
        own(classes={"b": ["z"], "a": ["x", "y"], "c": ["w"]}),
        own(classes={"a": ["x"], "b": ["y", "z"], "c": ["w"]}),
        own(classes={"a": ["x"], "b": ["y"]}),
        own(classes={"a": ["x"], "b": ["y"]}, positive="b"),
        identify(recipe_with()),
    }
    assert len(others | {own()}) == 7
    three = {label: [label] for label in ("normal", "genu_varum", "genu_valgum")}
    assert own(classes=three) == identify(recipe_with())


def test_replicates_of_an_arm_share_its_configuration() -> None:
    def config(recipe: Recipe) -> str:
        return config_id(configuration(recipe, data_fingerprint="d"))

    assert config(recipe_with(seed=0)) == config(recipe_with(seed=1))
    assert config(recipe_with().model_copy(update={"split_seed": 3})) == config(recipe_with())
    assert config(recipe_with({"data.labelled_fraction": 0.5})) != config(recipe_with())


def test_trials_of_one_identity_are_run_with_one_recipe() -> None:
    for base, change in SAME.values():
        if not any(name.startswith("data.") or name == "evaluate.batch" for name in change):
            assert acting_recipe(recipe_with(base)) == acting_recipe(recipe_with(base, change))


def test_running_the_acting_recipe_is_the_same_trial() -> None:
    for base in BASES.values():
        for name in known_settings():
            if name in PARTNERS:
                continue
            recipe = recipe_with(base, {name: ALTERNATIVES[name]} if name not in ("loss.name",) else {})
            assert identify(acting_recipe(recipe)) == identify(recipe)
            assert acting_recipe(acting_recipe(recipe)) == acting_recipe(recipe)


def test_a_weights_file_counts_by_its_content(tmp_path: Path) -> None:
    for name, content in (("a.pth", b"1"), ("b.pth", b"1"), ("c.pth", b"2")):
        (tmp_path / name).write_bytes(content)

    def config(name: str) -> str:
        return config_id(configuration(recipe_with({"model.weights": str(tmp_path / name)}), data_fingerprint="d"))

    assert config("a.pth") == config("b.pth") != config("c.pth")
    with pytest.raises(InputError, match=r"nowhere\.pth.*cannot be read"):
        config("nowhere.pth")


GOLDEN = {
    "agrm": "50cd45b23159326a",
    "supervised": "ddb750a5b14c6bd6",
    "average pooling": "9da76ebb15468ac5",
    "softmatch": "c2494f94d9b03bf6",
}


@pytest.mark.parametrize("base", GOLDEN)
def test_identities_are_those_of_earlier_versions(base: str) -> None:
    """A change here re-runs every study of every user: add to `ADDED_LATER`, or raise `IDENTITY_VERSION` on purpose."""
    assert IDENTITY_VERSION == 1
    assert identify(recipe_with(BASES[base]), data="data", split="split") == GOLDEN[base]


def test_an_identity_is_the_hash_of_canonical_json() -> None:
    recipe = recipe_with()
    idle = idle_settings(recipe)
    settings = {name: plain(value_of(recipe, name)) for name in known_settings() if name not in idle}
    settings = {name: value for name, value in settings.items() if name not in ADDED_LATER}
    settings |= {"task": "three_class", "early_stop.armed_after": 40}
    content = {"identity_version": 1, "configuration": settings | {"data_fingerprint": "data"}}
    text = json.dumps(content, sort_keys=True, separators=(",", ":")).replace(".0,", ",").replace(".0}", "}")
    expected = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert config_id(configuration(recipe, data_fingerprint="data")) == expected


def plain(value: Any) -> Any:
    """A setting's value as JSON has it."""
    return [plain(item) for item in value] if isinstance(value, tuple) else value


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(value)


@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_an_object_put_together_from_its_members_is_the_object_written_at_once(value: dict[str, Any]) -> None:
    assert canonical_object({name: member(name, item) for name, item in value.items()}) == canonical_json(value)


@given(VALUES, VALUES)
def test_texts_are_equal_exactly_when_values_are(one: Any, other: Any) -> None:
    assert (canonical_json(one) == canonical_json(other)) is (_typed(one) == _typed(other))


def _typed(value: Any) -> Any:
    """The value with booleans told from numbers, which Python holds equal."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return value


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (0.0, -0.0), (1e16, 10**16), (0.1, 1e-1), ([1], (1.0,))])
def test_equal_numbers_are_equal_text(one: Any, other: Any) -> None:
    assert canonical_json(one) == canonical_json(other)
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_only_the_split_reads_the_data_section_of_a_recipe() -> None:
    """The identity holds the split by its fingerprint and drops `data.unlabelled_*` of supervised trials.

    `open_data` only hands the section to the split.
    """
    training = Path(__file__).parents[2] / "agrm_study" / "training"
    readers = [path.name for path in training.rglob("*.py") if "recipe.data" in path.read_text(encoding="utf-8")]
    assert set(readers) <= {"splits.py", "open_data.py"}
