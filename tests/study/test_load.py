"""The result of merging base, study, preset and options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study
from agrm_study.study.recipe import Recipe
from agrm_study.study.resolved import study_from_dict, study_to_dict
from agrm_study.study.study import Study
from agrm_study.study.tasks import BUILT_IN

HEAD = """\
name: trial
question: >
  Does it
  work?
tasks: [two_class, three_class]
seeds: [3, 1]
split_seed: 7
data: {synthetic: {subjects: 12, unlabelled: 12}}
"""
ARMS = HEAD + "arms:\n  - {name: AGRM}\n  - {name: w/o MTM, set: {ssl.method: supervised}}\nreference: AGRM\n"


def study(folder: Path, text: str, **options: object) -> Study:
    file = folder / "study.yaml"
    file.write_text(text, encoding="utf-8")
    return load_study(file, **options)  # type: ignore[arg-type]


def test_the_base_recipe_states_the_defaults_of_the_protocol(tmp_path: Path) -> None:
    base = study(tmp_path, ARMS).base
    plain = Recipe(task=BUILT_IN["two_class"], split_seed=7, data=base.data)
    assert base == plain


def test_arms_differ_from_the_base_by_what_they_set(tmp_path: Path) -> None:
    loaded = study(tmp_path, ARMS)
    assert [arm.name for arm in loaded.arms] == ["AGRM", "w/o MTM"]
    assert loaded.arms[0].recipe == loaded.base
    assert dict(loaded.arms[1].settings) == {"ssl.method": "supervised"}
    assert loaded.arm("w/o MTM").recipe.ssl.method == "supervised"
    assert loaded.factors == ("ssl.method",)
    assert loaded.question == "Does it work?"


def test_a_trial_recipe_has_the_task_the_seed_and_the_split_seed(tmp_path: Path) -> None:
    loaded = study(tmp_path, ARMS)
    recipe = loaded.trial_recipe(loaded.arms[1], "three_class", 3)
    assert (recipe.task.name, recipe.seed, recipe.split_seed) == ("three_class", 3, 7)


def test_each_source_overrules_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "presets").mkdir()
    (tmp_path / "base" / "mine.yaml").write_text(
        "epochs: 50\nssl: {ema: {alpha: 0.5}, threshold: {tau: 0.5}, pretrain_epochs: 5}\nbatch: {labelled: 5}\n"
    )
    (tmp_path / "presets" / "small.yaml").write_text(
        "seeds: 1\nset: {ssl.threshold.tau: 0.7, ssl.pretrain_epochs: 7, batch.labelled: 7}\n"
    )
    text = ARMS + "base: mine\nset:\n  ssl: {ema.alpha: 0.6}\n  ssl.threshold.tau: 0.6\n  ssl.pretrain_epochs: 6\n"
    text += "".join("")
    loaded = study(
        tmp_path,
        text.replace("{ssl.method: supervised}", "{ssl.method: supervised, batch.labelled: 9}"),
        preset="small",
        overrides=["ssl.pretrain_epochs=8", "batch.labelled=8"],
    )
    base = loaded.base
    assert (base.epochs, base.ssl.ema.alpha, base.ssl.threshold.tau, base.ssl.pretrain_epochs) == (50, 0.6, 0.7, 8)
    assert (base.batch.labelled, loaded.arms[1].recipe.batch.labelled) == (8, 9)
    assert loaded.seeds == (0,)


def test_lists_are_replaced_not_merged(tmp_path: Path) -> None:
    loaded = study(tmp_path, ARMS + "set: {model.pooling.bins: [[3, 3]]}\n")
    assert loaded.base.model.pooling.bins == ((3, 3),)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("1.e-4", 1e-4), ("+.0001", 1e-4), ("1E-4", 1e-4), ("1", 1.0)],
)
def test_numbers_are_read_as_people_write_them(text: str, value: float, tmp_path: Path) -> None:
    assert study(tmp_path, ARMS + f"set: {{optimizer.lr: {text}}}\n").base.optimizer.lr == value
    assert study(tmp_path, ARMS, overrides=[f"optimizer.lr={text}"]).base.optimizer.lr == value


def test_off_is_a_word_and_no_boolean(tmp_path: Path) -> None:
    assert study(tmp_path, ARMS + "set: {ssl.pseudo.mode: off}\n").base.ssl.pseudo.mode == "off"
    assert study(tmp_path, ARMS, overrides=["ssl.pseudo.mode=off"]).base.ssl.pseudo.mode == "off"


def test_a_number_of_seeds_counts_from_zero(tmp_path: Path) -> None:
    assert study(tmp_path, ARMS.replace("[3, 1]", "3")).seeds == (0, 1, 2)
    assert study(tmp_path, ARMS, overrides=["seeds=[5, 4]", "tasks=[two_class]"]).seeds == (5, 4)


@pytest.mark.parametrize(
    ("text", "gpus"), [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ('"1/3"', 1 / 3), ("1/8", 0.125), ("auto", "auto")]
)
def test_a_gpu_share_is_none_a_whole_gpu_or_one_kth(text: str, gpus: object, tmp_path: Path) -> None:
    assert study(tmp_path, ARMS + f"resources: {{gpu: {text}}}\n").resources.gpu == gpus
    assert study(tmp_path, ARMS, overrides=[f"resources.gpu={text}"]).resources.gpu == gpus


def test_files_count_from_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    text = ARMS.replace("synthetic: {subjects: 12, unlabelled: 12}", "manifest: clips/manifest.csv")
    text = text.replace("{ssl.method: supervised}", "{model.weights: kinetics.pth}")
    loaded = study(tmp_path, text)
    assert loaded.base.data.manifest == tmp_path.resolve() / "clips" / "manifest.csv"
    assert loaded.arms[1].recipe.model.weights == tmp_path.resolve() / "kinetics.pth"
    by_option = study(tmp_path, text, overrides=["data.manifest=m.csv"])
    assert by_option.base.data.manifest == elsewhere.resolve() / "m.csv"


def test_a_grid_crosses_its_factors_and_names_its_arms(tmp_path: Path) -> None:
    loaded = study(
        tmp_path, HEAD + "grid: {ssl.threshold.tau: [0.6, 0.8], ssl.ema.alpha: [0.9, 0.99]}\nreference: τ=0.8, α=0.99\n"
    )
    assert [arm.name for arm in loaded.arms] == ["τ=0.6, α=0.9", "τ=0.6, α=0.99", "τ=0.8, α=0.9", "τ=0.8, α=0.99"]
    assert dict(loaded.arms[2].settings) == {"ssl.threshold.tau": 0.8, "ssl.ema.alpha": 0.9}
    assert loaded.arms[2].recipe.ssl.ema.alpha == 0.9
    assert loaded.varies == "grid"


def test_a_conditional_factor_varies_only_where_its_condition_holds(tmp_path: Path) -> None:
    loaded = study(
        tmp_path,
        HEAD + "grid:\n  ssl.threshold.policy: [fixed, freematch, softmatch]\n"
        "  ssl.threshold.tau: {values: [0.6, 0.8], when: {ssl.threshold.policy: fixed}}\n"
        "  ssl.threshold.momentum: {values: [0.9, 0.99], when: {ssl.threshold.policy: [freematch]}, symbol: m}\n",
    )
    assert [arm.name for arm in loaded.arms] == [
        "policy=fixed, τ=0.6",
        "policy=fixed, τ=0.8",
        "policy=freematch, m=0.9",
        "policy=freematch, m=0.99",
        "policy=softmatch",
    ]


def test_values_of_a_grid_can_carry_labels(tmp_path: Path) -> None:
    loaded = study(
        tmp_path, HEAD + "grid: {model.pooling.bins: {values: {coarse: [[1, 1]], fine: [[4, 4], [2, 1]]}}}\n"
    )
    assert [arm.name for arm in loaded.arms] == ["coarse", "fine"]
    unlabelled = study(tmp_path, HEAD + "grid: {model.pooling.bins: [[[1, 1]], [[4, 4], [2, 1]]]}\n")
    assert [arm.name for arm in unlabelled.arms] == ["bins=1", "bins=4²+2×1"]


def test_factors_of_one_last_name_are_told_apart(tmp_path: Path) -> None:
    loaded = study(tmp_path, HEAD + "grid: {augment.weak.shift: [0.1], augment.strong.shift: [0.2]}\n")
    assert [arm.name for arm in loaded.arms] == ["weak.shift=0.1, strong.shift=0.2"]


def test_a_search_keeps_its_space_and_its_base_as_the_reference(tmp_path: Path) -> None:
    loaded = study(
        tmp_path,
        HEAD.replace("[two_class, three_class]", "[two_class]") + "search:\n  sampler: nsga2\n  trials: 8\n"
        "  metric: [val/macro_f1, val/loss]\n  space:\n    ssl.threshold.policy: {choice: [fixed, freematch]}\n"
        "    ssl.threshold.tau: {float: [0.5, 0.99], scale: logit, when: {ssl.threshold.policy: fixed}}\n"
        "    ssl.ramp.epochs: {int: [0, 60], step: 10}\nreference: base\n",
    )
    assert loaded.search is not None
    assert loaded.search.directions == ("maximize", "minimize")
    assert [arm.name for arm in loaded.arms] == ["base"]
    space = loaded.search.space
    assert {name: dimension.kind for name, dimension in space.items()} == {
        "ssl.threshold.policy": "choice",
        "ssl.threshold.tau": "float",
        "ssl.ramp.epochs": "int",
    }
    assert space["ssl.threshold.tau"].when.holds({"ssl.threshold.policy": "fixed"})
    assert not space["ssl.threshold.tau"].when.holds({"ssl.threshold.policy": "freematch"})


def test_names_that_exist_pass(tmp_path: Path) -> None:
    loaded = study(
        tmp_path,
        ARMS + "report: {tables: [ablation]}\n",
        names={"model.backbone": {"r3d_18": 1}, "report.tables": ["ablation"], "report.figures": []},
    )
    assert loaded.report.tables == ("ablation",)


def test_a_study_cannot_be_changed(tmp_path: Path) -> None:
    loaded = study(tmp_path, ARMS)
    with pytest.raises(AttributeError):
        loaded.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        loaded.arms[1].settings["ssl.method"] = "agrm"  # type: ignore[index]


SEARCH = (
    HEAD.replace("[two_class, three_class]", "[two_class]")
    + "search: {trials: 4, space: {ssl.ema.alpha: {float: [0.9, 0.99]}}}\n"
)


def test_a_search_is_compared_with_its_base_recipe_unless_it_says_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    for text, reference in (
        (SEARCH, "base"),
        (SEARCH + "reference: base\n", "base"),
        (SEARCH + "reference: null\n", None),
    ):
        file.write_text(text, encoding="utf-8")
        study = load_study(file)
        assert study.reference == reference
        assert [arm.name for arm in study.arms] == ([] if reference is None else ["base"])


@pytest.mark.parametrize("search", ["'0'", "3", "[1]", "true"])
def test_a_preset_over_a_search_that_is_none_is_one_message(tmp_path: Path, search: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(HEAD + f"search: {search}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"`search`: must be a group of settings"):
        load_study(file, preset="tiny")


def test_loading_needs_neither_torch_nor_ray_nor_omegaconf_before_it_is_asked() -> None:
    code = (
        "import sys, agrm_study.study.load, agrm_study.plan.expand, agrm_study.plan.stages;"
        "print(sorted({'torch', 'ray', 'omegaconf', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_weights_are_kept_unless_the_study_says_otherwise(tmp_path: Path) -> None:
    assert study(tmp_path, ARMS).keep_weights == "all"
    assert study_from_dict(study_to_dict(study(tmp_path, ARMS + "keep_weights: none\n"))).keep_weights == "none"
    with pytest.raises(InputError, match=r"`keep_weights`.*allowed: all, reported, none"):
        study(tmp_path, ARMS + "keep_weights: some\n")


def test_sharing_is_on_and_can_be_switched_off_or_made_to_keep_states(tmp_path: Path) -> None:
    assert study(tmp_path, ARMS).sharing is True
    assert study(tmp_path, ARMS + "sharing: false\n").sharing is False
    assert study(tmp_path, ARMS, overrides=["sharing=keep"]).sharing == "keep"
    for wrong in ("kepe", "1", "[true]"):
        with pytest.raises(InputError, match=r"`sharing`.*is not one of.*allowed: true, false, keep") as told:
            study(tmp_path, ARMS + f"sharing: {wrong}\n")
        assert ("Did you mean `keep`" in str(told.value)) == (wrong == "kepe")


def test_a_study_that_was_written_before_there_was_sharing_shares(tmp_path: Path) -> None:
    value = study_to_dict(study(tmp_path, ARMS + "sharing: keep\n"))
    assert study_from_dict(value).sharing == "keep"
    del value["sharing"]
    assert study_from_dict(value).sharing is True
